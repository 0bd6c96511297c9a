"""How well the probabilities rank: ROC and precision-recall curves, with the point that the stored rule works at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from medtl.contracts import Task
from medtl.estimates import number, percent
from medtl.evaluation.cases import Cases
from medtl.report.figures import style
from medtl.report.judged import sides_of

SIDE = 3.5
Mask = NDArray[np.bool_]


@style.in_style
def roc(predictions: pd.DataFrame, task: Task, split: str | None = None) -> style.Plot:
    """Receiver operating characteristic: sensitivity against 1 - specificity, one curve for two classes, else one against rest for each,
    or one for each finding.

    `split`: default the weightiest (external, test, validation). The dot is where `predicted` stands. Unread images have no probability
    and are left out of the curve; a class without cases on both sides has none.
    """
    sides, said = sides_of(predictions, task, split)
    plot = style.new(SIDE, SIDE)
    axes = plot.subplots()
    axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.7, linestyle=(0, (4, 3)))
    style.unit_square(axes, "1 - specificity (false alarms)", "sensitivity (found)")
    axes.set_title(f"ROC ({said})")
    entries = []
    for place, name, positive, score in _sides(sides):
        false, true, _ = roc_curve(positive, score)
        (drawn,) = axes.plot(false, true, **style.line_of(place))
        entries.append((drawn, f"{number(float(auc(false, true)))} {name}"))
    _dots(axes, sides, lambda hit, of_class, called: (_share(called & ~of_class, ~of_class), _share(hit, of_class)))
    _finish(plot, axes, entries, "AUROC", sides)
    return plot


@style.in_style
def pr(predictions: pd.DataFrame, task: Task, split: str | None = None) -> style.Plot:
    """Precision against recall, with the prevalence (the precision of guessing) dotted; curves and `split` as in :func:`roc`."""
    sides, said = sides_of(predictions, task, split)
    plot = style.new(SIDE, SIDE)
    axes = plot.subplots()
    style.unit_square(axes, "recall (sensitivity)", "precision (PPV)")
    axes.set_title(f"Precision-recall ({said})")
    entries = []
    for place, name, positive, score in _sides(sides):
        precision, recall, _ = precision_recall_curve(positive, score)
        look = style.line_of(place)
        (drawn,) = axes.plot(recall, precision, drawstyle="steps-post", **look)
        prevalence = float(positive.mean())
        axes.axhline(prevalence, color=look["color"], linewidth=0.7, linestyle=":")
        entries.append((drawn, f"{number(float(average_precision_score(positive, score)))} {name} ({percent(prevalence)})"))
    _dots(axes, sides, lambda hit, of_class, called: (_share(hit, of_class), _share(hit, called)))
    _finish(plot, axes, entries, "AUPRC (prevalence, dotted)", sides)
    return plot


def _sides(sides: Sequence[Cases]) -> Iterator[tuple[int, str, Mask, NDArray[np.float64]]]:
    """Place of the line, class, (N,) whether of the class, (N,) its probability; the judged classes that have cases on both sides."""
    judged = [(cases, k) for cases in sides for k in (range(len(cases.classes)) if cases.positive is None else [cases.positive])]
    for place, (cases, index) in enumerate(judged):
        positive, score = np.asarray(cases.truth[cases.read] == index), cases.probabilities[cases.read, index]
        if positive.any() and not positive.all():
            yield place, style.short(cases.classes[index]), positive, score


def _dots(axes: Axes, sides: Sequence[Cases], place: Callable[[Mask, Mask, Mask], tuple[float, float]]) -> None:
    """The stored rule's own point, `place` of (hit, of the class, called so); of two classes or findings, for several classes have none."""
    for line, cases in enumerate(sides):
        if cases.positive is not None:
            of_class, called = cases.truth == cases.positive, cases.predicted == cases.positive
            colour = style.VERMILLION if len(sides) == 1 else style.line_of(line)["color"]
            x, y = place(of_class & called, of_class, called)
            axes.plot(x, y, "o", color=colour, markersize=5.5, markeredgecolor="white", zorder=5)


def _share(part: Mask, whole: Mask) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else float("nan")


def _finish(plot: style.Plot, axes: Axes, entries: list[tuple[Line2D, str]], title: str, sides: Sequence[Cases]) -> None:
    """The areas, below the axes, where no curve can run through them."""
    if not entries:
        axes.text(0.5, 0.5, "no cases of two classes", ha="center", color=style.GREY)
        return
    handles, labels = [line for line, _ in entries], [text for _, text in entries]
    if sides[0].positive is not None:
        colour = style.VERMILLION if len(sides) == 1 else style.GREY
        handles.append(Line2D([], [], marker="o", linestyle="", color=colour, markersize=4.5))
        labels.append("where the threshold stands")
    columns = 1 if sum(sorted(map(len, labels))[-2:]) > 50 else 2  # two columns of the longest would run over the edge
    plot.set_figheight(SIDE + 0.15 + 0.17 * (1 - (-len(labels) // columns)))
    plot.legend(handles, labels, title=title, title_fontsize=7.5, loc="outside lower center", ncols=columns, columnspacing=1.2)
