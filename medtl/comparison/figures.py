"""Differences with their intervals, a line for each candidate."""

from __future__ import annotations

from medtl.comparison.comparison import Comparison
from medtl.comparison.text import named
from medtl.report.figures import style


@style.in_style
def forest(comparison: Comparison) -> style.Plot:
    """The measure's difference of every candidate, with 95 % intervals; the margin as a dashed line."""
    plot = style.new(6.4, 0.9 + 0.35 * len(comparison.candidates))
    axes = plot.subplots()
    for place, candidate in enumerate(comparison.candidates):
        told = candidate.contrasts[comparison.measure]
        axes.errorbar(told.value, -place, xerr=[[told.value - told.low], [told.high - told.value]], fmt="o", color=style.BLUE, capsize=3)
    axes.axvline(0, color=style.PALE, linewidth=1)
    if comparison.margin is not None:
        axes.axvline(-comparison.margin, color=style.VERMILLION, linewidth=1, linestyle="--")
    axes.set_yticks([-place for place in range(len(comparison.candidates))], [style.short(each.name) for each in comparison.candidates])
    axes.set_ylim(-len(comparison.candidates) + 0.5, 0.5)
    axes.set_xlabel(f"{named(comparison.measure)}: candidate less {style.short(comparison.reference)}")
    return plot
