"""Whether answers agree with the truth: calibration (reliability with counts) and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from medtl.contracts import Task
from medtl.estimates import percent
from medtl.evaluation import confusion as counting
from medtl.evaluation import intervals
from medtl.evaluation.cases import Cases
from medtl.report.figures import style
from medtl.report.judged import cases_of, sides_of

BINS = 10


class Bin(NamedTuple):
    """Images whose probability lies in one tenth: their mean probability, the share that was so, and its 95 % interval (NaN: one group)."""

    probability: float
    observed: float
    low: float
    high: float
    images: int


@style.in_style
def calibration(predictions: pd.DataFrame, task: Task, split: str | None = None) -> style.Plot:
    """Do the probabilities mean what they say? Above: predicted against observed with 95 % intervals; below: how many images.

    Two classes: the positive class's probability. Several: the largest one against how often it was right. Several findings per image: a
    line for each. `split` as in :func:`medtl.report.figures.ranking.roc`; unread images are left out.
    """
    sides, said = sides_of(predictions, task, split)
    plot = style.new(3.5, 3.65)
    upper, lower = plot.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    upper.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    drawn = [_line(upper, cases, style.BLUE if len(sides) == 1 else style.line_of(place)["color"]) for place, cases in enumerate(sides)]
    event = _event(sides)
    upper.set(ylim=(-0.02, 1.02), xlim=(-0.01, 1.01), ylabel=f"observed share {event}")
    upper.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    upper.set_title(f"Calibration ({said})")
    score = np.concatenate([_events(cases)[0] for cases in sides])
    lower.hist(score, bins=np.linspace(0, 1, BINS + 1).tolist(), color=style.PALE, edgecolor="white", linewidth=0.6)
    lower.set(xlabel=f"predicted probability {event}", ylabel="images")
    if len(sides) > 1:
        plot.legend(drawn, [style.short(cases.classes[-1]) for cases in sides], loc="outside lower center", ncols=3)
    return plot


def _line(axes: Axes, cases: Cases, colour: str) -> Line2D:
    """One reliability curve; a dot's size says how many images it is of."""
    found = reliability(cases)
    x, y = [each.probability for each in found], [each.observed for each in found]
    for each in found:
        if np.isfinite(each.low):
            axes.plot([each.probability] * 2, [each.low, each.high], color=colour, linewidth=1, alpha=0.55)
    (drawn,) = axes.plot(x, y, color=colour, linewidth=0.8)
    axes.scatter(x, y, s=[6 + 60 * each.images / len(cases.truth) for each in found], color=colour, zorder=3)
    return drawn


def _event(sides: Sequence[Cases]) -> str:
    """What the probability is of."""
    cases = sides[0]
    if len(sides) > 1:
        return "of the finding"
    return f"of {style.short(cases.classes[cases.positive])}" if cases.positive is not None else "of being right"


def reliability(cases: Cases) -> list[Bin]:
    """The bins of :func:`calibration` that hold images, from low to high probability; intervals count groups (Wilson, design effect)."""
    score, event = _events(cases)
    groups = cases.groups[cases.read]
    place = np.clip((score * BINS).astype(np.int64), 0, BINS - 1)
    found = []
    for index in np.unique(place):
        inside = place == index
        share = float(event[inside].mean())
        within = intervals.Interval(float("nan"), float("nan"))
        if len(np.unique(groups[inside])) > 1:
            within = intervals.wilson(share, intervals.effective_cases(event[inside], groups[inside]))
        found.append(Bin(float(score[inside].mean()), share, within.low, within.high, int(inside.sum())))
    return found


def _events(cases: Cases) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N,) probability and (N,) whether it came true, of the images read."""
    truth, p = cases.truth[cases.read], cases.probabilities[cases.read]
    if cases.positive is not None:
        return p[:, cases.positive], np.asarray(truth == cases.positive)
    return p.max(axis=1, initial=0), np.asarray(p.argmax(axis=1) == truth)


@style.in_style
def confusion(predictions: pd.DataFrame, task: Task, split: str | None = None) -> style.Plot:
    """Rows = truth, columns = predicted: counts, coloured by the share of the row; a last column for images that could not be read."""
    cases, said = cases_of(predictions, task, split)
    table, unread = counting.confusion(cases.truth, cases.predicted, len(cases.classes))
    names = [style.short(name, 20) for name in cases.classes]
    columns = names
    if unread.any():
        table, columns = np.column_stack([table, unread]), [*columns, "not read"]
    side = 1.6 + 0.5 * len(cases.classes)
    plot = style.new(max(3.5, side + 0.3), max(2.9, side))
    axes = plot.subplots()
    shares = table / np.maximum(1, table.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for (row, column), count in np.ndenumerate(table):
        colour = "white" if shares[row, column] > 0.6 else style.INK
        bold = "bold" if row == column else "normal"
        axes.text(column, row - 0.1 if count else row, f"{count:,}", ha="center", va="center", color=colour, fontsize=8.5, fontweight=bold)
        if count:
            axes.text(column, row + 0.22, percent(shares[row, column], 0), ha="center", va="center", color=colour, fontsize=6.5)
    tilted = len(columns) > 3 or max(map(len, columns)) > 14
    axes.set_xticks(range(len(columns)), columns, rotation=35 if tilted else 0, ha="right" if tilted else "center", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="predicted", ylabel="truth")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(f"Confusion ({said})")
    return plot
