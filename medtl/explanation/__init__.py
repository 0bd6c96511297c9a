"""Why the network answered so: saliency over the image."""
