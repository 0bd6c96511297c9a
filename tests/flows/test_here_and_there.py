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
from medtl.decisions import threshold
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


def package_of(task: Task, cut: Any, rule: str = "youden") -> Any:
    point = SimpleNamespace(rule=rule, threshold=cut, prevalence=None, adjusted=None)
    return SimpleNamespace(task=task, operating_point=point, name="made", fingerprint="f" * 64)


def content(task: Task, names: list[str], told: float, cut: Any, rule: str = "youden", own: bool = True, split: str = "test") -> dict:
    together = task.kind == "multi"
    here, there = (drawn(seed, names, shift, together) for seed, shift in ((0, told), (1, 0.0)))
    entries = [summarize(table, task, resamples=200) for table in (here, there)]
    metrics = {"unit": "patient", "splits": {split: entries[1], "validation": entries[1]}} if own else None
    return content_of(package_of(task, cut, rule), metrics, here, entries[0], "patient")


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


NAMES = ["a", "b", "c"]
THREE = Task(classes=dict.fromkeys(NAMES, ()))


def of_three(seed: int, signal: float, told: float, rare: float = 1 / 3, patients: int = PATIENTS) -> pd.DataFrame:
    """Predictions of patients in two hospitals, told as if `a` were `told` (log) more frequent; `rare`: the share of `c`."""
    random = np.random.default_rng(seed)
    truth = random.choice(3, size=patients, p=[(1 - rare) / 2, (1 - rare) / 2, rare])
    z = signal * np.eye(3)[truth] + random.normal(size=(patients, 3)) + np.array([told, 0, 0])
    p = softmax(z, axis=1)
    rows = {"image": [f"{i}.png" for i in range(patients)], "frame": 0, "split": "external", "fold": "", "member": "", "view": "plain"}
    rows |= {"domain": np.where(np.arange(patients) % 2, "north", "south"), "group_id": rows["image"]}
    rows |= {"truth": np.array(NAMES)[truth], "predicted": np.array(NAMES)[p.argmax(axis=1)]}
    rows |= {f"logit_{name}": z[:, k] for k, name in enumerate(NAMES)} | {f"p_{name}": p[:, k] for k, name in enumerate(NAMES)}
    return pd.DataFrame({**rows, "decision": rows["predicted"], "reason": ""})


def content_of_three(here: pd.DataFrame, rule: str = "argmax", adjusted: tuple[float, ...] | None = None, unit: str = "patient") -> dict:
    entry, there = (summarize(table, THREE, resamples=200) for table in (here, of_three(1, 3.0, 0.0)))
    package = package_of(THREE, None, rule)
    package.operating_point.adjusted = adjusted
    return content_of(package, {"unit": "patient", "splits": {"test": there}}, here, entry, unit)


def test_several_classes_are_compared_and_refitted():
    found = content_of_three(of_three(0, 1.5, 2.0, patients=400))
    told = here_and_there.sentences(found)
    assert "recall of b" in told[1]
    assert found["per_class"]["b"]["calibration_slope"]["difference"]["value"] is not None
    each = found["refits"]["all classes"]
    assert each["answers"]["difference"]["balanced_accuracy"]["low"] > 0
    assert each["calibration"]["intercept"]["log_loss_difference"]["high"] < 0
    assert told[2].startswith("Answers: shipped balanced accuracy 0.")
    assert "by its rule (the most probable class) from probabilities re-calibrated here" in told[2]
    assert told[3].startswith("Probabilities here: Brier score 0.")
    assert len(told) == 4
    shown = {table.name: table for table in tables(found)}
    assert list(shown)[2:] == [
        *("external_answers", "external_calibration", "external_domains", "external_domains_classes"),
        *("external_left_out", "external_left_out_answers"),
    ]
    assert all(len(row) == len(table.header) for table in shown.values() for row in table.rows)
    north = shown["external_domains"].raw.set_index("domain").loc["north"]
    own = summarize(of_three(0, 1.5, 2.0, patients=400).iloc[1::2], THREE, resamples=200)
    assert north["auroc"] == pytest.approx(own["auroc"]["value"])
    of_classes = shown["external_domains_classes"].raw.set_index(["domain", "class"])
    assert of_classes.loc[("north", "b"), "within"] == pytest.approx(own["per_class"]["b"]["auroc"]["value"])
    json.dumps(found, allow_nan=False)


def test_a_class_too_rare_to_refit_is_named_and_the_drop_stands():
    found = content_of_three(of_three(0, 1.5, 2.0, rare=0.05), unit="lesion")
    rare = int((of_three(0, 1.5, 2.0, rare=0.05)["truth"] == "c").sum())
    assert here_and_there.sentences(found)[2:] == [f"Answers: too few to re-fit ({rare} lesions of c; 50 of each are needed)."]
    shown = {table.name: table for table in tables(found)}
    assert "n/a (too few" in shown["external_answers"].rows[0][1]
    assert all("n/a (elsewhere too few" in row[1] for row in shown["external_left_out"].rows)
    assert len(shown["external_domains_classes"].rows) == 6


def test_rare_classes_are_preferred_as_the_package_does_and_answers_that_were_kept_stay():
    here, kept = of_three(0, 1.5, 2.0), "as before the re-calibration"
    found = content_of_three(here, "adjusted", threshold.adjustment(np.array([[0.8, 0.15, 0.05]]), 0.5))
    assert found["rule"] == "the most probable class, each divided by its frequency to the power of 0.5"
    kept = content_of_three(here, kept, (0.1, -0.2, 0.1))
    assert "no rule that answers could be chosen by" in kept["refits"]["all classes"]["answers"]["reason"]
    assert "answers" not in kept["refits"]["all classes"]["domains"]["north"]["left_out"]
    assert all(len(row) in (2, len(table.header)) for table in tables(kept) for row in table.rows)


def test_an_older_file_that_says_why_nothing_is_refitted_is_still_read():
    found = {**content_of_three(of_three(0, 1.5, 2.0)), "refits": {}, "no_refit": "of several classes there is no threshold"}
    assert here_and_there.sentences(found)[-1] == "Nothing is re-fitted: of several classes there is no threshold."
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
    assert "Threshold: too few to re-fit (8 images of ill, 4 images of normal; 50 of each are needed)." in said
    assert "No better order" not in said
    stored = here_and_there.read(tmp_path / "out")
    assert stored["own"]["split"] == "validation"
    (tmp_path / "out" / "external.json").write_text("{")
    with pytest.raises(MedtlError, match="cut or damaged"):
        here_and_there.read(tmp_path / "out")
