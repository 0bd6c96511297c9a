"""Several findings per image: each against scikit-learn on the images of which it is known, their means, honest intervals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import metrics

from medtl import findings, predictions
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation import monitor
from medtl.evaluation.cases import findings_from_table, from_table
from medtl.evaluation.improvement import improved
from medtl.evaluation.noninferiority import not_worse
from medtl.evaluation.paired import difference
from medtl.evaluation.retention import retained
from medtl.evaluation.summary import summarize
from medtl.evaluation.table import lines

CLASSES = ("edema", "nodule", "mass")
TASK = Task(kind="multi", classes=dict.fromkeys(CLASSES, ()))
CUTS = (0.5, 0.3, 0.6)


def drawn(
    seed: int, groups: int, each: int = 2, unknown: float = 0.2
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """(N, 3) truth with gaps, (N, 3) logits, (N,) groups; images of a group are alike."""
    random = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), each)
    own = random.normal(size=(groups, 3))[group] + 0.5 * random.normal(size=(len(group), 3)) + random.normal(size=(groups, 1))[group]
    truth = (own > (0, 0.8, 1.2)).astype(float)
    logits = 1.5 * own + random.normal(size=own.shape) - (0, 1, 1.5)
    truth[random.random(truth.shape) < unknown] = np.nan
    return truth, logits, group


def table_of(truth: NDArray[np.float64], logits: NDArray[np.float64], group: NDArray[np.int64], unread: Any = ()) -> pd.DataFrame:
    p = expit(logits)
    p[list(unread)] = np.nan
    said = np.where(np.isnan(p[:, 0]), "", findings.words(p >= CUTS, CLASSES))
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(len(p))], "frame": 0, "group_id": [f"g{each}" for each in group]})
    table = table.assign(domain="", split="test", fold="", member="", view="plain", predicted=said, reason="")
    table = table.assign(truth=findings.words(truth, CLASSES), unknown=findings.unknown_words(truth, CLASSES))
    table["decision"] = np.where(said == "", "no answer", said)
    for k, name in enumerate(CLASSES):
        table[f"logit_{name}"], table[f"p_{name}"] = np.where(np.isnan(p[:, k]), np.nan, logits[:, k]), p[:, k]
    return table[predictions.columns(CLASSES, together=True)]


def test_every_finding_is_scikit_learns() -> None:
    truth, logits, group = drawn(0, 100)
    entry = summarize(table_of(truth, logits, group), TASK, resamples=200, threshold=CUTS)
    json.dumps(entry, allow_nan=False)
    expected: dict[str, list[float]] = {name: [] for name in ("f1", "auroc", "auprc", "brier", "balanced")}
    for k, name in enumerate(CLASSES):
        known = np.isfinite(truth[:, k])
        true, p = truth[known, k], expit(logits[known, k])
        called = p >= CUTS[k]
        own = {
            "precision": metrics.precision_score(true, called),
            "recall": metrics.recall_score(true, called),
            "specificity": metrics.recall_score(true, called, pos_label=0),
            "f1": metrics.f1_score(true, called),
            "auroc": metrics.roc_auc_score(true, p),
            "auprc": metrics.average_precision_score(true, p),
            "brier": metrics.brier_score_loss(true, p),
            "prevalence": true.mean(),
            "npv": metrics.precision_score(true, called, pos_label=0),
            "mcc": metrics.matthews_corrcoef(true, called),
            "kappa": metrics.cohen_kappa_score(true, called),
            "log_loss": metrics.log_loss(true, p),
        }
        figures = entry["per_class"][name]
        for figure, value in own.items():
            assert figures[figure]["value"] == pytest.approx(value), (name, figure)
            assert figures[figure]["low"] <= value <= figures[figure]["high"]
            expected.setdefault(figure, []).append(value)
        expected["balanced"].append(metrics.balanced_accuracy_score(true, called))
        assert entry["confusion"][name] == metrics.confusion_matrix(true, called).tolist()
        assert (figures["support"], figures["known"]) == (true.sum(), known.sum())
    for key, own in (
        ("macro_f1", "f1"),
        ("auroc", "auroc"),
        ("auprc", "auprc"),
        ("brier", "brier"),
        ("balanced_accuracy", "balanced"),
        ("mcc", "mcc"),
        ("kappa", "kappa"),
        ("log_loss", "log_loss"),
    ):
        assert entry[key]["value"] == pytest.approx(np.mean(expected[own]))
        assert entry[key]["low"] < entry[key]["value"] < entry[key]["high"]
    support = [figures["support"] for figures in entry["per_class"].values()]
    for key in ("precision", "recall", "f1"):
        weighted = entry[f"weighted_{key}"]
        assert weighted["value"] == pytest.approx(np.average(expected[key], weights=support))
        assert weighted["low"] < weighted["value"] < weighted["high"]
    parts = [entry[f"brier_{part}"]["value"] for part in ("reliability", "resolution", "uncertainty")]
    assert entry["brier"]["value"] == pytest.approx(parts[0] - parts[1] + parts[2])
    assert entry["auprc_baseline"]["value"] == pytest.approx(np.mean(expected["prevalence"]))
    some = np.isfinite(truth).any(axis=1)
    wrong = np.isfinite(truth) & (truth != (expit(logits) >= CUTS))
    assert entry["n"] == some.sum()
    assert entry["accuracy"]["value"] == pytest.approx((~wrong.any(axis=1))[some].mean())


def test_an_unread_image_misses_what_is_known_of_it_and_has_no_rank() -> None:
    truth, logits, group = drawn(1, 40)
    truth[0] = (1, 0, np.nan)
    given, unread = (summarize(table_of(truth, logits, group, gone), TASK, resamples=50) for gone in ((), (0,)))
    assert unread["unread"] == {"images": 1}
    assert unread["answered"] == given["answered"] - 1
    for name, known in zip(CLASSES, (1, 1, 0), strict=True):
        cells = [sum(map(sum, entry["confusion"][name])) for entry in (given, unread)]
        assert cells[0] - cells[1] == known
        assert unread["per_class"][name]["known"] == given["per_class"][name]["known"]
        assert (unread["per_class"][name]["auroc"] == given["per_class"][name]["auroc"]) == (not known)
    found = given["confusion"]["edema"][1][1] - unread["confusion"]["edema"][1][1]
    assert unread["per_class"]["edema"]["recall"]["value"] <= given["per_class"]["edema"]["recall"]["value"] or found == 0


def test_who_got_an_answer_is_counted_for_each_finding_among_those_known() -> None:
    truth, logits, group = drawn(3, 20)
    table = table_of(truth, logits, group, unread=[0])
    table.loc[5:9, ["decision", "reason"]] = ["no answer", "odd [QUALITY]"]
    told = findings_from_table(table, TASK)
    asked = np.isfinite(truth).any(axis=1)
    given = np.array([i != 0 and not 5 <= i <= 9 for i in range(len(truth))])
    assert told.answered == (given & asked).sum()
    for k in range(3):
        assert told.one(k).answered == (given & np.isfinite(truth[:, k])).sum()


def test_what_is_unknown_changes_nothing_of_its_finding() -> None:
    truth, logits, group = drawn(2, 60)
    other = logits + np.where(np.isnan(truth), 5.0, 0.0)
    entries = [summarize(table_of(truth, each, group), TASK, resamples=50) for each in (logits, other)]
    assert entries[0] == entries[1]


def test_the_order_of_rows_does_not_matter() -> None:
    table = table_of(*drawn(3, 30))
    assert summarize(table.sample(frac=1, random_state=1), TASK, resamples=50) == summarize(table, TASK, resamples=50)


def test_intervals_of_means_hold_the_truth_over_patients_whose_findings_hang_together() -> None:
    truth, logits, _ = drawn(99, 40_000)
    exact = np.mean([metrics.roc_auc_score(truth[known, k], logits[known, k]) for k in range(3) if len(known := np.isfinite(truth[:, k]))])
    whole = summarize(table_of(*drawn(98, 8_000)), TASK, resamples=2)
    true = {"auroc": exact} | {key: whole[key]["value"] for key in ("weighted_precision", "weighted_f1", "mcc", "log_loss", "kappa")}
    held = dict.fromkeys(true, 0)
    for seed in range(30):
        entry = summarize(table_of(*drawn(seed, 60)), TASK, resamples=100)
        for key, value in true.items():
            held[key] += entry[key]["low"] is None or entry[key]["low"] <= value <= entry[key]["high"]
    assert min(held.values()) >= 26, held  # of 30; 95 % would be 28.5


def test_a_finding_without_cases_stays_out_of_the_means() -> None:
    truth, logits, group = drawn(4, 40)
    truth[:, 2] = 0
    entry = summarize(table_of(truth, logits, group), TASK, resamples=50)
    assert entry["per_class"]["mass"]["auroc"]["value"] is None
    assert entry["auroc"]["note"] == "over 2 of 3 classes; no cases of mass"
    truth[:] = np.nan
    nothing = summarize(table_of(truth, logits, group), TASK, resamples=50)
    assert nothing["n"] == 0
    assert nothing["macro_f1"] == {"value": None, "reason": "no cases"}


def test_the_table_says_each_finding_by_itself() -> None:
    entry = json.loads(json.dumps(summarize(table_of(*drawn(5, 40)), TASK, resamples=50, threshold=CUTS)))
    text = lines(entry, TASK, "patient")
    assert "thresholds 0.500, 0.300, 0.600" in text
    assert "all findings right" in text
    assert "specificity" in text


def test_tables_of_the_other_kind_are_refused() -> None:
    table = table_of(*drawn(6, 20))
    with pytest.raises(MedtlError, match="a table of a task of kind single has no column 'unknown'"):
        summarize(table, Task(classes=TASK.classes))
    with pytest.raises(MedtlError, match="column 'truth' holds 'fracture'"):
        summarize(table.assign(truth="fracture"), TASK)
    with pytest.raises(MedtlError, match="several findings per image"):
        from_table(table, TASK)


def test_two_models_of_findings_differ_by_their_means_on_the_same_draws_of_patients() -> None:
    truth, logits, group = drawn(8, 60)
    worse = logits + np.random.default_rng(9).normal(size=logits.shape) * 2
    one, other = table_of(truth, logits, group), table_of(truth, worse, group)

    def mean_area(given: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
        known = [rows[np.isfinite(truth[rows, k])] for k in range(3)]
        return float(np.mean([metrics.roc_auc_score(truth[own, k], given[own, k]) for k, own in enumerate(known)]))

    found, everyone = difference(one, other.sample(frac=1, random_state=0), TASK), np.arange(len(group))
    assert found["value"] == pytest.approx(mean_area(logits, everyone) - mean_area(worse, everyone))
    random, of = np.random.default_rng(10), [np.flatnonzero(group == each) for each in range(60)]
    gaps = []
    for _ in range(150):
        rows = np.concatenate([of[each] for each in random.integers(0, 60, 60)])
        gaps.append(mean_area(logits, rows) - mean_area(worse, rows))
    assert (found["low"], found["high"]) == pytest.approx(tuple(np.quantile(gaps, [0.025, 0.975])), abs=0.02)
    assert improved(one, other, TASK).shown
    assert not improved(other, one, TASK).shown
    assert not_worse(one, other, TASK, 0.02).shown
    assert not not_worse(other, one, TASK, 0.02).shown


def test_a_finding_that_is_read_on_one_side_alone_takes_no_part_in_a_difference() -> None:
    truth, logits, group = drawn(12, 60)
    truth[:, 2] = 0
    truth[:4, 2] = 1
    one, other = table_of(truth, logits, group, unread=range(4)), table_of(truth, logits - 1, group)
    found = difference(one, other, TASK)
    alone = truth.copy()
    alone[:, 2] = np.nan
    expected = difference(table_of(alone, logits, group, unread=range(4)), table_of(alone, logits - 1, group), TASK)
    assert np.isfinite(found["value"])
    assert found == pytest.approx(expected)


def test_what_a_model_must_keep_of_findings_are_those_with_and_those_without_each() -> None:
    truth, logits, group = drawn(11, 150, unknown=0.3)
    missed = logits.copy()
    missed[:, 1] = -9
    kept, lost = (retained(table_of(truth, each, group), table_of(truth, logits, group), TASK, 0.2) for each in (logits, missed))
    assert list(kept.per_class) == [f"{word}{name}" for name in CLASSES for word in ("no ", "")]
    assert kept.per_class["nodule"]["images"] == (truth[:, 1] == 1).sum()
    assert kept.shown
    assert not lost.shown
    assert "nodule" in lost.reason
    assert "mass" not in lost.reason
    assert lost.per_class["nodule"]["after"] == 0
    assert lost.per_class["no nodule"]["after"] == 1
    assert lost.per_class["edema"]["low"] == kept.per_class["edema"]["low"]


def test_the_monitor_is_the_mean_over_findings_of_what_is_known() -> None:
    truth, logits, _ = drawn(7, 60)
    each = [(truth[known, k], logits[known, k]) for k in range(3) if (known := np.isfinite(truth[:, k])).any()]
    assert monitor.score("auroc", truth, logits) == pytest.approx(np.mean([metrics.roc_auc_score(*pair) for pair in each]))
    assert monitor.score("auprc", truth, logits) == pytest.approx(np.mean([metrics.average_precision_score(*pair) for pair in each]))
    assert monitor.score("macro-f1", truth, logits) == pytest.approx(np.mean([metrics.f1_score(t, z > 0) for t, z in each]))
    balanced = np.mean([metrics.balanced_accuracy_score(t, z > 0) for t, z in each])
    assert monitor.score("balanced-accuracy", truth, logits) == pytest.approx(balanced)
    together = [np.concatenate(parts) for parts in zip(*each, strict=True)]
    assert monitor.score("loss", truth, logits) == pytest.approx(-metrics.log_loss(together[0], expit(together[1])))
    one_sided = np.where(np.arange(3) == 1, truth, np.where(np.isnan(truth), truth, 0.0))
    assert monitor.score("auroc", one_sided, logits) == pytest.approx(metrics.roc_auc_score(*each[1]))
    assert monitor.score("auroc", truth, np.full_like(logits, np.nan)) == -np.inf
    with pytest.raises(MedtlError, match="with and without a finding"):
        monitor.score("auroc", np.zeros((4, 3)), np.zeros((4, 3)))
