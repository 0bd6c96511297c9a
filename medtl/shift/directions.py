"""What a probe that tells two domains apart looks at, in words: which measured columns its direction goes along with inside each domain.

The difference of the domains themselves is left out of that: everything that differs between two hospitals would go along with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from medtl.audit.joined import numbers_of
from medtl.decisions.outlyingness import auroc
from medtl.shift.distances import direction

Floats = NDArray[np.float64]

WORTH_SAYING = 0.3
"""The least rank correlation (Spearman's) that is said."""
SHOWN = 3
_LEAST = 10


@dataclass(frozen=True)
class Direction:
    """One direction of the features."""

    name: str
    auroc: float
    """How well it alone tells source from target, at least 0.5; the probe's own is in-sample."""
    along: Sequence[tuple[str, float]]
    """Columns, and Spearman's correlation with the side of the target, the strongest first."""

    def sentence(self) -> str:
        """`the probe's direction goes with brightness (+0.71) and contrast (-0.40)`."""
        told = [f"{name} ({value:+.2f})" for name, value in self.along]
        return f"{self.name} goes with {' and '.join(told)}" if told else f"{self.name} goes with nothing that was measured"


def directions(rows: Floats, far: NDArray[np.bool_], columns: pd.DataFrame, names: Sequence[str]) -> list[Direction]:
    """The probe's direction, then the single features that tell most.

    Arguments:
        rows: (n, d) pooled features; names: of each of the d.
        far: (n,) which are the target's.
        columns: (n rows) what was measured.
    """
    probe = rows @ direction(rows, far)[1:]
    alone = [auroc(rows[~far, k], rows[far, k]) for k in range(rows.shape[1])]
    clearest = sorted(range(len(alone)), key=lambda k: -abs(alone[k] - 0.5))[:SHOWN]
    told = [_described("what separates the domains", probe, auroc(probe[~far], probe[far]), far, columns)]
    for k in clearest:
        sign = 1.0 if alone[k] >= 0.5 else -1.0
        told.append(_described(names[k], sign * rows[:, k], max(alone[k], 1 - alone[k]), far, columns))
    return told


def _described(name: str, scores: Floats, value: float, far: NDArray[np.bool_], columns: pd.DataFrame) -> Direction:
    found = []
    for column in columns.columns:
        numbers = numbers_of(columns[column])
        if numbers is not None:
            inside = [_correlation(scores[side], numbers[side]) for side in (~far, far)]
            known = [each for each in inside if each is not None]
            if known and (len(known) == 1 or known[0] * known[1] > 0):
                found.append((str(column), float(np.mean(known))))
    strong = sorted((pair for pair in found if abs(pair[1]) >= WORTH_SAYING), key=lambda pair: -abs(pair[1]))
    return Direction(name, value, strong[:SHOWN])


def _correlation(scores: Floats, numbers: Floats) -> float | None:
    known = np.isfinite(numbers)
    if known.sum() < _LEAST or np.ptp(numbers[known]) == 0 or np.ptp(scores[known]) == 0:
        return None
    return float(spearmanr(scores[known], numbers[known]).statistic)
