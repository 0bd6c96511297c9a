"""The one body behind command line, page and Python API: train, evaluate, predict, init, check."""
