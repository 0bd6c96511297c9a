"""Every study in `studies/` parses, says how to run it, and all its trials are experiments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from medtl.experiment.load import load_experiment
from medtl.study.settings import key_of, load_study
from medtl.study.trials import name_of, repeated, trials_of

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_parses_and_its_trials_are_experiments_of_their_own(path: Path) -> None:
    study = load_study(path)
    assert study.name.replace("-", "_") == path.stem
    last = [tuple({key_of(text): text for text in trial.overrides}.values()) for trial in trials_of(study)]  # an arm's settings win
    assert not repeated([name_of(load_experiment(path.parent / study.base, overrides)) for overrides in last])


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_header_says_how_to_run_it(path: Path) -> None:
    run = re.search(r"^# Run:\s*(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert run, "no line '# Run: medtl study …'"
    assert shlex.split(run[1])[:3] == ["medtl", "study", f"studies/{path.name}"]
