"""Why the network answered so: saliency over the image.

`saliency` computes maps in the square that the network sees, `placement` carries them back onto the original image, `overlay` paints them.
"""
