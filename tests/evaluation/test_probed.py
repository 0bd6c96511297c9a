"""Probes of features: what is there is found, what is not is not, and no probe has seen the patient that it answers for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medtl.evaluation.probed import Column, columns_of, probe, probed, sentence


def made(n: int = 240, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Records of n / 2 patients with two images each, and features in which sex stands plainly, age faintly, and the label not at all."""
    random = np.random.default_rng(seed)
    patient = np.arange(n) // 2
    sex, age = random.integers(0, 2, n // 2)[patient], random.integers(20, 80, n // 2)[patient]
    features = random.normal(size=(n, 20))
    features[:, 3] += 3 * sex
    features[:, 7] += age / 20
    rows = pd.DataFrame({"label": random.choice(["well", "ill"], n), "domain": "here", "group_id": [f"{i:03d}" for i in patient]})
    return rows.assign(sex=np.where(sex == 1, "F", "M"), age=age.astype(str), site=["a" if i < 4 else "b" for i in range(n)]), features


NAMES = ["label", "domain", "sex", "age", "site"]


def test_what_is_asked_for():
    rows, _ = made()
    asked = {column.name: column for column in columns_of(rows, NAMES)}
    middle = float(rows["age"].astype(float).median())
    assert list(asked) == ["label", "sex", f"age above {middle:g}", "site"], "one domain is no question"
    above = asked[f"age above {middle:g}"]
    assert np.array_equal(np.array(above.names)[above.values] == "above", rows["age"].astype(float) > middle)
    assert asked["site"].reason == "fewer than 10 groups on a side"
    assert (asked["site"].values == -1).all()
    unknown = columns_of(rows.assign(sex=rows["sex"].where(rows.index > 9, "")), ["sex"])[0]
    assert (unknown.values[:10] == -1).all()
    assert (unknown.values[10:] >= 0).all()


def test_what_stands_in_the_features_is_read_and_what_does_not_is_not():
    rows, features = made()
    groups = pd.factorize(rows["group_id"])[0]
    found = {each["column"].split(" ")[0]: each for each in probed(columns_of(rows, NAMES), features, None, groups)}
    assert found["sex"]["after"]["low"] > 0.9
    assert 0.6 < found["age"]["after"]["value"] < 0.95
    assert found["label"]["after"]["low"] < 0.5 < found["label"]["after"]["high"]
    assert "before" not in found["sex"]
    assert sentence(found["label"]).startswith("That the model's features tell label is not shown: AUROC 0.")
    assert (found["sex"]["images"], found["sex"]["groups"]) == (240, 120)


def test_a_patients_own_images_are_never_learned_from():
    """Features that name the patient and nothing else: with a sister image among those learned from, the probe would be right."""
    random = np.random.default_rng(1)
    patient = np.arange(400) // 4
    features = random.normal(size=(100, 64))[patient] + 0.01 * random.normal(size=(400, 64))
    sex = Column("sex", random.integers(0, 2, 100)[patient], ["F", "M"])
    apart, mixed = (probe(sex, features, groups).value for groups in (patient, np.arange(400)))
    assert apart < 0.65
    assert mixed > 0.85


def test_before_and_after_are_compared_on_the_same_images():
    rows, features = made()
    groups = pd.factorize(rows["group_id"])[0]
    worse = features + np.random.default_rng(5).normal(size=features.shape) * 2
    (found,) = probed(columns_of(rows, ["sex"]), features, worse, groups)
    gap = found["difference"]
    assert gap["value"] == pytest.approx(found["after"]["value"] - found["before"]["value"])
    assert gap["low"] > 0
    assert sentence(found).startswith("The model's features tell sex with an AUROC of 0.9")
    assert f"before the training it was {found['before']['value']:.3f}: {gap['value']:+.3f}" in sentence(found)


def test_several_values_are_the_mean_of_one_against_rest():
    random = np.random.default_rng(2)
    truth = random.integers(0, 3, 300)
    features = np.eye(3)[truth] * 6 + random.normal(size=(300, 3))
    assert probe(Column("site", truth, ["a", "b", "c"]), features, np.arange(300)).value > 0.98
