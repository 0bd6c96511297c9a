"""The results of every domain and of every value of the kept columns, each held against all others (`medtl.evaluation.subgroups`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat
from medtl.estimates import estimate, number, percent, signed
from medtl.evaluation.subgroups import BALANCED, Gap, Subgroup, subgroups, worst
from medtl.evaluation.summary import summarize
from medtl.evaluation.table import HEADLINES
from medtl.records import KEY
from medtl.report.contents import Contents
from medtl.report.judged import judged

_OF_TWO = {"auroc": "AUROC"}
_OF_MANY = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
_OF_FINDINGS = {"accuracy": "all findings right", "auroc": "mean AUROC"}
_COMMONEST = {"single": "largest class", "multi": "commonest finding"}
_CHANCE = 0.05
_TOLD = 3
DRAWS = 500
"""Of the bootstrap, a quarter of the headline's: there are many subgroups."""


@dataclass(frozen=True)
class Part:
    """One domain or subgroup: what it is compared by, and its own figures."""

    against: Subgroup
    figures: Mapping[str, Any]
    """As of one split in metrics.json; empty where there are too few."""

    @property
    def label(self) -> str:
        return f"{self.against.by}: {self.against.level}"


def by_subgroup(contents: Contents, split: str) -> list[Part]:
    """Domains where there are several, then the values of each kept column."""
    table = contents.predictions.reset_index(drop=True)
    rows = judged(table, split)
    kept = table[KEY].merge(contents.records[[*KEY, *contents.kept]], on=KEY, how="left", validate="many_to_one")[contents.kept]
    columns = kept.loc[rows.index].assign(domain=rows["domain"])
    found = subgroups(rows, contents.task, columns[["domain", *contents.kept]])
    return [Part(each, {} if each.few else summarize(rows[each.where], contents.task, resamples=DRAWS)) for each in found]


def parts_table(parts: Sequence[Part], contents: Contents, split: str) -> Table:
    """A row each: size, which class there is most of, then how well it went."""
    task, unit = contents.task, contents.metrics["unit"]
    figures = _OF_FINDINGS if task.kind == "multi" else _OF_MANY if task.positive_index is None else _OF_TWO
    mix = [_COMMONEST[task.kind]]
    if task.positive_index is not None:
        mix = [f"of them {task.names[task.positive_index]}", "sensitivity", "specificity"]
    header = ["", "images", *([contents.groups_plural] if unit != "image" else []), *mix, *figures.values()]
    rows, raw = [], []
    for part in parts:
        sizes = [f"{part.against.images:,}", *([f"{part.against.groups:,}"] if unit != "image" else [])]
        cells = [*_mixture(part, contents), *(estimate({**part.figures[key], "note": ""}) for key in figures)] if part.figures else []
        rows.append([part.label, *sizes, *(cells or [part.against.few])])
        own = flat({key: part.figures.get(key, {}) for key in HEADLINES})
        sides = {"by": part.against.by, "level": part.against.level, "n": part.against.images, "groups": part.against.groups}
        raw.append({**sides, "too_few": part.against.few, **own})
    note = (
        f"One decision rule for all. Too few: fewer than 10 {contents.groups_plural} of a class, there or elsewhere; such a part is "
        f"neither compared nor ranked.{_counted(contents, split)}"
    )
    return Table(f"{split}_subgroups", "By subgroup (95 % interval)", header, rows, pd.DataFrame(raw), note)


