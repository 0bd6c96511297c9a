"""Conformal sets: all classes that cannot be ruled out, with a promise about how often the true one is among them.

Class-conditional ("Mondrian") split conformal prediction with the score 1 - p of the class (Vovk, Gammerman & Shafer, Algorithmic Learning
in a Random World, 2005; Sadinle, Lei & Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, JASA 2019): of the
images of each class at most a share alpha has a set without it, also of a rare class. It holds for images like those of the calibration
part, which must have chosen nothing else.

Patients, not images, are alike and independent, so the unit is the group. Of each class a group counts by its worst image: with G groups
and the threshold at the k-th smallest of these, k = ceil((G + 1)(1 - alpha)), the sets of *all* of a further group's images of that class
hold it with a chance of at least 1 - alpha. Of single images it then holds all the more: sets are too large rather than too small where
groups have many images. (One image drawn per group would be exact, and would leave the others unused.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl.errors import MedtlError


@dataclass(frozen=True)
class Conformal:
    """`alpha` in (0, 1), and of each of K classes the least probability with which it stays in the set."""

    alpha: float
    least: tuple[float, ...]
    """0 where a class has too few groups for alpha: it is in every set."""
    groups: tuple[int, ...]
    """Of each class, in the calibration part."""

    def sets(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """(N, K) calibrated probabilities → (N, K) which classes cannot be ruled out; none in a row with NaN (an unread image)."""
        p = np.asarray(probabilities, np.float64)
        if p.ndim != 2 or p.shape[1] != len(self.least):
            raise MedtlError(f"conformal: fitted for {len(self.least)} classes, given probabilities of shape {p.shape}")
        return np.asarray(p >= np.asarray(self.least), np.bool_)

    def unsure(self, probabilities: ArrayLike, classes: tuple[str, ...]) -> list[str]:
        """(N,) why an image is not answered, empty where its set is one class."""
        return [_said([name for name, there in zip(classes, row, strict=True) if there]) for row in self.sets(probabilities)]

    def to_json(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "least": list(self.least), "groups": list(self.groups)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Conformal:
        """The inverse of :meth:`to_json`; raises :class:`MedtlError` where something is missing or no number."""
        try:
            least, groups = (tuple(stored[key]) for key in ("least", "groups"))
            return cls(float(stored["alpha"]), tuple(float(value) for value in least), tuple(int(value) for value in groups))
        except (KeyError, TypeError, ValueError) as error:
            raise MedtlError(f"conformal: expected `alpha`, `least` and `groups` as numbers ({type(error).__name__}: {error})") from None


def fit(probabilities: ArrayLike, truth: ArrayLike, groups: ArrayLike, alpha: float) -> Conformal:
    """From (N, K) probabilities, (N,) class positions and (N,) groups of a part that chose nothing; `alpha` in (0, 1)."""
    p, true, of = np.asarray(probabilities, np.float64), np.asarray(truth, np.int64), np.asarray(groups)
    if not 0 < alpha < 1:
        raise MedtlError(f"conformal: alpha is {alpha}; allowed: above 0 and below 1")
    if p.ndim != 2 or true.shape != (len(p),) or of.shape != (len(p),) or not np.isfinite(p).all():
        raise MedtlError(
            f"conformal: probabilities of shape {p.shape}, {true.size} truths, {of.size} groups; expected one row each, finite"
        )
    least, counts = [], []
    for k in range(p.shape[1]):
        worst = _worst(p[true == k, k], of[true == k])
        counts.append(len(worst))
        rank = math.ceil((len(worst) + 1) * (1 - alpha) - 1e-9)
        least.append(float(worst[rank - 1]) if 0 < rank <= len(worst) else 0.0)
    return Conformal(alpha, tuple(least), tuple(counts))


def _worst(p: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """The smallest probability of each group, largest first."""
    _, place = np.unique(groups, return_inverse=True)
    found = np.ones(int(place.max()) + 1 if len(place) else 0)
    np.minimum.at(found, place, p)
    return np.sort(found)[::-1]


def _said(classes: list[str]) -> str:
    if len(classes) == 1:
        return ""
    return f"it may as well be {' or '.join(classes)}" if classes else "it fits none of the classes"
