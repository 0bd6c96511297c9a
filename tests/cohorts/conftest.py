"""Small cohorts on disk: files that only need to exist, tables as hospitals write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtl.cohorts import CohortSettings, parse_cohort
from medtl.cohorts.settings import SplitSettings
from medtl.contracts import Task

TWO = {"normal": ["NORMAL"], "pneumonia": ["PNEUMONIA", "PNA"]}


@dataclass(frozen=True)
class Plan:
    task: Task
    cohorts: tuple[CohortSettings, ...]
    keep: tuple[str, ...] = ()
    split: SplitSettings = field(default_factory=SplitSettings)
    seed: int = 0


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """`plan({"name": "csv", …}, classes={…}, ignore=[…], keep=[…], by="lesion", …)`."""

    def make(*cohorts: Mapping[str, Any], classes: Any = None, ignore: Iterable[str] = (), keep: Iterable[str] = (), **split: Any) -> Plan:
        task = Task(classes=classes or TWO, ignore=tuple(ignore))
        return Plan(task, tuple(parse_cohort(dict(cohort)) for cohort in cohorts), tuple(keep), SplitSettings.model_validate(split))

    return make


@pytest.fixture
def touch(tmp_path: Path) -> Callable[..., None]:
    """Make files that hold their own name."""

    def make(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    return make


@pytest.fixture
def measured() -> Callable[..., pd.DataFrame]:
    """Measurements of a cohort table: every image its own pixels, except those named in `same` (image → pixels) or `broken`."""

    def make(table: pd.DataFrame, same: Mapping[str, str] | None = None, broken: Iterable[str] = (), **facts: str) -> pd.DataFrame:
        names = table["image"] + "#" + table["frame"].astype(str)
        hashes = names.map(lambda name: (same or {}).get(name.removesuffix("#0"), f"pixels of {name}"))
        rows = table[["image", "frame"]].assign(sha256="sha " + names, pixel_hash=hashes, quarantine="", **facts)
        rows.loc[rows["image"].isin(list(broken)), ["pixel_hash", "quarantine"]] = ["", "DECODE_FAILED"]
        return rows

    return make


@pytest.fixture(autouse=True)
def own_key(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's key."""
    path = tmp_path_factory.mktemp("settings") / "key"
    monkeypatch.setenv("MEDTL_KEY_FILE", str(path))
    return path


@pytest.fixture(scope="session")
def data() -> Path:
    """The real images beside the repository; tests that use them are skipped where there are none."""
    folder = Path(__file__).parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real images beside the repository")
    return folder
