"""From logits to calibrated probabilities and decisions: calibration, operating points. Torch-free."""
