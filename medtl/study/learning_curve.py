"""How many labels an AUROC would take: a power law through the learning curve (Hestness et al., 2017), with its band.

The error 1 - AUROC falls as a · n^-b: a straight line in logarithms. Fitted anew on every draw of trainings and test groups; said only
up to twice the labels at hand, for beyond that the law is a hope, and only where every measured point may lie on the line.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation.crossed import Repeated, interval
from medtl.study.reading import Claim

Floats = NDArray[np.float64]
REACH = 2
"""Times the largest number of labels at hand."""
DRAWS = 2000
ROUNDING = 1e-9


def labels_for(arm: str, wanted: float, points: Mapping[int, Repeated], seed: int = 0) -> Claim:
    """The claim how many labels `arm` needs for the AUROC `wanted`; `points`: number of labels -> AUROC of all trainings with them."""
    what = f"labels for an AUROC of {wanted:g} with {arm}"
    counts = np.array(sorted(points), dtype=np.float64)
    if len(counts) < 3:
        return Claim(what, False, "a curve needs at least three numbers of labels")
    means = np.array([[points[int(count)].mean for count in counts]])
    most = REACH * counts[-1]
    if interval(points[int(counts[0])]).low > wanted:
        return Claim(what, True, f"fewer than {counts[0]:,.0f}, the fewest that were tried")
    needed = float(_needed(counts, means, wanted)[0])
    band = _needed(counts, _draws(counts, points, seed), wanted)
    low, high = np.quantile(band, [0.025, 0.975], method="inverted_cdf")  # which does not interpolate to infinity
    if not high <= most:
        text = (
            f"not within {most:,.0f}, twice the labels at hand"
            if not low <= most
            else f"at least {low:,.0f}, perhaps more than {most:,.0f}"
        )
        return Claim(what, False, text)
    off = [count for count in counts if not _on_the_line(float(_at(counts, means, count)[0]), points[int(count)])]
    if off:
        places = ", ".join(f"{count:,.0f}" for count in off)
        return Claim(what, False, f"the curve does not go on as a power law: with {places} labels it lies off the line")
    if needed < counts[0]:
        return Claim(what, True, f"at most {high:,.0f}; fewer than {counts[0]:,.0f} were not tried", {"high": float(high)})
    figures = {"value": needed, "low": float(low), "high": float(high)}
    kind = "within the data" if needed <= counts[-1] else "extrapolated"
    return Claim(what, True, f"about {needed:,.0f} ({low:,.0f} to {high:,.0f}; {kind})", figures)


def _on_the_line(expected: float, measured: Repeated) -> bool:
    low, high = interval(measured)
    return low - ROUNDING <= expected <= high + ROUNDING


def _draws(counts: Floats, points: Mapping[int, Repeated], seed: int) -> Floats:
    """(DRAWS, points) means of the curve: test groups drawn together for all points, trainings by their own spread."""
    chance = np.random.default_rng(seed)
    columns = []
    for count in counts:
        cell = points[int(count)]
        spread = float(np.std(cell.values, ddof=1)) / np.sqrt(len(cell.values)) if len(cell.values) > 1 else 0.0
        drawn = np.nanmean(cell.drawn, axis=0)
        columns.append(np.resize(drawn, DRAWS) + spread * chance.standard_t(max(1, len(cell.values) - 1), DRAWS))
    return np.stack(columns, axis=1)


def _needed(counts: Floats, curves: Floats, wanted: float) -> Floats:
    """(R,) labels at which each of the (R, points) curves reaches `wanted`; infinite where it does not rise."""
    start, slope = _line(counts, curves)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(slope < 0, np.exp((np.log(1 - wanted) - start) / slope), np.inf)


def _at(counts: Floats, curves: Floats, count: float) -> Floats:
    """(R,) what the line through each curve says of `count` labels."""
    start, slope = _line(counts, curves)
    return 1 - np.asarray(np.exp(start + slope * np.log(count)))


def _line(counts: Floats, curves: Floats) -> tuple[Floats, Floats]:
    """Least squares in logarithms: log(1 - AUROC) = start + slope · log(labels), each (R,)."""
    errors = np.log(np.clip(1 - curves, 1e-4, 1.0))
    x = np.log(counts)
    slope = ((x - x.mean()) * (errors - errors.mean(axis=1, keepdims=True))).sum(axis=1) / ((x - x.mean()) ** 2).sum()
    return errors.mean(axis=1) - slope * x.mean(), slope
