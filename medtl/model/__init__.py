"""The model package: save, load, predict. No pickle, nothing executable."""
