"""Labels: counts against pandas and statsmodels, wrong ones against those that were planted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from medtl.audit.findings import Finding
from medtl.audit.label_errors import label_errors
from medtl.audit.label_health import label_health
from medtl.contracts import Task

Make = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]
TWO = Task(classes={"normal": ("normal",), "pneumonia": ("pneumonia",)})


def found(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


def answers(records: pd.DataFrame, truth: pd.Series, task: Task, clearness: float, seed: int = 0) -> pd.DataFrame:
    """Out-of-fold probabilities of a model that saw `truth`, not the label."""
    chance = np.random.default_rng(seed)
    own = np.stack([truth == name for name in task.names], axis=1)
    logits = clearness * own + chance.normal(0, 1, own.shape)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    table = records[["image", "frame"]].assign(view="plain", **{f"p_{name}": p[:, place] for place, name in enumerate(task.names)})
    return table.sample(frac=1, random_state=1)


def test_prevalence_by_split_and_domain(cohort: Make) -> None:
    records, _ = cohort(600, per_group=1)
    records["domain"] = np.where(np.arange(600) % 2, "north", "south")
    findings = found(label_health(records, TWO, None))
    table = findings["PREVALENCE"].table
    own = records[(records["domain"] == "north") & (records["split"] == "test")]
    row = table[(table["domain"] == "north") & (table["split"] == "test") & (table["class"] == "pneumonia")].iloc[0]
    sick = int((own["label"] == "pneumonia").sum())
    assert (row["images"], row["groups"], row["of"]) == (sick, sick, len(own))
    expected = [sick / len(own), *proportion_confint(sick, len(own), method="wilson")]
    assert row[["share", "low", "high"]].tolist() == pytest.approx(expected, abs=1e-4)
    assert set(findings) == {"PREVALENCE"} | ({"PREVALENCE_BETWEEN_DOMAINS"} & set(findings))


def test_splits_with_other_prevalences(cohort: Make) -> None:
    records, _ = cohort(800, per_group=1)
    assert "PREVALENCE_BETWEEN_SPLITS" not in found(label_health(records, TWO, None))
    healthy = records["label"] == "normal"
    records.loc[healthy & (np.arange(800) % 3 > 0), "split"] = "test"
    finding = found(label_health(records, TWO, None))["PREVALENCE_BETWEEN_SPLITS"]
    line = finding.table.set_index("class").loc["normal"]
    assert line["commonest in"] == "test"
    assert line["its share"] == pytest.approx(healthy[records["split"] == "test"].mean(), abs=1e-4)


def test_groups_not_images_make_a_class_rare(cohort: Make) -> None:
    """Forty images of four patients are few."""
    records, _ = cohort(600)
    rare = records.index[:40]
    records.loc[rare, ["label", "split"]] = "rare", "train"
    records.loc[rare, "group_id"] = [f"q{number % 4}" for number in range(40)]
    task = Task(classes={name: (name,) for name in ("normal", "pneumonia", "rare")})
    findings = label_health(records, task, None)
    table = found(findings)["RARE_CLASS"].table
    assert table.to_numpy().tolist() == [["rare", "train", 4, 30]]
    missing = [finding for finding in findings if finding.code == "CLASS_MISSING"]
    assert [finding.severity for finding in missing] == ["notable"]
    assert "'rare' in validation, 'rare' in test" in missing[0].title
    records.loc[rare, "split"] = "test"
    missing = [finding for finding in label_health(records, task, None) if finding.code == "CLASS_MISSING"]
    assert (missing[0].severity, missing[0].title) == ("grave", "No image to learn from: rare")


def test_folds_and_unlabelled_images(cohort: Make) -> None:
    records, _ = cohort(400)
    records = records.assign(split="", fold=(pd.factorize(records["patient_id"])[0] % 5).astype(str))
    records.loc[:29, ["label", "split", "fold"]] = "", "excluded", ""
    findings = found(label_health(records, TWO, None))
    assert findings["UNKNOWN_LABELS"].title == "30 of 400 images have no label (7.5 %)"
    assert set(findings["PREVALENCE"].table["split"]) == {"all", *(f"fold {number}" for number in range(5))}
    assert "CLASS_MISSING" not in findings
    assert found(label_health(records.assign(label=""), TWO, None)).keys() == {"UNKNOWN_LABELS"}


def test_planted_label_errors_are_named_worst_first(cohort: Make) -> None:
    records, _ = cohort(1000, per_group=1)
    truth = records["label"].copy()
    flipped = np.random.default_rng(3).choice(1000, 60, replace=False)
    records.loc[flipped, "label"] = np.where(truth[flipped] == "normal", "pneumonia", "normal")
    findings = found(label_health(records, TWO, answers(records, truth, TWO, clearness=5)))
    finding = findings["PROBABLE_LABEL_ERRORS"]
    named = [image for image, _ in finding.images]
    planted = set(records.loc[flipped, "image"])
    assert len(planted & set(named)) >= 54
    assert len(planted & set(named)) >= 0.85 * len(named)
    assert set(named[:30]) <= planted
    row = finding.table.iloc[0]
    assert row["rather"] == truth[records["image"] == row["image"]].item() != row["label"]
    assert finding.exclude == ()  # hard cases must not vanish from a test


def test_clean_labels_are_left_alone(cohort: Make) -> None:
    records, _ = cohort(600)
    findings = label_errors(records, TWO, answers(records, records["label"], TWO, clearness=8))
    assert sum(len(finding.images) for finding in findings) <= 6


def test_labels_that_nothing_tells(cohort: Make) -> None:
    records, _ = cohort(600)
    table = answers(records, records["label"], TWO, clearness=0)
    (finding,) = label_errors(records, TWO, table)
    assert finding.code == "LABELS_NOT_TOLD"
    p = table.set_index("image")["p_pneumonia"][records["image"]]
    assert f"AUROC {roc_auc_score(records['label'] == 'pneumonia', p):.3f}" in finding.title


def test_classes_too_rare_to_judge_and_unread_images_stay_out(cohort: Make) -> None:
    records, _ = cohort(600)
    records.loc[:5, "label"] = "rare"
    task = Task(classes={name: (name,) for name in ("normal", "rare", "pneumonia")})
    table = answers(records, records["label"], task, clearness=8)
    table.loc[100:199, ["p_normal", "p_rare", "p_pneumonia"]] = np.nan
    named = {image for finding in label_errors(records, task, table) for image, _ in finding.images}
    assert not named & set(records["image"][:6])
    assert label_errors(records[:6], task, table) == []
    twice = pd.concat([table, table.assign(view="rotated", p_normal=1.0, p_pneumonia=0.0, p_rare=0.0)])
    assert [finding.title for finding in label_errors(records, task, twice)] == [
        finding.title for finding in label_errors(records, task, table)
    ]
