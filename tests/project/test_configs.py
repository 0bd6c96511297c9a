"""Every config in `configs/` parses, says how to run it, and means what its name says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from medtl.experiment.load import load_experiment

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_parses_and_is_named_after_its_file(path: Path) -> None:
    assert load_experiment(path).name.replace("-", "_") == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_header_says_how_to_run_it(path: Path) -> None:
    run = re.search(r"^# Run:\s*(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert run, "no line '# Run: medtl train …'"
    assert shlex.split(run[1])[:3] == ["medtl", "train", f"configs/{path.name}"]


def test_the_promised_ones_are_there() -> None:
    real = "breast_cancer pneumonia_adult pneumonia_pediatric pneumoniamnist skin_cancer skin_malignancy"
    made = "phantom_chest phantom_lesions phantom_two_hospitals smoke"
    assert set(f"{real} {made}".split()) <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("name", ["skin_cancer", "skin_malignancy"])
def test_images_of_a_lesion_stay_together(name: str) -> None:
    assert load_experiment(ROOT / "configs" / f"{name}.yaml").split.by == "lesion"


@pytest.mark.parametrize("name", ["pneumonia_pediatric", "pneumonia_adult"])
def test_images_of_a_patient_stay_together_and_a_chest_keeps_its_sides(name: str) -> None:
    experiment = load_experiment(ROOT / "configs" / f"{name}.yaml")
    assert experiment.split.by == "patient"
    assert experiment.augmentation.flip == "none"


def test_both_skin_tasks_share_split_and_spellings() -> None:
    """The same lesions are tested in both, so that neither was trained on the other's test."""
    seven, two = (load_experiment(ROOT / "configs" / f"skin_{name}.yaml") for name in ("cancer", "malignancy"))
    assert seven.split == two.split
    assert set(seven.task.class_of()) - set(seven.task.classes) == set(two.task.class_of()) - set(two.task.classes)
