"""Whether acting on the model's answers is worth it: the decision curve of a task of two classes."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.estimates import number
from medtl.evaluation import net_benefit
from medtl.report.figures import style
from medtl.report.judged import cases_of


@style.in_style
def decision_curve(predictions: pd.DataFrame, task: Task, split: str | None = None, threshold: float | None = None) -> style.Plot:
    """Net benefit over thresholds beside treating all and none; dot: the stored `threshold` (of one model; folds have several).

    `split` as in :func:`medtl.report.figures.ranking.roc`. Raises MedtlError where the task has not two classes.
    """
    if task.positive_index is None:
        raise MedtlError("a decision curve is of two classes, treat or not; this task has others")
    cases, said = cases_of(predictions, task, split)
    score, ill = cases.probabilities[:, task.positive_index], cases.truth == task.positive_index
    plot = style.new(3.5, 3.4)
    axes = plot.subplots()
    cuts = net_benefit.THRESHOLDS
    axes.plot(cuts, net_benefit.net_benefit(score, ill), color=style.BLUE, label="the model")
    axes.plot(cuts, net_benefit.treat_all(ill), color=style.GREY, linewidth=0.9, linestyle="--", label="treat all")
    axes.axhline(0, color=style.INK, linewidth=0.7, linestyle=":", label="treat none")
    most = max(float(ill.mean()), 0.05)
    least = -0.25 * most
    axes.set(xlim=(0, 1), ylim=(least, 1.05 * most))
    if threshold is not None and 0 < threshold < 1:
        _mark(axes, threshold, float(net_benefit.net_benefit(score, ill, [threshold])[0]), least)
    axes.set(xlabel=f"threshold probability of {style.short(task.names[task.positive_index])}", ylabel="net benefit an image")
    axes.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    axes.set_title(f"Decision curve ({said})")
    plot.legend(loc="outside lower center", ncols=2)
    return plot


def _mark(axes: Axes, threshold: float, benefit: float, least: float) -> None:
    """The threshold in use. Near 1 it may cost more than the axes show (a false alarm weighs t / (1 - t)) and stands at their edge."""
    inside = benefit >= least
    label = f"the threshold in use, {number(threshold)}" + ("" if inside else f" ({benefit:.3g}, below)")
    look: dict[str, Any] = {"color": style.VERMILLION, "markersize": 5.5, "markeredgecolor": "white", "zorder": 5, "clip_on": False}
    axes.plot([threshold], [max(benefit, least)], "o" if inside else "v", label=label, **look)
