"""Fitting on Lightning: probe, fine-tuning, checkpoints that survive a kill, logs."""
