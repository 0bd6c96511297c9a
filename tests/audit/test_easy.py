"""What brightness and size of the file alone can tell of the images judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import KBinsDiscretizer

from medtl.audit.easy import alone

Make = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]
BYTES, BRIGHTNESS = "the size of the file in bytes", "brightness and contrast"


def test_what_tells_is_learned_on_train_and_judged_on_test(cohort: Make) -> None:
    records, measured = cohort(1600)
    sick, test = (records["label"] == "pneumonia").to_numpy(), (records["split"] == "test").to_numpy()
    measured["bytes"] = np.random.default_rng(0).normal(40_000 + 6_000 * sick, 6_000)
    found = alone(records, measured, "test")
    assert set(found) == {BYTES, BRIGHTNESS}
    size, train = measured[["bytes"]].to_numpy(), (records["split"] == "train").to_numpy()
    bins = KBinsDiscretizer(8, encode="onehot-dense", quantile_method="averaged_inverted_cdf").fit(size[train])
    logistic = LogisticRegression().fit(bins.transform(size[train]), sick[train])
    expected = roc_auc_score(sick[test], logistic.decision_function(bins.transform(size[test])))
    assert found[BYTES]["value"] == pytest.approx(expected, abs=0.01)
    assert 0.5 < found[BYTES]["low"] < found[BYTES]["value"] < found[BYTES]["high"]
    assert found[BRIGHTNESS]["low"] < 0.5 < found[BRIGHTNESS]["high"]


def test_what_train_says_the_other_way_round_misleads(cohort: Make) -> None:
    records, measured = cohort(1200)
    sick, test = (records["label"] == "pneumonia").to_numpy(), (records["split"] == "test").to_numpy()
    measured["bytes"] = np.where(sick != test, 50_000.0, 30_000.0)
    assert alone(records, measured, "test")[BYTES]["value"] == 0
    assert alone(records, measured, "validation")[BYTES]["value"] == 1


def test_without_training_images_it_is_out_of_fold(cohort: Make) -> None:
    records, measured = cohort(600, classes=("a", "b", "c"))
    measured["bytes"] = records["label"].map({"a": 10_000.0, "b": 20_000.0, "c": 30_000.0})
    assert alone(records.assign(split="external"), measured, "external")[BYTES]["value"] == pytest.approx(1)
    assert alone(records.assign(split="", fold="1"), measured, "test")[BYTES]["value"] == pytest.approx(1)


def test_few_patients_and_equal_files_say_nothing(cohort: Make) -> None:
    records, measured = cohort(30)
    assert alone(records, measured, "test") == {}
    records, measured = cohort(400)
    assert set(alone(records, measured.assign(bytes=1.0), "test")) == {BRIGHTNESS}
