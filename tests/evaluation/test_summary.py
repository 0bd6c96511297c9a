"""One entry of metrics.json: figures against scikit-learn, honest intervals, degenerate tables, speed."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sklearn import metrics

from medtl.contracts import Task
from medtl.errors import MedtlError, Mistakes
from medtl.evaluation.summary import summarize

MEANS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "brier", "ece")
FURTHER = (
    "weighted_precision", "weighted_f1", "mcc", "kappa", "weighted_recall", "auprc_baseline", "log_loss", "mse", "ece_corrected",
    "brier_reliability", "brier_resolution", "brier_uncertainty",
)  # fmt: skip
OF_CLASS = ("precision", "recall", "f1", "prevalence")
MORE_OF_CLASS = ("specificity", "npv", "auroc", "auroc_delong", "auprc", "auprc_baseline", "calibration_intercept", "calibration_slope")
NO_SHARES = ("mcc", "kappa", "log_loss", "ece_corrected", "brier_resolution", "calibration_intercept", "calibration_slope")


def estimates(entry: dict) -> dict[str, dict]:
    return {name: entry[name] for name in MEANS} | {
        f"{label} {name}": figures[name] for label, figures in entry["per_class"].items() for name in OF_CLASS
    }


def all_estimates(entry: dict) -> dict[str, dict]:
    top = [name for name in entry if name.startswith("top_")]
    return (
        estimates(entry)
        | {name: entry[name] for name in (*FURTHER, *top)}
        | {f"{label} {name}": figures[name] for label, figures in entry["per_class"].items() for name in MORE_OF_CLASS}
    )


def check_shape(entry: dict, classes: int) -> None:
    """What every reader of metrics.json relies on."""
    json.dumps(entry, allow_nan=False)
    top = [f"top_{k}_accuracy" for k in (2, 3) if k < classes]
    assert set(entry) == {"n", "groups", "answered", "threshold", *MEANS, *FURTHER, *top, "confusion", "unread", "per_class"}
    assert sum(map(sum, entry["confusion"])) + sum(entry["unread"].values()) == entry["n"]
    assert np.shape(entry["confusion"]) == (classes, classes)
    for name, found in all_estimates(entry).items():
        if found["value"] is None:
            assert found["reason"]
        elif found["low"] is None:
            assert found["high"] is None
            assert found["reason"]
        else:
            assert found["low"] <= found["value"] <= found["high"], name
            assert name.split()[-1] in NO_SHARES or (found["low"] >= 0 and found["high"] <= (2 if "brier" in name else 1)), name
            assert found["high"] - found["low"] > 1e-6, name


@pytest.mark.parametrize("prevalence", [[0.7, 0.3], [0.6, 0.3, 0.1]])
def test_values_are_scikit_learns(draw, make_table, make_task, prevalence: list[float]):
    truth, p, groups = draw(np.random.default_rng(0), 120, 2, prevalence)
    k, called = len(prevalence), p.argmax(axis=1)
    entry = summarize(make_table(truth, p, groups), make_task(k), resamples=100, threshold=0.5)
    check_shape(entry, k)
    ranked = p[:, 1] if k == 2 else p
    expected = {
        "accuracy": metrics.accuracy_score(truth, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, called),
        "macro_f1": metrics.f1_score(truth, called, average="macro"),
        "auroc": metrics.roc_auc_score(truth, ranked, multi_class="ovr"),
        "auprc": metrics.average_precision_score(truth if k == 2 else np.eye(k)[truth], ranked),
        "brier": metrics.brier_score_loss(truth, ranked) if k == 2 else np.mean(np.sum((p - np.eye(k)[truth]) ** 2, axis=1)),
    }
    assert {name: entry[name]["value"] for name in expected} == pytest.approx(expected)
    report = metrics.classification_report(truth, called, output_dict=True)
    for index, (name, figures) in enumerate(entry["per_class"].items()):
        of_class = report[str(index)]
        assert figures["precision"]["value"] == pytest.approx(of_class["precision"])
        assert figures["recall"]["value"] == pytest.approx(of_class["recall"])
        assert figures["f1"]["value"] == pytest.approx(of_class["f1-score"])
        assert (name, figures["support"]) == ("abc"[index], of_class["support"])
    assert entry["confusion"] == metrics.confusion_matrix(truth, called).tolist()
    assert (entry["n"], entry["groups"], entry["answered"], entry["threshold"]) == (240, 120, 240, 0.5)


def test_predicted_is_taken_as_stored(make_table, make_task):
    table = make_table([0, 1, 1, 0], [[0.7, 0.3], [0.7, 0.3], [0.2, 0.8], [0.9, 0.1]], predicted=[1, 1, 1, 0])
    assert summarize(table, make_task(2))["confusion"] == [[1, 1], [0, 2]]


def test_the_positive_class_may_be_the_first(draw, make_table):
    truth, p, groups = draw(np.random.default_rng(1), 80, 1, [0.4, 0.6])
    entry = summarize(make_table(truth, p, groups), Task(classes={"a": (), "b": ()}, positive="a"), resamples=100)
    assert entry["auprc"]["value"] == pytest.approx(metrics.average_precision_score(truth == 0, p[:, 0]))


def test_unread_images_count_as_missed(make_table, make_task):
    nothing = [np.nan, np.nan]
    entry = summarize(make_table([0, 0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], nothing, [0.2, 0.8], nothing]), make_task(2))
    check_shape(entry, 2)
    assert (entry["n"], entry["answered"], entry["unread"]) == (5, 3, {"a": 1, "b": 1})
    assert entry["accuracy"]["value"] == pytest.approx(2 / 5)
    assert entry["per_class"]["a"]["recall"]["value"] == pytest.approx(1 / 3)
    assert entry["per_class"]["a"]["precision"]["value"] == 1
    assert entry["per_class"]["b"]["f1"]["value"] == pytest.approx(2 / 4)
    assert entry["auroc"]["value"] == 1  # of the three read
    assert entry["per_class"]["a"]["support"] == 3


def test_members_stress_views_and_unknown_truth_are_left_out(draw, make_table, make_task):
    truth, p, groups = draw(np.random.default_rng(2), 30, 1, [0.5, 0.5])
    table = make_table(truth, p, groups)
    others = [table.assign(member="0", p_a=0.5, p_b=0.5), table.assign(view="noise"), table.assign(truth="", image="new" + table["image"])]
    assert summarize(pd.concat([table, *others]), make_task(2)) == summarize(table, make_task(2))


def test_row_order_does_not_matter_and_the_seed_does(draw, make_table, make_task):
    truth, p, groups = draw(np.random.default_rng(3), 60, 2, [0.5, 0.5], separation=1)
    table = make_table(truth, p, groups)
    entry = summarize(table, make_task(2))
    again = summarize(table.sample(frac=1, random_state=0), make_task(2))
    for name, found in all_estimates(entry).items():
        assert all_estimates(again)[name] == pytest.approx(found, abs=1e-9)
    assert summarize(table, make_task(2), seed=1)["auroc"] != entry["auroc"]


@pytest.mark.parametrize("prevalence", [[0.7, 0.3], [0.6, 0.3, 0.1]])
def test_rows_repeated_within_their_groups_leave_intervals_unchanged(draw, make_table, make_task, prevalence: list[float]):
    truth, p, groups = draw(np.random.default_rng(4), 150, 2, prevalence)
    k = len(prevalence)
    once = estimates(summarize(make_table(truth, p, groups), make_task(k)))
    five = estimates(summarize(make_table(np.repeat(truth, 5), np.repeat(p, 5, axis=0), np.repeat(groups, 5)), make_task(k)))
    for name, found in once.items():
        width = found["high"] - found["low"]
        assert five[name]["value"] == pytest.approx(found["value"])
        assert five[name]["high"] - five[name]["low"] == pytest.approx(width, rel=0.02), name
        assert five[name]["low"] == pytest.approx(found["low"], abs=0.02 * width), name


def test_images_of_one_patient_are_not_independent(draw, make_table, make_task):
    truth, p, groups = draw(np.random.default_rng(5), 100, 4, [0.5, 0.5])
    by_patient, by_image = (summarize(make_table(truth, p, g), make_task(2)) for g in (groups, None))
    for name in MEANS[:-1]:
        widths = [found[name]["high"] - found[name]["low"] for found in (by_patient, by_image)]
        assert widths[0] > 1.2 * widths[1], name


def test_perfect_on_few_patients_is_not_certain(make_table, make_task):
    truth = np.repeat([0, 1], [8, 12])
    entry = summarize(make_table(truth, np.eye(2)[truth] * 0.998 + 0.001), make_task(2))
    check_shape(entry, 2)
    assert entry["auroc"]["value"] == entry["accuracy"]["value"] == 1
    assert entry["auroc"]["low"] < 0.85
    assert entry["auprc"]["low"] < 0.85
    assert entry["accuracy"]["low"] < 0.85
    assert entry["macro_f1"]["low"] < 0.9
    assert entry["brier"]["high"] > 0.1
    assert entry["ece"]["high"] > 0.1


def test_absent_class_has_no_value_and_the_mean_says_so(draw, make_table, make_task):
    truth, p, groups = draw(np.random.default_rng(6), 60, 1, [0.6, 0.4])
    p = np.column_stack([p * 0.9, np.full(60, 0.1)])
    entry = summarize(make_table(truth, p, groups), make_task(3), resamples=200)
    check_shape(entry, 3)
    assert entry["per_class"]["c"]["recall"] == {"value": None, "reason": "no cases"}
    assert entry["auroc"]["note"] == "over 2 of 3 classes; no cases of c"
    assert entry["macro_f1"]["note"] == entry["auroc"]["note"]
    assert entry["auroc"]["low"] is not None


def test_never_predicted_class_has_no_precision_but_f1_zero(make_table, make_task):
    entry = summarize(make_table([0, 0, 1], [[0.9, 0.1]] * 3), make_task(2))
    assert entry["per_class"]["b"]["precision"] == {"value": None, "reason": "never predicted"}
    assert entry["per_class"]["b"]["f1"]["value"] == 0


def test_one_patient_gives_values_without_intervals(draw, make_table, make_task):
    truth, p, _ = draw(np.random.default_rng(0), 20, 1, [0.5, 0.5])
    entry = summarize(make_table(truth, p, ["same"] * 20), make_task(2))
    check_shape(entry, 2)
    assert all(
        found["value"] is not None and found["low"] is None and "one group" in found["reason"] for found in estimates(entry).values()
    )


def test_rows_without_a_group_are_groups_of_their_own(draw, make_table, make_task):
    truth, p, _ = draw(np.random.default_rng(0), 20, 1, [0.5, 0.5])
    assert summarize(make_table(truth, p).assign(group_id=""), make_task(2))["groups"] == 20


ROW = st.tuples(
    st.integers(0, 2), st.sampled_from([(1.0, 0, 0), (0, 1.0, 0), (0.2, 0.3, 0.5), (1 / 3,) * 3, (np.nan,) * 3]), st.integers(0, 4)
)


@hypothesis_settings(max_examples=40)
@given(st.lists(ROW, max_size=12))
def test_any_table_gives_a_sound_entry(make_table, make_task, rows: list[tuple[int, tuple[float, ...], int]]):
    truth, p, groups = ([row[i] for row in rows] for i in range(3))
    entry = summarize(make_table(truth, np.reshape(p, (-1, 3)), groups), make_task(3), resamples=50)
    check_shape(entry, 3)
    assert entry["n"] == len(rows)


@pytest.mark.parametrize(
    ("groups", "size", "prevalence", "separation"), [(30, 1, [0.6, 0.4], 2.0), (80, 3, [0.8, 0.2], 1.3), (120, 2, [0.7, 0.2, 0.1], 1.6)]
)
def test_intervals_hold_the_truth(draw, make_table, make_task, groups: int, size: int, prevalence: list[float], separation: float):
    """60 studies: each interval holds the value of a very large one 83 % of the time or more.

    Wilson's own coverage dips to 93 % for shares like these; three standard errors of 60 runs are 10 %.
    """
    k, random, runs = len(prevalence), np.random.default_rng(9), 60
    large_truth, large_p, _ = draw(random, 60_000, 1, prevalence, separation)
    large = all_estimates(summarize(make_table(large_truth, large_p), make_task(k), resamples=2))
    true = {name: found["value"] for name, found in large.items() if found["value"] is not None}
    true["ece_corrected"] = true["ece"]
    held = dict.fromkeys(true, 0)
    for _ in range(runs):
        truth, p, members = draw(random, groups, size, prevalence, separation)
        for name, found in all_estimates(summarize(make_table(truth, p, members), make_task(k), resamples=200)).items():
            if name in held:
                held[name] += found.get("low") is None or found["low"] <= true[name] <= found["high"]
    assert {name: count for name, count in held.items() if count / runs < 0.83} == {}


def test_ten_thousand_rows_of_seven_classes_take_seconds(draw, make_table, make_task):
    truth, p, groups = draw(np.random.default_rng(0), 3700, 3, [0.66, 0.11, 0.11, 0.05, 0.04, 0.02, 0.01])
    table, task = make_table(truth[:10000], p[:10000], groups[:10000]), make_task(7)
    begin = time.process_time()
    entry = summarize(table, task)
    assert time.process_time() - begin < 15  # 2.5 s here; the usual loop over scikit-learn takes a minute
    assert entry["groups"] == 3334


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": "d"}, "'truth' holds d; classes: a, b"),
        ({"predicted": "x"}, "'predicted' holds x"),
        ({"image": "same.png"}, "3 rows repeat"),
        ({"predicted": ""}, "must stand or lack together"),
    ],
)
def test_tables_that_cannot_be_judged(make_table, make_task, change: dict[str, str], message: str):
    table = make_table([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]).assign(**change)
    with pytest.raises(Mistakes, match=message):
        summarize(table, make_task(2))


def test_other_classes_than_the_tasks(make_table):
    with pytest.raises(MedtlError, match="classes are a, b; the task's: b, a"):
        summarize(make_table([0], [[0.9, 0.1]]), Task(classes={"b": (), "a": ()}))


def test_torch_is_never_imported():
    code = (
        "import sys, medtl.evaluation.summary, medtl.evaluation.table, medtl.evaluation.metrics_file, medtl.evaluation.monitor\n"
        "import medtl.decisions.calibration, medtl.decisions.threshold, medtl.decisions.prior\n"
        "sys.exit(', '.join(sorted({'torch', 'monai', 'lightning', 'sklearn', 'matplotlib'} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
