"""`external.json`: outside figures beside the model's own, re-fits for two classes and for each finding, and what is said of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit, softmax

from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation import here_and_there
from medtl.evaluation.summary import summarize
from medtl.files import write_json
from medtl.flows.evaluate import evaluate
from medtl.flows.here_and_there import content_of
from medtl.report.here_and_there import summary, tables

PATIENTS = 260


def drawn(seed: int, names: list[str], told: float, together: bool = False) -> pd.DataFrame:
    """Predictions of 260 patients in two hospitals, of which every log-odds is `told` too high; of two classes, or of findings."""
    random = np.random.default_rng(seed)
    count = len(names) if together else 1
    x = 1.8 * random.normal(size=(PATIENTS, count)) - 0.3
    event, p = random.random(x.shape) < expit(x), expit(x + told)
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(PATIENTS)], "frame": 0, "split": "external", "fold": "", "member": ""})
    table["domain"], table["group_id"], table["view"] = np.where(np.arange(PATIENTS) % 2, "north", "south"), table["image"], "plain"
    if together:
        words = [["|".join(n for n, yes in zip(names, row, strict=True) if yes) or "none" for row in rows] for rows in (event, p >= 0.5)]
        table["truth"], table["predicted"], table["unknown"] = *words, ""
    else:
        table["truth"], table["predicted"] = (np.where(side[:, 0], names[1], names[0]) for side in (event, p >= 0.5))
        p = np.column_stack([1 - p, p])
    for name, column in zip(names, p.T, strict=True):
        table[f"logit_{name}"], table[f"p_{name}"] = logit(column), column
    return table.assign(decision=table["predicted"], reason="")


def package_of(task: Task, threshold: Any, rule: str = "youden") -> Any:
    point = SimpleNamespace(rule=rule, threshold=threshold, prevalence=None)
    return SimpleNamespace(task=task, operating_point=point, name="made", fingerprint="f" * 64)


def content(task: Task, names: list[str], told: float, threshold: Any, rule: str = "youden", own: bool = True, split: str = "test") -> dict:
    together = task.kind == "multi"
    here, there = (drawn(seed, names, shift, together) for seed, shift in ((0, told), (1, 0.0)))
    entries = [summarize(table, task, resamples=200) for table in (here, there)]
    metrics = {"unit": "patient", "splits": {split: entries[1], "validation": entries[1]}} if own else None
    return content_of(package_of(task, threshold, rule), metrics, here, entries[0], "patient")


TWO = Task(classes={"well": (), "ill": ()}, positive="ill")
FINDINGS = Task(kind="multi", classes={"effusion": (), "mass": ()})


@pytest.fixture(scope="module")
def two() -> dict:
    return content(TWO, ["well", "ill"], 1.5, 0.5)


def test_two_classes_drop_drift_and_what_mends_it(two):
    assert two["own"] == {"split": "test", "unit": "patient", "n": 260, "groups": 260}
    assert two["overall"]["specificity"]["difference"]["high"] < 0
    each = two["refits"]["ill"]
    assert each["calibration"]["intercept"]["brier_difference"]["high"] < 0
    assert each["threshold"]["difference"]["balanced_accuracy"]["value"] > 0
    assert set(each["domains"]) == {"north", "south"}
    assert each["domains"]["north"]["left_out"]["intercept"]["brier_difference"]["value"] < 0
    told = here_and_there.sentences(two)
    assert told[0].startswith("Held against its own test (260 images, 260 patients): AUROC 0.")
    assert "specificity" in told[1]
    assert "AUROC" not in told[1]
    assert "youden" in told[2]
    assert "prevalence alone" in told[3]
    assert not any("No better order" in said for said in told)
    json.dumps(two, allow_nan=False)


def test_an_order_no_better_than_chance_is_said_to_be_beyond_mending(two):
    each = {**two["refits"]["ill"], "auroc": {"value": 0.52, "low": 0.46, "high": 0.58}}
    told = here_and_there.sentences({**two, "refits": {"ill": each}})
    assert told[-1].startswith("No better order than chance is shown here (AUROC 0.520 (0.460 to 0.580)): no threshold")


def test_every_table_of_the_section_is_there_and_says_the_same(two):
    found = {table.name: table for table in tables(two)}
    assert list(found) == ["external_drop", "external_threshold", "external_calibration", "external_domains", "external_left_out"]
    drop = found["external_drop"].raw.set_index("figure")
    assert drop.loc["auroc", "difference"] == two["overall"]["auroc"]["difference"]["value"]
    assert len(found["external_threshold"].rows) == 3
    assert all(len(row) == len(table.header) for table in found.values() for row in table.rows)
    assert summary(two).startswith("Against its own test: AUROC ")


def test_validation_in_the_place_of_test_is_named_and_flatters():
    found = content(TWO, ["well", "ill"], 0.0, 0.5, split="validation")
    told = here_and_there.sentences(found)
    assert told[0].startswith("Held against its own validation (260 images, 260 patients; it chose the threshold")
    assert told[1] == "No figure is shown to be worse here."
    assert found["refits"]["ill"]["calibrated_at"] == pytest.approx(found["overall"]["prevalence"]["there"]["value"])


def test_each_finding_has_its_own_refit():
    found = content(FINDINGS, ["effusion", "mass"], 1.5, (0.5, 0.5))
    assert list(found["refits"]) == list(found["per_class"]) == ["effusion", "mass"]
    for each in found["refits"].values():
        assert each["calibration"]["intercept"]["brier_difference"]["high"] < 0
    assert any("specificity of mass" in said for said in here_and_there.sentences(found))
    names = {table.name: table for table in tables(found)}
    assert "external_drop_classes" in names
    assert names["external_threshold"].rows[0][0] == "effusion: as shipped"


def test_several_classes_are_compared_and_not_refitted():
    names = ["a", "b", "c"]
    task, tables_of_both = Task(classes=dict.fromkeys(names, ())), []
    for seed, signal in ((0, 0.5), (1, 3.0)):
        random = np.random.default_rng(seed)
        truth = random.integers(0, 3, PATIENTS)
        p = softmax(signal * np.eye(3)[truth] + random.normal(size=(PATIENTS, 3)), axis=1)
        table = drawn(0, ["a", "b"], 0.0).assign(truth=np.array(names)[truth], predicted=np.array(names)[p.argmax(axis=1)])
        table = table.assign(**{f"logit_{name}": np.log(p[:, k]) for k, name in enumerate(names)})
        tables_of_both.append(table.assign(**{f"p_{name}": p[:, k] for k, name in enumerate(names)}))
    here, there = (summarize(table, task, resamples=200) for table in tables_of_both)
    own = {"unit": "patient", "splits": {"test": there}}
    found = content_of(package_of(task, None, "argmax"), own, tables_of_both[0], here, "patient")
    told = here_and_there.sentences(found)
    assert "recall of b" in told[1]
    assert found["per_class"]["b"]["calibration_slope"]["difference"]["value"] is not None
    assert told[-1].startswith("Nothing is re-fitted: of several classes the most probable one is answered")
    assert [table.name for table in tables(found)] == ["external_drop", "external_drop_classes"]


def test_without_figures_of_its_own_or_a_rule_there_is_less_to_say():
    found = content(TWO, ["well", "ill"], 1.5, 0.5, rule="elsewhere", own=False)
    told = here_and_there.sentences(found)
    assert told[0].startswith("The package holds no figures of its own hospital")
    assert "names no rule" in told[1]
    assert told[2].startswith("Calibration here: intercept -1.")
    assert summary(found) == ""
    assert "external_drop" not in [table.name for table in tables(found)]


def test_the_command_says_it_and_too_few_are_not_refitted(
    make_run, write_image: Callable[[Path, int], None], tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))
    run, place = make_run(), tmp_path / "outside"
    for i in range(12):
        write_image(place / f"{i}.png", 1000 + i)
    with (place / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label"], *([f"{i}.png", "ILL" if i % 3 else "normal"] for i in range(12))])
    write_json(run / "model" / "metrics.json", json.loads((run / "metrics.json").read_text()))
    evaluate(run, place / "m.csv", out=tmp_path / "out")
    said = capsys.readouterr().out
    assert "Held against its own validation (" in said
    assert "Threshold: too few to re-fit (8 of ill, 4 of normal; 50 of each are needed)." in said
    assert "No better order" not in said
    stored = here_and_there.read(tmp_path / "out")
    assert stored["own"]["split"] == "validation"
    (tmp_path / "out" / "external.json").write_text("{")
    with pytest.raises(MedtlError, match="cut or damaged"):
        here_and_there.read(tmp_path / "out")
