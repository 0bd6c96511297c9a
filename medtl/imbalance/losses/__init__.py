"""Losses. Contract of a file: `Settings` (with `name`) and two functions.

`build(settings, counts, label_smoothing) -> Loss`: `counts` is a (K,) float array, training images per class;
`label_smoothing` in [0, 1) comes from the transfer settings. `Loss` is a torch module `(logits (B, K), targets (B,) int64,
weights (B,) float or None) -> scalar`, a mean over the (weighted) batch: Σ w_i l_i / Σ w_i.

`log_prior_shift(settings, counts)`: (K,) float array: what the loss adds to the Bayes-optimal logits by weighting classes
as if their prior were another; subtracting it from the logits gives back the posterior under the training set's own
prior. Zero where the loss leaves the prior alone; an equal amount for all classes means nothing.

A file imports torch only inside functions, for reading a config imports it.
"""
