"""The remedy as two tables that training takes as they are: what to leave out (`split.exclude`), what belongs together (`split.groups`)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from medtl.audit.findings import Finding, Key
from medtl.document.table import write_csv
from medtl.records import KEY

EXCLUDE, GROUPS = "exclude.csv", "groups.csv"


def exclusions(findings: Sequence[Finding]) -> pd.DataFrame:
    """`image, frame, code`: every image that a finding would leave out, once, with all reasons."""
    reasons: dict[Key, list[str]] = {}
    for finding in findings:
        for key in dict.fromkeys(finding.exclude):
            reasons.setdefault(key, []).append(finding.code)
    rows = [[image, frame, "|".join(dict.fromkeys(codes))] for (image, frame), codes in sorted(reasons.items())]
    return pd.DataFrame(rows, columns=[*KEY, "code"])


def groups(findings: Sequence[Finding]) -> pd.DataFrame:
    """`image, frame, group`: images that hang together by any chain of pairs have one group, named after the first of them."""
    above: dict[Key, Key] = {}

    def head(key: Key) -> Key:
        while above.setdefault(key, key) != key:
            above[key] = above[above[key]]
            key = above[key]
        return key

    for finding in findings:
        for first, second in finding.join:
            low, high = sorted((head(first), head(second)))
            above[high] = low
    rows = [[image, frame, _name(head((image, frame)))] for image, frame in sorted(above)]
    return pd.DataFrame(rows, columns=[*KEY, "group"])


def write(findings: Sequence[Finding], folder: Path) -> list[tuple[str, Path]]:
    """Write what there is to mend into `folder`; returns the settings that take it, such as `split.exclude`, with their files."""
    written = []
    for file, table, setting in ((EXCLUDE, exclusions(findings), "split.exclude"), (GROUPS, groups(findings), "split.groups")):
        (folder / file).unlink(missing_ok=True)
        if len(table):
            write_csv(table, folder / file)
            written.append((setting, folder / file))
    return written


def _name(key: Key) -> str:
    return hashlib.sha256(f"{key[0]}#{key[1]}".encode()).hexdigest()[:12]
