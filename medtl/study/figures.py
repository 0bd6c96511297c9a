"""The learning curves of a study's arms."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import NullLocator

from medtl.report.figures import style


@style.in_style
def learning_curves(points: pd.DataFrame) -> style.Plot:
    """AUROC by number of labels (logarithmic), a line with a band of 95 % for each arm. `points`: as `reading.Reading.curves`."""
    plot = style.new(6.4, 3.2)
    axes = plot.subplots()
    for place, (arm, own) in enumerate(points.groupby("arm", sort=False)):
        own = own.sort_values("labels")
        look = style.line_of(place)
        axes.fill_between(own["labels"], own["low"], own["high"], color=look["color"], alpha=0.12, linewidth=0)
        axes.plot(own["labels"], own["value"], marker="o", markersize=4, label=style.short(str(arm)), **look)
    counts = sorted(points["labels"].unique())
    if len(counts) > 1:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.set(xlabel="labelled images (train and validation)", ylabel="AUROC on test")
    axes.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    axes.legend(loc="lower right")
    return plot
