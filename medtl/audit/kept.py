"""An audit on disk: `audit.json` (format 1) with a CSV of the evidence for each finding under `audit/`. What a report reads again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medtl import own_json
from medtl.audit.findings import SEVERITIES, Finding, Key
from medtl.audit.places import places
from medtl.contracts import EXCLUDED, FORMAT, SPLITS
from medtl.document.table import write_csv
from medtl.files import write_json

FILE, TABLES = "audit.json", "audit"
_PAIRED, _SINGLE = ("pairs", "join"), ("images", "exclude")


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what was found."""

    name: str
    counts: Mapping[str, int]
    """`images`, `groups`, and the images of each split (or fold)."""
    classes: Sequence[str]
    domains: Sequence[str]
    looked: Sequence[str]
    """What the checks had to go by, and what they had not, in sentences."""
    findings: Sequence[Finding]

    def of(self, severity: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == severity]

    @property
    def synthetic(self) -> bool:
        """Whether any of the images were made by a program."""
        return any(name.startswith("synthetic") for name in self.domains)


def summed_up(name: str, records: pd.DataFrame, classes: Sequence[str], looked: Sequence[str], findings: Sequence[Finding]) -> Audit:
    """An audit with the counts of its records."""
    placed = places(records).replace("", EXCLUDED)
    order = [*SPLITS, *sorted(set(placed) - set(SPLITS), key=lambda fold: (len(fold), fold))]
    counts = {"images": len(records), "groups": int(records.loc[placed != EXCLUDED, "group_id"].nunique())}
    counts |= {place: int((placed == place).sum()) for place in order if (placed == place).any()}
    return Audit(name, counts, list(classes), sorted(records["domain"].unique()), list(looked), list(findings))


def write(audit: Audit, folder: Path) -> None:
    """Write `audit.json` and `audit/*.csv` into `folder`, in place of those of an earlier audit."""
    for old in (folder / TABLES).glob("*.csv"):
        old.unlink()
    names = [table_name(number, finding) for number, finding in enumerate(audit.findings, start=1)]
    for name, finding in zip(names, audit.findings, strict=True):
        if len(finding.table):
            write_csv(finding.table, folder / TABLES / f"{name}.csv")
    content = {
        "format": FORMAT,
        "name": audit.name,
        "counts": dict(audit.counts),
        "classes": list(audit.classes),
        "domains": list(audit.domains),
        "looked": list(audit.looked),
        "severities": {severity: len(audit.of(severity)) for severity in SEVERITIES},
        "findings": [_described(name, finding) for name, finding in zip(names, audit.findings, strict=True)],
    }
    write_json(folder / FILE, content)


def read(folder: Path) -> Audit | None:
    """The audit that lies in `folder`; None where there is none. Raises MedtlError where it is damaged or of a newer format."""
    path, mend = folder / FILE, "write it again with `medtl audit`"
    content = own_json.read(path, mend)
    if content is None:
        return None
    with own_json.whole(path, mend):
        findings = [_finding(each, folder) for each in content["findings"]]
        return Audit(content["name"], content["counts"], content["classes"], content["domains"], content["looked"], findings)


def table_name(number: int, finding: Finding) -> str:
    """`03-same-pixels`: the file of a finding's evidence, without `.csv`."""
    return f"{number:02d}-{finding.code.lower().replace('_', '-')}"


def _described(name: str, finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "title": finding.title,
        "advice": finding.advice,
        "rows": len(finding.table),
        "table": f"{TABLES}/{name}.csv" if len(finding.table) else None,
        **{part: [_keys(pair) for pair in getattr(finding, part)] for part in _PAIRED},
        **{part: _keys(getattr(finding, part)) for part in _SINGLE},
    }


def _finding(content: Mapping[str, Any], folder: Path) -> Finding:
    """As it was written; the cells of its table are texts now."""
    table = pd.read_csv(folder / content["table"], dtype=str, keep_default_na=False) if content["table"] else pd.DataFrame()
    return Finding(
        code=content["code"],
        severity=content["severity"],
        title=content["title"],
        advice=content["advice"],
        table=table,
        pairs=_pairs(content["pairs"]),
        images=_keys(content["images"]),
        exclude=_keys(content["exclude"]),
        join=_pairs(content["join"]),
    )


def _pairs(values: Iterable[Sequence[Sequence[Any]]]) -> list[tuple[Key, Key]]:
    return [(first, second) for first, second in map(_keys, values)]


def _keys(values: Iterable[Sequence[Any]]) -> list[Key]:
    return [(str(image), int(frame)) for image, frame in values]
