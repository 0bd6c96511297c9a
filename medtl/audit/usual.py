"""How alike are different pictures of one cohort anyway? Exposures of one scheme, or made images, may agree as copies do elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtl.audit import same_picture

PAIRS = 300
"""Drawn at random; a few copies among them change neither median nor ninth decile."""
ONE_SCHEME = 0.5
"""Share of the random pairs that can be laid over each other at all; below it (five public sets: 0.0 to 0.3) pictures differ enough."""
FAR = 6.0
"""Standard deviations above the random pairs, on Fisher's z scale, where copies begin."""


def same_from(thumbnails: NDArray[np.uint8]) -> float:
    """The agreement from which two of these (N, S, S) pictures are one: `same_picture.SAME`, or more where any two of them agree.

    On made radiographs, where random pairs agree at 0.73 and the nearest of 250 at 0.95: 0.96; copies (cropped by 3 %, brightened, JPEG of
    quality 70) agree at 0.97 there.
    """
    number = len(thumbnails)
    if number < 3:
        return same_picture.SAME
    drawn = np.random.default_rng(0).integers(0, number, (PAIRS, 2))
    drawn = drawn[drawn[:, 0] != drawn[:, 1]]
    found = np.array([same_picture.agreement(thumbnails[one], thumbnails[other]) for one, other in drawn])
    laid = found[found > -1]
    if len(laid) < ONE_SCHEME * len(found):
        return same_picture.SAME
    middle, ninth = np.quantile(np.arctanh(np.clip(laid, -0.999, 0.999)), [0.5, 0.9])
    return max(same_picture.SAME, float(np.tanh(middle + FAR * (ninth - middle) / 1.2816)))