def gaps_table(parts: Sequence[Part], contents: Contents, split: str) -> Table | None:
    """How far each part differs from all others; None where none can be compared."""
    able = [part for part in parts if part.against.gaps]
    if not able:
        return None
    names = list(able[0].against.gaps)
    rows = [[_over(part), *(gap_text(part.against.gaps[name]) for name in names)] for part in able]
    raw = [
        {"by": part.against.by, "level": part.against.level, "figure": name, "own": gap.own["value"], "rest": gap.rest["value"]}
        | {
            "difference": gap.difference["value"],
            "low": gap.difference["low"],
            "high": gap.difference["high"],
            "p": gap.p,
            "holm": gap.corrected,
        }
        for part in able
        for name, gap in part.against.gaps.items()
    ]
    note = (
        "Below 0 the part fares worse than all others of these images. In brackets the 95 % interval, not corrected for their number; p by "
        f"Holm over the {len(raw)} differences: only below 0.05 is one more than chance among so many.{_counted(contents, split)}"
    )
    return Table(f"{split}_subgroup_differences", "Each subgroup less all others", ["", *names], rows, pd.DataFrame(raw), note)


def _counted(contents: Contents, split: str) -> str:
    """Whom both tables judge, where some got no answer."""
    held = "all_comers" in contents.metrics["splits"][split].get("answering", {})
    return " Every image that was read is judged, also where its answer was held back." if held else ""


def gap_text(gap: Gap) -> str:
    """`-0.071 (-0.130 to -0.012), p 0.042`."""
    found = gap.difference
    return f"{signed(found['value'])} ({signed(found['low'])} to {signed(found['high'])}), p {_p(gap.corrected)}"


def worst_sentences(parts: Sequence[Part]) -> list[str]:
    """Who falls behind most; what is more than chance; how many could not be compared. Nothing where there are no parts."""
    found = [part.against for part in parts if part.against.gaps]
    last, few = worst(found), len(parts) - len(found)
    rest = [f"{few} of {len(parts)} subgroups {'has' if few == 1 else 'have'} too few cases of a class to be compared."] if few else []
    if last is None:
        return rest
    gap, over = last.gaps[BALANCED], f" (over {', '.join(last.over)})" if last.over else ""
    sides = f"{BALANCED} {number(gap.own['value'])}, elsewhere {number(gap.rest['value'])}{over}"
    return [
        f"Worst of {len(found)} subgroup{'s' * (len(found) > 1)}: {last.by} {last.level}: {sides}; difference {gap_text(gap)}.",
        _beyond_chance(found),
        *rest,
    ]


def _beyond_chance(found: Sequence[Subgroup]) -> str:
    """The surest of what is worse than elsewhere after Holm's correction."""
    gaps = [(gap.corrected, f"{each.by} {each.level}", name, gap) for each in found for name, gap in each.gaps.items()]
    sure = sorted((each for each in gaps if each[0] < _CHANCE and each[3].difference["value"] < 0), key=lambda each: each[:3])
    if not sure:
        return f"None is worse than elsewhere by more than chance (Holm over {len(gaps)} differences)."
    told = "; ".join(f"{where}: {name} {signed(gap.difference['value'])}, p {_p(gap.corrected)}" for _, where, name, gap in sure[:_TOLD])
    more = f"; and {len(sure) - _TOLD} more" if len(sure) > _TOLD else ""
    return f"Worse than elsewhere by more than chance (Holm over {len(gaps)} differences): {told}{more}."


def _p(p: float) -> str:
    return "<0.001" if p < 0.001 else "1" if p > 0.9995 else f"{p:.3f}"


def _over(part: Part) -> str:
    return f"{part.label} ({', '.join(part.against.over)})" if part.against.over else part.label


def _mixture(part: Part, contents: Contents) -> list[str]:
    """Of two classes: how many are positive, sensitivity, specificity. Of several: the largest one's share, which guessing would reach."""
    task, classes = contents.task, part.figures["per_class"]
    if task.positive_index is None:
        largest = max(classes, key=lambda name: (classes[name]["support"], name))
        known = classes[largest].get("known", part.figures["n"])
        return [f"{largest} {percent(classes[largest]['support'] / known) if known else 'n/a'}"]
    yes, no = (classes[task.names[index]] for index in (task.positive_index, 1 - task.positive_index))
    return [f"{yes['support']:,}", estimate(yes["recall"]), estimate(no["recall"])]
