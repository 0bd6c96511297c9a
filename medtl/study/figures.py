"""The figures of a study: learning curves of its arms; how a search went, and what mattered in it; candidates of adaptation."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from medtl.adaptation import SOURCE_ONLY
from medtl.evaluation.crossed import within
from medtl.report.figures import style
from medtl.study.adapted import Adapted
from medtl.study.trials import DONE, PRUNED

MANY = 4
"""Lines; more have their legend below the axes."""


@style.in_style
def learning_curves(points: pd.DataFrame, labels: str = "labelled images (train and validation)") -> style.Plot:
    """AUROC by number of labels (logarithmic), a line with a band of 95 % for each arm. `points`: as `reading.Reading.curves`."""
    arms = points["arm"].nunique()
    many = arms > MANY
    plot = style.new(6.4, 3.2 + (0.1 * arms if many else 0))
    axes = plot.subplots()
    for place, (arm, own) in enumerate(points.groupby("arm", sort=False)):
        own = own.sort_values("labels")
        look = style.line_of(place)
        axes.fill_between(own["labels"], own["low"], own["high"], color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(own["labels"], own["value"], marker="o", markersize=4, label=style.short(str(arm), 44 if many else 26), **look)
    counts = sorted(points["labels"].unique())
    if len(counts) > 1:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.set(xlabel=labels, ylabel="AUROC on test")
    axes.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    if many:  # beside so many lines there is no room left
        plot.legend(loc="outside lower center", ncols=2)
    else:
        axes.legend(loc="lower right")
    return plot


@style.in_style
def search_history(trials: pd.DataFrame) -> style.Plot:
    """Validation score by trial, and the best so far. `trials`: in their order, a row each with `state`, `validation`, `fold` (empty where
    there is one search)."""
    plot = style.new(6.4, 2.8)
    axes = plot.subplots()
    for place, (fold, own) in enumerate(trials.groupby("fold", sort=True, dropna=False)):
        _history(axes, own.reset_index(drop=True), place, "" if pd.isna(fold) else f" in fold {int(fold)}")
    axes.set(xlabel="trial (0 is the base)", ylabel="validation score")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    plot.legend(loc="outside upper left", ncols=4)
    return plot


def _history(axes: Axes, trials: pd.DataFrame, place: int, where: str) -> None:
    look, done = style.line_of(place), trials[trials["state"] == DONE]
    pruned = trials[trials["state"] == PRUNED]
    axes.plot(done.index, done["validation"], "o", markersize=3.5, color=look["color"], alpha=0.7)
    axes.plot(
        pruned.index, pruned["validation"], "x", markersize=4, color=style.GREY, label="pruned" if place == 0 and len(pruned) else None
    )
    best = done["validation"].cummax().reindex(trials.index).ffill()
    axes.step(best.index, best, where="post", label=f"best so far{where}", **look)


@style.in_style
def importance_bars(importance: Mapping[str, float]) -> style.Plot:
    """Each setting's share of the spread of the validation score, the largest on top."""
    plot = style.new(6.4, 0.7 + 0.28 * len(importance))
    axes = plot.subplots()
    names = sorted(importance, key=lambda name: importance[name])
    axes.barh([style.short(name, 40) for name in names], [importance[name] for name in names], color=style.BLUE, height=0.6)
    for place, name in enumerate(names):
        axes.text(importance[name] + 0.01, place, f"{importance[name]:.2f}", va="center", fontsize=7.5)
    axes.set(xlim=(0, 1.08), xlabel="importance: share of the spread of the validation score")
    return plot


@style.in_style
def candidates_and_ceilings(of: Adapted, wanted: float | None = None) -> style.Plot:
    """A dot with its 95 % interval for each candidate, a tick for each seed; ceilings, brightness and what is wanted as lines."""
    names = list(of.candidates)
    plot = style.new(6.4, 1.3 + 0.27 * len(names))
    axes = plot.subplots()
    for place, name in enumerate(reversed(names)):
        line = of.candidates[name]
        low, high = within(line.auroc)
        colour = style.INK if name == SOURCE_ONLY else style.BLUE
        axes.plot([low, high], [place, place], color=colour, solid_capstyle="butt")
        axes.plot(line.auroc.values, [place] * len(line.auroc.values), "|", color=colour, markersize=6, alpha=0.6)
        axes.plot([line.auroc.mean], [place], "o", color=colour, markersize=5 if name == of.primary else 4)
    kinds = [("-", of.ceilings), ("--", of.brightness)]
    marks = [(name, line.auroc.mean, dash) for dash, lines in kinds for name, line in lines.items()]
    for place, (name, value, dash) in enumerate([*marks, *([("wanted", wanted, ":")] if wanted is not None else [])], start=1):
        axes.axvline(value, label=f"{name} {value:.3f}", linewidth=1.1, color=style.COLOURS[place % len(style.COLOURS)], linestyle=dash)
    axes.axvline(0.5, color=style.PALE, linewidth=0.8, zorder=0)
    shown = [f"{name} (primary)" if name == of.primary else name for name in reversed(names)]
    axes.set_yticks(range(len(names)), shown)
    axes.set(xlabel=f"AUROC on test patients of {of.opened[0].domain}, 95 % interval; a tick is a seed", ylim=(-0.6, len(names) - 0.4))
    axes.grid(axis="x", color=style.PALE, linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
    plot.legend(loc="outside lower center", ncols=2)
    return plot
