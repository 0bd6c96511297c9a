"""A comparison as tables and sentences, for the terminal and the page."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from medtl.comparison.comparison import BRIER, Candidate, Comparison
from medtl.document.table import Table
from medtl.estimates import number
from medtl.evaluation.contrast import Contrast


def sentence(comparison: Comparison, candidate: Candidate) -> str:
    """`seed-2: better: +0.031 (+0.010 to +0.052) AUROC, one-sided p 0.002`."""
    told = candidate.contrasts[comparison.measure]
    p = {"better": candidate.p_better, "worse": candidate.p_worse}.get(candidate.verdict)
    if p is None:
        p = candidate.p_better if candidate.p_not_worse is None else candidate.p_not_worse
    return f"{candidate.name}: {candidate.verdict}: {_gap(told)} {named(comparison.measure)}, one-sided p {_p(p)}"


def table(comparison: Comparison) -> Table:
    """A row per candidate and figure."""
    rows, raw = [], []
    for candidate in comparison.candidates:
        for name, each in candidate.contrasts.items():
            rows.append([candidate.name, named(name), number(each.reference), number(each.candidate), _gap(each), _p(each.p)])
            raw.append({"candidate": candidate.name, "figure": name, **plain(each)})
    header = ["candidate", "figure", comparison.reference, "candidate's", "difference (95 %)", "p, two-sided"]
    note = f"Above 0 the candidate is the better, of the {BRIER} the worse. Intervals and p by group, not corrected."
    return Table("comparison", "All figures", header, rows, pd.DataFrame(raw), note)


def plain(told: Contrast) -> dict[str, Any]:
    """As JSON and CSV have it; None where the groups are too few for an interval."""
    known = not math.isnan(told.error)
    ends = {"low": told.low, "high": told.high, "p": told.p} if known else {"low": None, "high": None, "p": None}
    return {"reference": told.reference, "value": told.candidate, "difference": told.value, **ends}


def named(figure: str) -> str:
    """As people write it."""
    return figure.replace("auroc", "AUROC")


def _gap(told: Contrast) -> str:
    return f"{told.value:+.3f}" + ("" if math.isnan(told.error) else f" ({told.low:+.3f} to {told.high:+.3f})")


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
