"""A shift as a figure."""

from __future__ import annotations

from medtl.report.figures import style
from medtl.shift.examine import Shift

MOST = 14


@style.in_style
def columns_drawn(shift: Shift) -> style.Plot:
    """How far each measured column lies from the source's (0 alike, 1 apart), beside what halves of the source show; worst on top."""
    columns = list(shift.columns[:MOST])[::-1]
    plot = style.new(6.4, 0.7 + 0.2 * max(len(columns), 1))
    axes = plot.subplots()
    for place, column in enumerate(columns):
        axes.plot([0, column.null_high], [place, place], color=style.PALE, linewidth=5, solid_capstyle="butt")
        colour, shape = (style.VERMILLION, "D") if column.stands_out else (style.BLUE, "o")
        axes.plot(column.distance, place, shape, color=colour, markersize=4.5)
    axes.set_yticks(range(len(columns)), [style.short(column.name.replace("_", " "), 30) for column in columns])
    axes.set(xlim=(0, 1.02), xlabel="distance (grey: 95 of 100 halves of the source; diamond: beyond chance)")
    return plot
