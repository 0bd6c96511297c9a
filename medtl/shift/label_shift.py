"""Do only the shares of the classes differ between source and target, or the images themselves?

If only the shares differ (label shift), then the source's images, weighing as the estimated shares want it, look like the target's to the
network, measure alike, and are answered alike. That is tested against halves of the source of which the far one is drawn with the
estimated shares. The shares are estimated anew in each, so that the null has the estimate's own error in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medtl.shift.columns import Coded, distances, excesses
from medtl.shift.distances import mmds
from medtl.shift.draws import DRAWS, FEW, OBSERVED, Draws, one_of_each, p_value, patients
from medtl.shift.prevalence import Labelled, bbse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.05
"""From which p-value on the check passes."""
FEWEST_OF_A_CLASS = 10
"""Patients of each class that the source needs."""
_TRIES = 100


@dataclass(frozen=True)
class Check:
    """Whether a change of the classes' shares alone explains the target; `why` says why that cannot be told."""

    p: float | None
    patients: int
    """Of the target, in each comparison."""
    why: str = ""

    @property
    def passes(self) -> bool:
        return self.p is not None and self.p > LEVEL


def check(source: Labelled, target: Labelled, kernel: Floats | None, tables: Sequence[Sequence[Coded]], shares: Floats, draws: int = DRAWS,
          seed: int = 0) -> Check:  # fmt: skip
    """The smallest p-value of several tests (of the answers, of what was measured, of the features), times their number.

    Arguments:
        kernel: (N + M, N + M) of the features of the pooled rows; None: there are none.
        tables: columns coded over the pooled rows, those of one table judged together by the largest excess.
        shares: (K,) estimated.
    """
    rng = np.random.default_rng(seed)
    own, theirs = patients(source.groups), patients(target.groups, len(source.groups))
    sizes = np.array([np.unique(source.groups[source.truth == k]).size for k in range(source.classes)])
    if sizes.min() < FEWEST_OF_A_CLASS:
        return Check(None, 0, f"the source has fewer than {FEWEST_OF_A_CLASS} patients of a class")
    count = int(min(len(theirs), len(own) // 2, *(sizes[shares > 0] / 2 / shares[shares > 0])))
    halves = _halves(own, source.truth, shares, count, draws, rng) if count >= FEW else None
    if count < FEW:
        return Check(None, count, f"with the estimated shares only {count} patients could be compared, and {FEW} are needed")
    if halves is None:
        return Check(None, count, f"the source has too few patients of a class to draw {count} with the estimated shares")
    near = halves.near.shape[1]
    ours = [(one_of_each(own, rng)[:near], one_of_each(theirs, rng)[:count]) for _ in range(OBSERVED)]
    observed = Draws(np.stack([a for a, _ in ours]), np.stack([b for _, b in ours]))
    weights = _weights(halves, source, target), _weights(observed, source, target)
    ps = []
    for columns in tables:
        each, found = excesses(distances(columns, halves, weights[0]), distances(columns, observed, weights[1]), (near, count))
        ps.append(p_value(each.max(axis=1), float(found.max())))
    if kernel is not None:
        null = mmds(kernel, halves.near, halves.far, weights[0])
        ps.append(p_value(null, float(np.median(mmds(kernel, observed.near, observed.far, weights[1])))))
    return Check(min(1.0, len(ps) * min(ps)), count)


def _halves(own: list[Ints], truth: Ints, shares: Floats, count: int, draws: int, rng: np.random.Generator) -> Draws | None:
    """Of the source: `count` far patients whose classes come with `shares`, the others near. None where the classes do not suffice."""
    near, far = [], []
    for _ in range(draws):
        rows = one_of_each(own, rng)
        of_class = [rows[truth[rows] == k] for k in range(len(shares))]
        for _ in range(_TRIES):
            wanted = rng.multinomial(count, shares / shares.sum())
            if all(number <= len(there) - FEWEST_OF_A_CLASS // 2 for number, there in zip(wanted, of_class, strict=True)):
                break
        else:
            return None
        far.append(np.concatenate([there[:number] for number, there in zip(wanted, of_class, strict=True)]))
        near.append(np.concatenate([there[number:] for number, there in zip(wanted, of_class, strict=True)]))
    return Draws(np.stack(near), np.stack(far))


def _weights(draws: Draws, source: Labelled, target: Labelled) -> Floats:
    """(D, a) of the near rows, as BBSE on each draw wants them; as they are where it has no answer."""
    predicted = np.concatenate([source.predicted, target.predicted])
    found = np.ones(draws.near.shape)
    for place, (near, far) in enumerate(zip(draws.near, draws.far, strict=True)):
        truth = source.truth[near]
        shares = bbse(truth, predicted[near], predicted[far], source.classes)
        if shares is not None:
            found[place] = (shares / (np.bincount(truth, minlength=source.classes) / len(truth)))[truth]
    return found
