"""One row per patient: combined log-odds, truths that differ, images that were not read; and that the order of rows is nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, log_softmax, logit, softmax

from medtl import findings
from medtl.contracts import Task
from medtl.evaluation.units import by_unit


def test_mean_and_max_of_two_classes_by_hand(make_table, make_task):
    p = np.array([0.2, 0.7, 0.4, 0.9])
    table = make_table([0, 1, 0, 1], np.stack([1 - p, p], axis=1), groups=[0, 0, 1, 1])
    for combine, of in (("mean", np.mean), ("max", np.max)):
        units = by_unit(table, ["x", "x", "x", "y"], make_task(2), combine)
        assert list(units.keys["image"]) == ["x", "y"]
        odds = [of(logit(p[:3])), logit(0.9)]
        assert units.logits[:, 1] - units.logits[:, 0] == pytest.approx(odds)
        assert softmax(units.logits, axis=1)[:, 1] == pytest.approx(expit(odds))
        assert (units.truth.tolist(), units.mixed) == ([1, 1], 1)  # x has an image of the positive class: it is positive
        assert list(units.keys["group_id"]) == ["x", "g1"]  # images of two groups: the unit is what is independent


def test_the_positive_class_may_be_the_first(make_table):
    task = Task(classes={"a": (), "b": ()}, positive="a")
    units = by_unit(make_table([0, 1], [[0.2, 0.8], [0.6, 0.4]]), ["x", "x"], task, "max")
    assert softmax(units.logits[0])[0] == pytest.approx(0.6)
    assert units.truth.tolist() == [0]


def test_several_classes_and_units_that_differ(make_table, make_task):
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    table = make_table([0, 0, 1, 2], p)
    largest = by_unit(table, ["x", "x", "y", "y"], make_task(3), "max")
    assert (list(largest.keys["image"]), largest.mixed) == (["x"], 1)
    assert largest.logits == pytest.approx(np.log([[0.6, 0.3, 0.5]]))
    mean = by_unit(table, ["x", "x", "y", "z"], make_task(3), "mean")
    assert mean.logits[0] == pytest.approx(np.log(p[:2]).mean(axis=0))
    assert mean.truth.tolist() == [0, 1, 2]


def test_the_mean_is_that_of_the_networks_own_logits(make_table, make_task):
    """Calibrated probabilities of shifted logits: the softmax of the mean is the same, whatever constant a row has."""
    random = np.random.default_rng(0)
    z = random.normal(size=(6, 3)) * 2 + random.normal(size=(6, 1))
    table = make_table([0] * 6, softmax(z / 1.7 + [0.2, 0, -0.2], axis=1))
    units = by_unit(table, ["x"] * 4 + ["y"] * 2, make_task(3), "mean")
    own = np.stack([z[:4].mean(axis=0), z[4:].mean(axis=0)]) / 1.7 + [0.2, 0, -0.2]
    assert log_softmax(units.logits, axis=1) == pytest.approx(log_softmax(own, axis=1))


def test_unread_images_are_left_out_and_a_unit_of_them_is_unread(make_table, make_task):
    nothing = [np.nan, np.nan]
    for combine in ("mean", "max"):
        units = by_unit(make_table([0, 0, 1], [[0.9, 0.1], nothing, nothing]), ["x", "x", "y"], make_task(2), combine)
        assert units.logits[0] == pytest.approx(np.log([0.9, 0.1]))
        assert np.isnan(units.logits[1]).all()
        assert units.truth.tolist() == [0, 1]


def test_probabilities_of_exactly_0_and_1_stay_finite(make_table, make_task):
    units = by_unit(make_table([0, 1], [[1, 0], [0, 1]]), ["x", "y"], make_task(2), "mean")
    assert np.isfinite(units.logits).all()


def test_findings_are_present_where_one_image_has_them():
    names = ("edema", "mass")
    truth = np.array([[1, 0], [0, np.nan], [0, 0], [0, 0]])
    z = np.array([[1.0, -2], [3, -1], [0, 0], [-1, 2]])
    table = pd.DataFrame({"image": list("abcd"), "frame": 0, "group_id": "", "truth": findings.words(truth, names)})
    table["unknown"] = findings.unknown_words(truth, names)
    table[["p_edema", "p_mass"]] = expit(z)
    units = by_unit(table, ["x", "x", "y", "y"], Task(kind="multi", classes=dict.fromkeys(names, ())), "max")
    assert units.truth == pytest.approx(np.array([[1, np.nan], [0, 0]]), nan_ok=True)
    assert units.logits == pytest.approx(np.array([[3, -1], [0, 2]]))
    assert (list(units.keys["truth"]), list(units.keys["unknown"]), units.mixed) == (["edema", "none"], ["mass", ""], 1)


@pytest.mark.parametrize("combine", ["mean", "max"])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_order_of_rows_does_not_matter(draw, make_table, make_task, combine: str, classes: int):
    truth, p, groups = draw(np.random.default_rng(0), 20, 3, np.full(classes, 1 / classes).tolist())
    table = make_table(truth, p, groups)
    table["unit"] = [f"u{group}" for group in groups]
    mixed = table.sample(frac=1, random_state=3)
    one, other = (by_unit(each, each["unit"], make_task(classes), combine) for each in (table, mixed))
    assert one.keys.equals(other.keys)
    assert one.logits == pytest.approx(other.logits)
