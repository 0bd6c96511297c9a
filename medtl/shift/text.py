"""What was found as sentences, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from medtl.estimates import number, percent
from medtl.evaluation.table import plural
from medtl.shift.columns import ColumnShift
from medtl.shift.examine import LEVEL, Shift
from medtl.shift.measured import property_named

FAR = 1.0
"""A standardised mean difference that is said to be large."""
LITTLE = 0.2
"""One below which the mean is no word for what differs; medians may then point the other way."""
NO_EM = " (EM is not shown: of the source's own images it misses the known shares, so the probabilities are not calibrated well enough)"
HALVES = "halves of the source, 95 of 100 at most"
SIGNS = {
    "measured": "measured columns, largest excess",
    "probe": "domain probe, AUROC",
    "mmd": "squared MMD of the features",
    "answers": "the model's answers, largest excess",
}


def column_sentence(column: ColumnShift) -> str:
    """`brightness is lower (0.42 against 0.51, -1.2 standard deviations)`; of words `format is other (JPEG (100 %) against PNG (97 %))`."""
    name, against = column.name.replace("_", " "), f"{column.target} against {column.source}"
    if column.difference is None:
        return f"{name} is other ({against})"
    if abs(column.difference) < LITTLE:
        return f"{name} is spread otherwise ({against} in the middle)"
    return f"{name} is {'higher' if column.difference > 0 else 'lower'} ({against}, {column.difference:+.1f} standard deviations)"


def looked_at(shift: Shift, most: int = 7) -> list[str]:
    """What a probe of the domain looks at: of each property the column that stands out most, then directions of the features."""
    out: dict[str, ColumnShift] = {}
    for column in shift.columns:
        if column.stands_out:
            out.setdefault(property_named(column.name), column)
    told = [f"At the target {'; '.join(column_sentence(column) for column in list(out.values())[:most])}."] if out else []
    if shift.directions and any(sign.name in ("probe", "mmd") for sign in shift.alarms):
        told.append(f"Inside each place, {'; '.join(each.sentence() for each in shift.directions[:2])}.")
    return told


def cause(shift: Shift) -> str:
    """Whether it is the images, or only how many are ill; empty where nothing is known of that."""
    if shift.check is None:
        return ""
    if shift.check.p is None:
        return f"Whether only the shares of the classes differ cannot be told: {shift.check.why}."
    if not shift.check.passes:
        return "Prevalence is not shown: the images themselves changed, not only how many are ill."
    if shift.only_shares:
        return "Another share of the classes explains the difference, as far as can be seen: the images of a class look as before."
    return "Nothing speaks against equal images of each class."


def prevalence(shift: Shift) -> list[str]:
    """`pneumonia: 0.12 (0.08 to 0.17) by BBSE, …` for each class; of two for the second. Empty where the check did not pass."""
    own = range(1, 2) if len(shift.classes) == 2 else range(len(shift.classes))
    without = "" if any(s.method == "EM" for s in shift.shares) else NO_EM
    return [
        f"{shift.classes[k]}: "
        + ", ".join(f"{number(s.value[k])} ({number(s.low[k])} to {number(s.high[k])}) by {s.method}" for s in shift.shares)
        + without
        for k in own
        if shift.shares
    ]


def lines(shift: Shift, unit: str) -> list[str]:
    """For a terminal, the verdict first."""
    told = [f"VERDICT  {shift.verdict}"]
    told += [f"  {sentence}" for sentence in looked_at(shift)]
    told += [f"  {cause(shift)}"] if cause(shift) else []
    told += [f"  share of {sentence}" for sentence in prevalence(shift)]
    told += [f"  accuracy there, {each.sentence()}" for each in shift.accuracy]
    near, far = shift.compared
    told.append(
        f"  {shift.target_patients:,} {plural(unit)} against {shift.source_patients:,}: {far:,} and {near:,} of them drawn many times, "
        f"one image each; {len(shift.signs)} signs, false alarms in at most {percent(LEVEL)} of equal hospitals"
    )
    return told


def signs_table(shift: Shift) -> pd.DataFrame:
    """A row per sign: what was found, and what halves of the source show."""
    return pd.DataFrame(
        [
            {"what": SIGNS[s.name], "found": round(s.value, 4), HALVES: round(s.null_high, 4),
             "p": round(s.p, 4), "alarm": "yes" if s in shift.alarms else ""}
            for s in shift.signs
        ]
    )  # fmt: skip


def columns_table(shift: Shift) -> pd.DataFrame:
    """A row per measured column: distance (Kolmogorov-Smirnov, or total variation), direction, typical values."""
    return pd.DataFrame(
        [
            {"what": c.name.replace("_", " "), "found": round(c.distance, 4), HALVES: round(c.null_high, 4),
             "standardised difference": None if c.difference is None else round(c.difference, 2), "source": c.source, "target": c.target,
             "alarm": "stands out" if c.stands_out else ""}
            for c in shift.columns
        ]
    )  # fmt: skip


def to_json(shift: Shift) -> dict[str, Any]:
    """The content of shift.json, without its format and names."""
    return {
        "verdict": shift.verdict,
        "alarm": bool(shift.alarms),
        "patients": {"source": shift.source_patients, "target": shift.target_patients, "compared": list(shift.compared)},
        "signs": [
            {"name": s.name, "words": s.words, "value": s.value, "null_95": s.null_high, "p": s.p, "alarm": s in shift.alarms}
            for s in shift.signs
        ],
        "probe": shift.probe and {"auroc": shift.probe.auroc, "error": shift.probe.error, "a_distance": shift.probe.a_distance},
        "columns": [
            {"name": c.name, "distance": c.distance, "null_95": c.null_high, "difference": c.difference, "source": c.source,
             "target": c.target, "stands_out": c.stands_out}
            for c in shift.columns
        ],
        "looks_at": looked_at(shift),
        "directions": [{"name": d.name, "auroc": d.auroc, "along": dict(d.along)} for d in shift.directions],
        "prevalence": _prevalence(shift),
        "accuracy": [each.to_json() for each in shift.accuracy],
        "far_off": shift.far_off,
    }  # fmt: skip


def _prevalence(shift: Shift) -> dict[str, Any]:
    def of(values: Sequence[float]) -> dict[str, float]:
        return {name: float(value) for name, value in zip(shift.classes, values, strict=True)}

    return {
        "shown": bool(shift.shares),
        "why": cause(shift),
        "check_p": shift.check.p if shift.check else None,
        "estimates": {
            s.method: {"value": of(s.value.tolist()), "low": of(s.low.tolist()), "high": of(s.high.tolist())} for s in shift.shares
        },
    }
