"""Who and what the images of each class are: label × domain × view × sex × age, values that come with one class only, what is unknown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from medtl.audit.findings import Finding
from medtl.audit.joined import groups_of, in_use, joined, kept_columns, numbers_of
from medtl.audit.properties import properties_of, with_derived
from medtl.audit.telling import FEW_GROUPS, told
from medtl.contracts import EXCLUDED
from medtl.errors import listed
from medtl.estimates import interval, number, percent

AGE_BANDS = (18, 40, 60, 75)
"""Years at which a band begins, after the first."""
UNLIKELY = 0.001
"""A value whose images are all of one class is reported where chance would do that less often than this."""
_LEVELS = 30
"""Of a column with more values only the commonest are looked at."""


def confounders(records: pd.DataFrame, measurements: pd.DataFrame) -> list[Finding]:
    """Findings ONE_CLASS_ONLY, DOMAINS_DIFFER (what tells the domains apart), UNKNOWN_FACTS, and CROSS_TABLE, which counts the
    images in use by label, domain, view, sex and age."""
    rows = joined(records, measurements)
    used = rows[in_use(rows)].reset_index(drop=True)
    facts = _facts(used, kept_columns(records))
    return [
        *_one_class_only(used, facts),
        *_domains_differ(records, rows),
        *_unknown_facts(facts),
        *_cross_table(used, facts),
    ]


def age_band(years: float) -> str:
    """`0-17`, `18-39` … `75+`; `unknown` for NaN.

    >>> age_band(17.9), age_band(60), age_band(99), age_band(float("nan"))
    ('0-17', '60-74', '75+', 'unknown')
    """
    if not np.isfinite(years):
        return "unknown"
    edges = (0, *AGE_BANDS)
    begin = max(edge for edge in edges if edge <= max(years, 0))
    after = [edge for edge in edges if edge > begin]
    return f"{begin}-{after[0] - 1}" if after else f"{begin}+"


def _facts(used: pd.DataFrame, kept: list[str]) -> pd.DataFrame:
    """(N rows) domain, view, sex, age band, then every other kept column of words; `unknown` where empty."""
    facts = pd.DataFrame({"domain": used["domain"]})
    for column in dict.fromkeys(["view", "sex", *kept, "modality", "body_part", "laterality", "device"]):
        if column not in used.columns or column.startswith("y_"):
            continue
        numbers = numbers_of(used[column])
        if column == "age":
            years = pd.to_numeric(used[column].replace("", np.nan), errors="coerce")
            facts["age"] = [age_band(value) for value in years]
        elif numbers is None and used[column].nunique() <= max(50, len(used) / 4) and (used[column] != "").any():
            facts[column] = used[column]
    return facts.replace("", "unknown")


def _cross_table(used: pd.DataFrame, facts: pd.DataFrame) -> Iterator[Finding]:
    if not len(used):
        return
    by = [column for column in ("domain", "view", "sex", "age") if column in facts.columns]
    counted = facts[by].assign(label=used["label"], group=groups_of(used))
    table = counted.groupby(["label", *by])["group"].agg(images="size", groups="nunique").reset_index()
    lacking = [column for column in ("view", "sex", "age") if column not in by or (facts[column] == "unknown").all()]
    advice = f"Not known: {', '.join(lacking)}; add them by `keep` to see whether the classes differ in them." if lacking else ""
    yield Finding("CROSS_TABLE", "note", f"Images by label, {', '.join(by)}: {len(table):,} combinations occur", advice, table)


def _one_class_only(used: pd.DataFrame, facts: pd.DataFrame) -> Iterator[Finding]:
    """Values (of a domain, view, site, reference standard …) that come with one class only, other than by chance."""
    groups = groups_of(used)
    lines = []
    for column in facts.columns:
        values = facts[column].value_counts().index[:_LEVELS]
        for value in values if len(values) > 1 else []:
            own = (facts[column] == value).to_numpy()
            labels = used.loc[own, "label"].unique()
            cases = np.unique(groups[own]).size
            if len(labels) > 1 or cases < FEW_GROUPS:
                continue
            elsewhere = float((used.loc[~own, "label"] == labels[0]).mean())
            if elsewhere**cases * len(values) < UNLIKELY:
                lines.append({"column": column, "value": value, "class": labels[0], "images": int(own.sum()), "groups": cases,
                              "elsewhere": round(elsewhere, 4)})  # fmt: skip
    if lines:
        worst = max(lines, key=lambda line: int(line["images"]))
        yield Finding(
            "ONE_CLASS_ONLY",
            "notable",
            f"{len(lines)} value{'s' if len(lines) > 1 else ''} give the class away: all {worst['images']:,} images with "
            f"{worst['column']} '{worst['value']}' are '{worst['class']}', elsewhere {percent(float(worst['elsewhere']))}",
            "What else such images have in common may be learned instead of the illness, and results among them mean nothing. Report "
            "results without them, or add images of the other classes with the same value.",
            pd.DataFrame(lines).sort_values("images", ascending=False),
        )


def _domains_differ(records: pd.DataFrame, rows: pd.DataFrame) -> Iterator[Finding]:
    """By what the domains can be told apart, labels or none: how far a model must carry over."""
    read = rows[(rows["split"] != EXCLUDED) & (rows["quarantine"] == "")].reset_index(drop=True)
    if read["domain"].nunique() < 2:
        return
    read, groups, lines = with_derived(read), groups_of(read), []
    for each in properties_of(records, read):
        found = told(read[list(each.columns)], read["domain"], groups) if each.columns != ("domain",) else None
        if found and found.interval.low > 0.6:
            lines.append({"property": each.words, "auroc": round(found.value, 4), "low": round(found.interval.low, 4),
                          "high": round(found.interval.high, 4)})  # fmt: skip
    if lines:
        table = pd.DataFrame(lines).sort_values("auroc", ascending=False, kind="stable", ignore_index=True)
        best = table.iloc[0]
        figure = f"{number(best['auroc'])} ({interval({'low': best['low'], 'high': best['high']})})"
        yield Finding(
            "DOMAINS_DIFFER",
            "note",
            f"The domains can be told apart from {best['property']} alone: AUROC {figure}; {len(table)} such properties in all",
            "Expect a model of one domain to do worse in another: report each by itself, and see adaptation: and intensity: percentile.",
            table,
        )


def _unknown_facts(facts: pd.DataFrame) -> Iterator[Finding]:
    shares = (facts == "unknown").mean()
    partly = shares[(shares > 0) & (shares < 1)]
    if len(partly):
        said = listed(f"{column} {percent(float(share))}" for column, share in partly.items())
        table = pd.DataFrame({"column": partly.index, "unknown": partly.round(4).to_numpy()})
        yield Finding("UNKNOWN_FACTS", "note", f"Unknown for some images: {said}", "Subgroup results leave these images out.", table)
