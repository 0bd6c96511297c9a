"""A ranking as tables: what was measured of every candidate, in rank.csv and rank.json (format 1), and of findings in rank_findings.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from medtl.contracts import FORMAT
from medtl.document.table import flat, write_csv
from medtl.evaluation.table import HEADLINES, HEADLINES_OF_FINDINGS
from medtl.files import write_json
from medtl.ranking.advice import Advice, Figure
from medtl.ranking.agreement import Agreement

SCORES = {"probe": "linear probe", "knn": "neighbours", "logme": "LogME", "leep": "LEEP", "h_score": "H-score", "distance": "distance"}
"""Name in the files → in words; of the distance less is better, of all others more."""
TUNED = "tuned"
JSON, CSV, FINDINGS_CSV = "rank.json", "rank.csv", "rank_findings.csv"


@dataclass(frozen=True)
class Scored:
    """One candidate."""

    name: str
    network: str
    weights: str
    """Where they are from and what of them fitted, in words."""
    pretrained: bool
    figures: Mapping[str, Figure]
    """One for each of :data:`SCORES`, `gain` (the probe's score less that of random weights), `behind` (the best one's less this), and
    `tuned` where it was trained."""
    features: int
    parameters: int
    forward_milliseconds: float
    """Of one image."""
    step_milliseconds: float
    """Of one image in a training step of all layers."""
    of_findings: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    """Finding → score → its own figure, on the images of which it is known; `figures` hold their means (but for the distance)."""

    def value(self, score: str) -> float:
        """NaN where there is none; the distance with its sign turned, so that more is better throughout."""
        found = self.figures.get(score, {}).get("value")
        return float("nan") if found is None else -float(found) if score == "distance" else float(found)


@dataclass(frozen=True)
class Ranking:
    """All candidates, best first, and what follows."""

    name: str
    measure: str
    """Of probe, neighbours and tuning: auroc, auprc, macro_f1, balanced_accuracy."""
    counts: Mapping[str, int]
    """Of train and validation: `images`, `scored` ones, `groups`, `groups of <class>`; of several findings per image `groups of
    <finding>`, `groups of no <finding>`, `images of known <finding>`."""
    unit: str
    candidates: Sequence[Scored]
    missing: Sequence[tuple[str, str]]
    """Candidates that could not be had, and why."""
    best: str
    """The candidate the advice is about; empty where none has weights."""
    advice: Advice
    commands: Sequence[str]
    """What trains the advised strategy, and the one beside it."""
    expected_minutes: Sequence[float]
    """Of each command."""
    agreements: Mapping[str, Agreement]
    """Score → Kendall's tau with the tuned scores, of scores that enough candidates have; empty where nothing was tuned."""
    tuned: str
    """How the true ranking was made, in words; empty where it was not."""
    notes: Sequence[str]
    minutes: float
    """What the ranking took."""
    findings: Sequence[str] = ()
    """Those that are scored, where an image may have several; empty where it is of one class."""

    @property
    def headline(self) -> str:
        """The measure in words."""
        return headline(self.measure, bool(self.findings))


def headline(measure: str, several: bool) -> str:
    """`AUROC`, or `mean AUROC` where an image may have several findings."""
    return (HEADLINES_OF_FINDINGS if several else HEADLINES)[measure]


def order(each: Scored) -> tuple[float, float]:
    """Sorts best first: by the probe, where it has no value by LogME."""
    probe, evidence = each.value("probe"), each.value("logme")
    return (-probe if probe == probe else float("inf"), -evidence if evidence == evidence else float("inf"))


def ordered(candidates: Sequence[Scored]) -> list[Scored]:
    """Best first; the reference takes the place it has earned."""
    return sorted(candidates, key=order)


def not_told_apart(ranking: Ranking) -> list[str]:
    """Candidates with weights whose probe is not shown to be behind the best one's: the paired interval holds 0."""
    return [each.name for each in ranking.candidates if each.pretrained and each.figures["behind"].get("low", 1.0) <= 0]


def table(ranking: Ranking) -> pd.DataFrame:
    """A row per candidate, best first; every figure with interval and reason."""
    figures = [*SCORES, "gain", "behind", *([TUNED] if ranking.tuned else [])]
    rows = [
        {
            "candidate": each.name,
            "network": each.network,
            "weights": each.weights,
            "pretrained": each.pretrained,
            **flat({name: each.figures.get(name, {"value": None, "reason": "not measured"}) for name in figures}),
            "features": each.features,
            "parameters": each.parameters,
            "forward_milliseconds": round(each.forward_milliseconds, 2),
            "step_milliseconds": round(each.step_milliseconds, 2),
        }
        for each in ranking.candidates
    ]
    return pd.DataFrame(rows)


def table_of_findings(ranking: Ranking) -> pd.DataFrame:
    """A row per finding and candidate, the latter best first in the mean."""
    pairs = [(name, each) for name in ranking.findings for each in ranking.candidates]
    return pd.DataFrame([{"finding": name, "candidate": each.name, **flat(each.of_findings[name])} for name, each in pairs])


def write(ranking: Ranking, folder: Path) -> None:
    """`rank.csv`, `rank.json`, and where there are several findings `rank_findings.csv`."""
    write_csv(table(ranking), folder / CSV)
    if ranking.findings:
        write_csv(table_of_findings(ranking), folder / FINDINGS_CSV)
    write_json(folder / JSON, {"format": FORMAT, **_plain(asdict(ranking))})


def _plain(value: Any) -> Any:
    """What JSON has words for."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
