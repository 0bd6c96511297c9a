"""Conformal sets: all classes that cannot be ruled out, with a promise about how often the true one is among them.

Class-conditional ("Mondrian") split conformal prediction with the score 1 - p of the class (Vovk, Gammerman & Shafer, Algorithmic Learning
in a Random World, 2005; Sadinle, Lei & Wasserman, Least Ambiguous Set-Valued Classifiers with Bounded Error Levels, JASA 2019): of the
images of each class at most a share alpha has a set without it, also of a rare class. It holds for images like those of the calibration
part, which must have chosen nothing else.

Patients, not images, are alike and independent, so the unit is the group. Of each class a group counts by its worst image: with G groups
and the threshold at the k-th smallest of these, k = ceil((G + 1)(1 - alpha)), the sets of *all* of a further group's images of that class
hold it with a chance of at least 1 - alpha. Of one image of a group drawn at random it then holds all the more: sets are too large rather
than too small where groups have many images. (One image drawn per group would be exact, and would leave the others unused.)

Of several findings per image each has a set of its own in {absent, present}, fitted on the images of which it is known: the promise is
given for each finding, with and without it, by itself. That the sets of all findings hold the truth at once is less sure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medtl.errors import MedtlError

ABSENT, PRESENT = 0, 1


class Sets(Protocol):
    """Of one class per image, or of several findings."""

    def unsure(self, probabilities: ArrayLike, classes: tuple[str, ...], called: ArrayLike) -> list[str]:
        """(N,) why an image is not answered, empty where its set is just what it is called. `called`: by the stored rule, (N,) class
        positions, or (N, K) 1 and 0 of findings."""

    def to_json(self) -> dict[str, Any]:
        """What a package stores."""


@dataclass(frozen=True)
class Conformal:
    """`alpha` in (0, 1), and of each of K classes the least probability with which it stays in the set."""

    alpha: float
    least: tuple[float, ...]
    """0 where a class has too few groups for alpha: it is in every set."""
    groups: tuple[int, ...]
    """Of each class, in the calibration part."""
    unit: str = "group"
    """What these are: patients, lesions …"""

    def sets(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """(N, K) calibrated probabilities → (N, K) which classes cannot be ruled out; none in a row with NaN (an unread image)."""
        p = np.asarray(probabilities, np.float64)
        if p.ndim != 2 or p.shape[1] != len(self.least):
            raise MedtlError(f"conformal: fitted for {len(self.least)} classes, given probabilities of shape {p.shape}")
        return np.asarray(p >= np.asarray(self.least), np.bool_)

    def unsure(self, probabilities: ArrayLike, classes: tuple[str, ...], called: ArrayLike) -> list[str]:
        """See :meth:`Sets.unsure`. A set of one class that is not the one called is no answer either: the promise is the set's."""
        rows = zip(self.sets(probabilities), np.asarray(called, np.int64), strict=True)
        return [_said([name for name, there in zip(classes, row, strict=True) if there], classes[answer]) for row, answer in rows]

    def to_json(self) -> dict[str, Any]:
        """The inverse of :meth:`from_json`."""
        return {"alpha": self.alpha, "unit": self.unit, "least": list(self.least), "groups": list(self.groups)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Conformal:
        """Raises :class:`MedtlError` where something is missing or no number."""
        try:
            least, groups = (tuple(stored[key]) for key in ("least", "groups"))
            unit = str(stored.get("unit", cls.unit))
            return cls(float(stored["alpha"]), tuple(float(value) for value in least), tuple(int(value) for value in groups), unit)
        except (KeyError, TypeError, ValueError) as error:
            raise MedtlError(f"conformal: expected `alpha`, `least` and `groups` as numbers ({type(error).__name__}: {error})") from None


@dataclass(frozen=True)
class ConformalFindings:
    """For each of K findings a :class:`Conformal` of the two classes absent and present."""

    each: tuple[Conformal, ...]

    def sets(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """(N, K) calibrated probabilities → (N, K, 2) whether absent and present cannot be ruled out; neither in a row with NaN."""
        p = np.asarray(probabilities, np.float64)
        if p.ndim != 2 or p.shape[1] != len(self.each):
            raise MedtlError(f"conformal: fitted for {len(self.each)} findings, given probabilities of shape {p.shape}")
        return np.stack([own.sets(_both(p[:, k])) for k, own in enumerate(self.each)], axis=1)

    def unsure(self, probabilities: ArrayLike, classes: tuple[str, ...], called: ArrayLike) -> list[str]:
        """See :meth:`Sets.unsure`; an image is answered where every finding's set is just what it is called."""
        rows, by_rule = self.sets(probabilities), np.asarray(called, np.float64)
        return [_said_of_findings(rows[i], classes, by_rule[i]) for i in range(len(rows))]

    def to_json(self) -> dict[str, Any]:
        """The inverse of :meth:`from_json`."""
        alike = {"alpha": self.each[0].alpha, "unit": self.each[0].unit}
        return {**alike, "findings": [{"least": list(own.least), "groups": list(own.groups)} for own in self.each]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ConformalFindings:
        """Raises :class:`MedtlError` where something is missing or no number."""
        alike = {key: stored[key] for key in ("alpha", "unit") if key in stored}
        found = tuple(Conformal.from_json({**alike, **own}) for own in stored["findings"])
        if not found or any(len(own.least) != 2 for own in found):
            raise MedtlError("conformal: expected for each finding two numbers `least`, of absent and of present")
        return cls(found)


def from_json(stored: Mapping[str, Any]) -> Sets:
    """What :meth:`Sets.to_json` gave."""
    return ConformalFindings.from_json(stored) if "findings" in stored else Conformal.from_json(stored)


def fit(probabilities: ArrayLike, truth: ArrayLike, groups: ArrayLike, alpha: float, unit: str = "group") -> Conformal:
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
    return Conformal(alpha, tuple(least), tuple(counts), unit)


def fit_findings(probabilities: ArrayLike, truth: ArrayLike, groups: ArrayLike, alpha: float, unit: str = "group") -> ConformalFindings:
    """The same from (N, K) probabilities and truths 1, 0 or NaN = unknown of K findings."""
    p, true, of = np.asarray(probabilities, np.float64), np.asarray(truth, np.float64), np.asarray(groups)
    if p.ndim != 2 or true.shape != p.shape:
        raise MedtlError(f"conformal: probabilities of shape {p.shape}, truths of shape {true.shape}; expected (images, findings) twice")
    known = np.isfinite(true)
    columns = range(p.shape[1])
    return ConformalFindings(tuple(fit(_both(p[known[:, k], k]), true[known[:, k], k], of[known[:, k]], alpha, unit) for k in columns))


def _both(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) probabilities of a finding → (N, 2) of absent and present."""
    return np.stack([1 - p, p], axis=1)


def _worst(p: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """The smallest probability of each group, largest first."""
    _, place = np.unique(groups, return_inverse=True)
    found = np.ones(int(place.max()) + 1 if len(place) else 0)
    np.minimum.at(found, place, p)
    return np.sort(found)[::-1]


def _said(classes: list[str], called: str) -> str:
    if classes == [called]:
        return ""
    if len(classes) == 1:
        return f"its set holds {classes[0]} alone, and the rule calls it {called}"
    return f"it may as well be {' or '.join(classes)}" if classes else "it fits none of the classes"


def _said_of_findings(row: NDArray[np.bool_], classes: tuple[str, ...], called: NDArray[Any]) -> str:
    """Of one image: (K, 2) its sets, (K,) what it is called."""
    both, neither = row.all(axis=1), ~row.any(axis=1)
    other = ~both & ~neither & (row[:, PRESENT] != (called == 1))
    kinds = (("it may have {} or not", both), ("it looks neither with nor without {}", neither), ("set and threshold differ on {}", other))
    told = [(words, [classes[k] for k in np.flatnonzero(where)]) for words, where in kinds]
    return "; ".join(words.format(", ".join(names)) for words, names in told if names)
