"""Losses. Contract of a file: `Settings` (with `name`), `build(settings, counts) -> Loss` and `log_prior_shift(settings, counts)`.

`counts`: (K,) float array, training images per class. `Loss`: a torch module `(logits (B, K), targets (B,) int64,
weights (B,) float or None) -> scalar`, a mean over the (weighted) batch. `log_prior_shift`: (K,) float array: what the loss
adds to the Bayes-optimal logits by weighting classes as if their prior were another; subtracting it from the logits
gives back the posterior under the training set's own prior. Zero where the loss leaves the prior alone.
"""
