"""From predictions to estimates with intervals. Torch-free numpy."""
