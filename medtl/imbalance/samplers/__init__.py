"""Samplers. Contract of a file: `Settings` (with `name`), `TASKS` (as in `losses`), `class_weights(settings, counts) -> (K,)` array.

`counts`: (K,) training images per class. Each image of class k is drawn with probability proportional to
`class_weights[k]`; all ones = natural. The log prior shift of a sampler is log(class_weights) (see `losses`).
"""
