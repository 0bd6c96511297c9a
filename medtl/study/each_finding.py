"""What a study says of several findings per image, beside their means: what a mean is of, and the AUROC of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from medtl.document.table import Table
from medtl.errors import listed
from medtl.estimates import number
from medtl.evaluation.crossed import crossed, within
from medtl.evaluation.drawn import AUROC, Answers

COLUMNS = ["finding", "arm", "auroc", "auroc_low", "auroc_high"]


def notes(tested: Sequence[Answers]) -> list[str]:
    """What figures mean, and which findings the judged images cannot rank; nothing of one class per image."""
    if not tested or not tested[0].several:
        return []
    unranked = list(dict.fromkeys(name for each in tested for name in each.unranked))
    means = "Each finding is judged on the images of which it is known; where nothing else is said, figures are means over the findings"
    without = f"{listed(unranked)}: left out of the mean AUROC, for all test images of which it is known have it, or none has."
    return [f"{means} {listed(tested[0].parts)}.", *([without] if unranked else [])]


def table(tested: Mapping[str, Sequence[Answers]], title: str) -> Iterator[Table]:
    """AUROC of each finding by arm, over the arm's trainings (`tested`); nothing of one class per image."""
    if not any(each.several for own in tested.values() for each in own):
        return
    findings = next(iter(tested.values()))[0].parts
    raw = pd.DataFrame([_row(finding, arm, own) for finding in findings for arm, own in tested.items()], columns=COLUMNS)
    rows = [[str(finding), *(_said(*each) for each in own[COLUMNS[2:]].to_numpy())] for finding, own in raw.groupby("finding", sort=False)]
    note = "Means over seeds; intervals cross seeds and test groups. Of a single finding nothing is claimed."
    yield Table("findings", title, ["finding", *tested], rows, raw, note)


def _row(finding: str, arm: str, trainings: Sequence[Answers]) -> tuple[str, str, float, float, float]:
    own = [each.one(finding) for each in trainings]
    if any(each.unranked for each in own):
        return finding, arm, float("nan"), float("nan"), float("nan")
    values, drawn = [each.values[AUROC] for each in own], [each.drawn[AUROC] for each in own]
    found = crossed(values, drawn, own[0].group_count, [each.around_auroc() for each in own])
    return finding, arm, found.mean, *within(found)


def _said(value: float, low: float, high: float) -> str:
    return "n/a" if pd.isna(value) else f"{number(value)} ({number(low)} to {number(high)})"
