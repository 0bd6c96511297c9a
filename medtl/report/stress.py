"""The section under stress: what the model answers when its images are cut, unmarked or made worse, and what its features tell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from medtl.document.page import environment
from medtl.document.picture import Picture
from medtl.document.table import Table, flat
from medtl.estimates import estimate, percent
from medtl.evaluation import removed
from medtl.evaluation.contrast import Contrast
from medtl.evaluation.stressed import Said, Stressed, StressTest, sentences, stressed
from medtl.predictions import PLAIN
from medtl.report.contents import Contents
from medtl.report.judged import judged_splits
from medtl.stress.views import BY_NAME

HEADER = ("view", "what was done", "AUROC (95 %)", "difference from plain (95 %)", "answers that change")
NOTE = (
    "The same images by the same thresholds. AUROC by Obuchowski's interval, differences paired by group, not corrected for their "
    "number; the sentences above are (Holm). A view unlike all training images may cost something for that alone; docs/stress.md."
)


@dataclass(frozen=True)
class Section:
    """The finished section, and its tables."""

    html: Markup
    grave: int
    """Sentences that speak of a shortcut."""
    tables: Sequence[Table]


def section(contents: Contents) -> Section | None:
    """Of the weightiest split that was judged under stress; None where none was."""
    table = contents.predictions
    for split in judged_splits(contents.metrics):
        test = stressed(table[table["split"] == split], contents.task)
        if test is not None:
            return _section(contents, split, test)
    return None


def stressed_split(predictions: pd.DataFrame, splits: Sequence[str]) -> str | None:
    """The first of these splits that has stress views, which is the one that the section shows."""
    there = set(predictions.loc[predictions["view"].isin(list(BY_NAME)), "split"])
    return next((split for split in splits if split in there), None)


def _section(contents: Contents, split: str, test: StressTest) -> Section:
    further = contents.stress.get(split, {})
    views, probes = _views(test, split), _probes(further.get("probes", {}), split)
    told = [*sentences(test), *([Said(removed.sentence(further["saliency"]))] if further.get("saliency") else ())]
    html = environment("medtl.report").get_template("stress.html.j2").render(
        split=split, test=test, told=told, views=views, probes=probes, started=further.get("probes", {}).get("started", ""),
        pictures=_strip(contents.stress_pictures),
    )  # fmt: skip
    return Section(Markup(html), sum(said.grave for said in told), [views, *([probes] if probes else ())])


def _strip(pictures: Mapping[str, Picture]) -> list[tuple[str, Picture]]:
    """View and picture, the plain one first; nothing where the image could not be read again."""
    return [(name, pictures[name]) for name in (PLAIN, *BY_NAME) if name in pictures and pictures[name].jpeg]


def _views(test: StressTest, split: str) -> Table:
    rows = [[PLAIN, "", estimate(test.plain), "", ""], *(_row(each) for each in test.views)]
    raw = [{"view": PLAIN, **flat({"auroc": test.plain})}, *(_raw(each) for each in test.views)]
    return Table(f"{split}_stress", f"Under stress: {test.images:,} {split} images", HEADER, rows, pd.DataFrame(raw), NOTE)


def _row(each: Stressed) -> list[str]:
    changed = each.changed["value"]
    return [each.view.name, each.view.words, estimate(each.auroc), _gap(each.gap), percent(changed) if changed is not None else ""]


def _gap(gap: Contrast) -> str:
    return f"{gap.value:+.3f}" + ("" if math.isnan(gap.error) else f" ({gap.low:+.3f} to {gap.high:+.3f})")


def _raw(each: Stressed) -> dict[str, Any]:
    known = not math.isnan(each.gap.error)
    ends = {"low": each.gap.low, "high": each.gap.high} if known else {"low": None, "high": None}
    figures = {"auroc": each.auroc, "difference": {"value": each.gap.value, **ends}, "changed": each.changed}
    return {"view": each.view.name, "what": each.view.words, **flat(figures)}


def _probes(probes: Mapping[str, Any], split: str) -> Table | None:
    columns: Sequence[dict[str, Any]] = probes.get("columns", ())
    if not columns:
        return None
    rows = [_probe_row(each) for each in columns]
    parts = ("after", "before", "difference")
    raw = [
        {name: each[name] for name in ("column", "images", "groups", "reason")}
        | {"values": "|".join(each["values"])}
        | flat({part: each.get(part, {}) for part in parts})
        for each in columns
    ]
    note = (
        f"AUROC of a linear probe, cross-fitted by group, on {split} images; of several values the mean of one against rest. That features "
        "tell something does not say that answers use it; that they tell it better than before says that the training had a use for it."
    )
    header = ("asked", "images", "groups", "the model's features", "before the training", "difference (95 %)")
    return Table(f"{split}_probes", "What can be read from the features (95 % interval)", header, rows, pd.DataFrame(raw), note)


def _probe_row(each: Mapping[str, Any]) -> list[str]:
    counts = [each["column"], f"{each['images']:,}", f"{each['groups']:,}"]
    if each["reason"]:
        return [*counts, f"not asked: {each['reason']}", "", ""]
    before = each.get("before")
    gap = each.get("difference")
    moved = f"{gap['value']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f})" if gap else ""
    return [*counts, estimate(each["after"]), estimate(before) if before else "", moved]
