"""Shortcuts: can the label be told from the file, the frame, the device, the site or a fact of the table, without looking at the picture?

Every property is tried alone (:mod:`medtl.audit.telling`). What tells the label may be learned instead of the disease: bytes and
sizes of files tell pneumonia from normal in a public set of children's radiographs, markers and hospitals in others (Zech et al.,
PLOS Medicine 2018; DeGrave et al., Nature Machine Intelligence 2021).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.findings import Finding, Severity
from medtl.audit.joined import groups_of, in_use, joined, keys_of, numbers_of
from medtl.audit.properties import Kind, Property, properties_of, with_derived
from medtl.audit.telling import FEW_GROUPS, Told, clear_examples, told
from medtl.estimates import interval, number, percent

NOTABLE = 0.60
"""Where the interval of an AUROC begins at or above this. Chance is 0.5."""
GRAVE: dict[Kind, float] = {"mark": 0.75, "table": 0.85, "file": 0.85, "picture": np.inf, "patient": np.inf}
"""The same. Grey levels never are: the illness itself changes them, and melanomas are dark. Nor is what is true of the patients."""


def shortcuts(records: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """One TELLTALE_<PROPERTY> for each property that tells the label, worst first, then TELLTALES: all that were tried.

    Labelled images in use count; a class needs ten groups (patients) to be judged. `notable` from an AUROC whose interval begins at 0.6,
    `grave` from :data:`GRAVE`; of several classes the clearest counts.
    """
    rows = joined(records, measurements)
    rows = with_derived(rows[in_use(rows)].reset_index(drop=True))
    groups = groups_of(rows)
    results = [(each, told(rows[list(each.columns)], rows["label"], groups)) for each in properties_of(records, rows)]
    answered = sorted(((each, found) for each, found in results if found), key=lambda pair: -_worst_low(pair[1]))
    findings = [_finding(each, found, severity, rows, groups) for each, found in answered if (severity := _severity(each, found))]
    order: dict[Severity, int] = {"grave": 0, "notable": 1, "note": 2}
    return [*sorted(findings, key=lambda finding: order[finding.severity]), *_overview(results, rows)]


def _worst_low(found: Told) -> float:
    return max(found.interval.low, found.each[found.clearest][1].low)


def _severity(each: Property, found: Told) -> Severity | None:
    low = _worst_low(found)
    return "grave" if low >= GRAVE[each.kind] else "notable" if low >= NOTABLE else None


def _finding(each: Property, found: Told, severity: Severity, rows: pd.DataFrame, groups: NDArray[np.int64]) -> Finding:
    shown = clear_examples(found.scores, rows["label"].tolist()) if each.kind in ("mark", "file", "picture") else []
    keys = keys_of(rows)
    return Finding(
        code=each.code,
        severity=severity,
        title=f"The label can be told from {each.words} alone: {_figures(found)}",
        advice=_ADVICE[each.kind],
        table=_by_class(each, found, rows, groups),
        images=[keys[position] for position in shown],
    )


def _figures(found: Told) -> str:
    """Such as `AUROC 0.893 (0.876 to 0.908)`; of several classes the mean and the clearest."""
    mean = _auroc(found.value, found.interval.low, found.interval.high)
    if len(found.classes) == 1:
        return f"AUROC {mean}; chance is 0.5"
    value, around = found.each[found.clearest]
    return f"mean AUROC {mean}, clearest for '{found.classes[found.clearest]}' with {_auroc(value, around.low, around.high)}; chance is 0.5"


def _auroc(value: float, low: float, high: float) -> str:
    return f"{number(value)} ({interval({'low': low, 'high': high})})"


_LEARNED_INSTEAD = (
    "The network may learn this instead of the illness, and then fails where it differs. Find out why the classes differ in it "
    "(two sources, devices, export routes?); balance or crop it away, and test on images where it says nothing about the label."
)
_ADVICE: dict[Kind, str] = {
    "mark": _LEARNED_INSTEAD,
    "file": _LEARNED_INSTEAD,
    "picture": (
        "The illness may change this itself. But a network that only sees it is no better than a light meter: report this figure beside "
        "the network's, and compare intensity: percentile."
    ),
    "patient": (
        "True of the patients, perhaps, but no sign in the picture. Report results within its strata; elsewhere the mixture will differ."
    ),
    "table": (
        "If the picture shows where or how its label was made, the network may learn that. A reference standard that differs between the "
        "classes (one proven by histology, one by looking) makes results look better than they are: report within its strata."
    ),
}


def _by_class(each: Property, found: Told, rows: pd.DataFrame, groups: NDArray[np.int64]) -> pd.DataFrame:
    """A row per class: its AUROC where judged, and what is typical of it."""
    figures = dict(zip(found.classes, found.each, strict=True))
    lines = []
    for name in sorted(rows["label"].unique()):
        own = rows["label"] == name
        line: dict[str, object] = {"class": name, "images": int(own.sum()), "groups": int(np.unique(groups[own]).size)}
        if name in figures:
            value, around = figures[name]
            line |= {"auroc": round(value, 4), "low": round(around.low, 4), "high": round(around.high, 4)}
        lines.append(line | {column: _typical(rows.loc[own, column]) for column in each.columns})
    return pd.DataFrame(lines)


def _typical(values: pd.Series) -> str:
    """Of numbers the median [quartiles], of words the commonest two with their shares."""
    numbers = numbers_of(values)
    if numbers is not None:
        if not np.isfinite(numbers).any():
            return "unknown"
        low, middle, high = np.nanquantile(numbers, [0.25, 0.5, 0.75])
        return f"{middle:.4g} [{low:.4g}, {high:.4g}]"
    shares = values.replace("", "unknown").value_counts(normalize=True).head(2)
    return ", ".join(f"{word} {percent(float(share))}" for word, share in shares.items())


def _overview(results: list[tuple[Property, Told | None]], rows: pd.DataFrame) -> list[Finding]:
    """What was tried, with its figure or why there is none."""
    tried = [(each, found) for each, found in results if found]
    lines = [
        {
            "property": each.words, "kind": each.kind, "auroc": round(found.value, 4), "low": round(found.interval.low, 4),
            "high": round(found.interval.high, 4), "clearest class": found.classes[found.clearest],
            "its auroc": round(found.each[found.clearest][0], 4), "code": each.code if _severity(each, found) else "",
        }
        for each, found in sorted(tried, key=lambda pair: -_worst_low(pair[1]))
    ]  # fmt: skip
    if not lines:
        reason = f"two classes with {FEW_GROUPS} groups each are needed" if len(rows) else "there are no labelled images"
        return [Finding("TELLTALES", "note", f"Shortcuts could not be looked for: {reason}")]
    telling = sum(1 for line in lines if line["code"])
    same = [each.words for each, found in results if not found]
    title = (
        f"{len(lines)} properties other than the picture were tried alone; {telling or 'none'} tell{'s' if telling == 1 else ''} the label"
    )
    advice = f"The same for every image, so not tried: {', '.join(same)}." if same else ""
    return [Finding("TELLTALES", "note", title, advice, pd.DataFrame(lines))]
