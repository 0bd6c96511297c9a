"""The ranking as figures: the probe of every candidate, and what each score was worth against training."""

from __future__ import annotations

import math

from medtl.ranking.kept import SCORES, TUNED, Ranking
from medtl.report.figures import style

COLUMNS = 3


@style.in_style
def probes(ranking: Ranking) -> style.Plot:
    """Out-of-fold score of each candidate's linear probe with its interval, best on top; after tuning, that score beside it."""
    known = [each for each in ranking.candidates if each.figures["probe"].get("value") is not None]
    plot = style.new(6.4, 0.8 + 0.28 * len(known))
    axes = plot.subplots()
    for place, each in enumerate(reversed(known)):
        figure = each.figures["probe"]
        colour = style.BLUE if each.pretrained else style.GREY
        if figure.get("low") is not None:
            axes.plot([figure["low"], figure["high"]], [place, place], color=colour, linewidth=1.2)
        axes.plot(figure["value"], place, "o", color=colour, markersize=5, label="linear probe, out of fold" if not place else None)
        if ranking.tuned and each.figures[TUNED].get("value") is not None:
            label = "tuned, validation" if not place else None
            axes.plot(each.figures[TUNED]["value"], place, "D", color=style.VERMILLION, markersize=4, label=label)
    axes.set_yticks(range(len(known)), [style.short(each.name, 40) for each in reversed(known)])
    axes.set_xlabel(ranking.headline)
    axes.grid(axis="x", color=style.PALE, linewidth=0.4)
    if ranking.tuned and known:
        plot.legend(loc="outside lower center", ncols=2)
    return plot


@style.in_style
def foreseen(ranking: Ranking) -> style.Plot:
    """Each score against the tuned one, a dot per candidate, with Kendall's tau."""
    names = list(ranking.agreements)
    rows = math.ceil(len(names) / COLUMNS)
    plot = style.new(6.4, 2.1 * rows)
    panels = plot.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        for each in ranking.candidates:
            colour = style.BLUE if each.pretrained else style.GREY
            axes.plot(each.value(name), each.value(TUNED), "o", color=colour, markersize=4)
        axes.set_title(f"{SCORES[name]}: tau {ranking.agreements[name].tau:+.2f}")
        axes.set_xlabel(f"minus {SCORES[name]}" if name == "distance" else SCORES[name])
        axes.set_ylabel("tuned")
    return plot
