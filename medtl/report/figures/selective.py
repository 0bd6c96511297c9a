"""How often it would be wrong if only the surest images were answered."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medtl.contracts import Task, Threshold
from medtl.errors import MedtlError
from medtl.estimates import number
from medtl.evaluation import answering
from medtl.predictions import NO_ANSWER
from medtl.report.figures import style
from medtl.report.judged import judged

_RESAMPLES = 1000


@style.in_style
def risk_coverage(predictions: pd.DataFrame, task: Task, split: str | None = None, threshold: Threshold | None = None) -> style.Plot:
    """The share called wrong among the surest images, over how many are answered, with its 95 % band by group; dot: as it is used, where
    some images that were read get no answer. `threshold`: the stored one; `split` as in :func:`medtl.report.figures.ranking.roc`.

    Raises MedtlError where no image was read.
    """
    rows = judged(predictions, split)
    found = answering.risk_coverage(rows, task, threshold, resamples=_RESAMPLES)
    if found is None:
        raise MedtlError("no image was read, so there is no curve of mistakes over coverage")
    plot = style.new(3.5, 3.4)
    axes = plot.subplots()
    axes.fill_between(found.coverage, found.low, found.high, color=style.BLUE, alpha=0.15, linewidth=0)
    axes.plot(found.coverage, found.risk, color=style.BLUE, label=f"surest first (AURC {number(found.aurc['value'])})")
    axes.axhline(found.risk[-1], color=style.GREY, linewidth=0.9, linestyle="--", label="at random")
    read = rows[rows["predicted"] != ""]
    given = read[read["decision"] != NO_ANSWER]
    if 0 < len(given) < len(read):
        wrong = float((given["predicted"] != given["truth"]).mean()) if task.kind == "single" else float("nan")
        look: dict[str, Any] = {"color": style.VERMILLION, "markersize": 5.5, "markeredgecolor": "white", "zorder": 5}
        axes.plot([len(given) / len(read)], [wrong], "o", label="as it is used", **look)
    most = float(max(found.high.max(), found.risk.max(), 0.05))
    axes.set(
        xlim=(0, 1.01), ylim=(0, min(1.0, 1.08 * most)), xlabel="answered, of the images read", ylabel="called wrong, of those answered"
    )
    axes.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    axes.set_title(f"Risk and coverage ({rows['split'].iloc[0]}, {len(read):,} images)")
    plot.legend(loc="outside lower center", ncols=2)
    return plot
