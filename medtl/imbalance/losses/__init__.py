"""Losses. Contract of a file: `Settings` (with `name`), `TASKS`, and two functions.

`TASKS`: the kinds of task that the loss serves, of `"single"` (one class per image) and `"multi"` (any number of classes per image).

`build(settings, counts, label_smoothing) -> Loss`. `counts` says which kind it is: (K,) training images per class (single), or (K, 2)
training images without and with each class, the unknown left out (multi). `label_smoothing` in [0, 1) comes from the transfer
settings. `Loss` is a torch module `(logits (B, K), targets, weights (B,) float or None) -> scalar`; targets are (B,) int64 (single), or
(B, K) float, 0, 1 or NaN = unknown (multi). It is a mean over the (weighted) batch: Σ w_i l_i / Σ w_i; in multi over all known entries
(i, k), so that what is unknown neither counts nor learns. Without any known entry it is 0.

A loss may depend on how far training is. When an epoch starts, `set_progress(epoch / (epochs - 1))` is called (1 where there is one
epoch only): from the epoch's number alone, so that a resumed training goes on equally. The last epoch always has progress 1. Before
any call, as in the linear probe, which has no epochs, the loss is in its final phase. `settled` says whether it is in it now.

`log_prior_shift(settings, counts)`: (K,) float array: what the loss, in its final phase, adds to the Bayes-optimal logits by weighting
classes as if their prior were another; subtracting it from the logits gives back the posterior under the training set's own prior.
Single: an equal amount for all classes means nothing. Multi: of each class's log-odds, where an equal amount means a lot. Zero where the
loss leaves the prior alone, or where what it does is no constant (its file then says what is left to the calibration).

A file imports torch only inside functions, for reading a config imports it.
"""
