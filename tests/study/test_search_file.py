"""The search block of a study file, the space it spans, and what mattered in it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtl.errors import Mistakes
from medtl.experiment.load import load_experiment
from medtl.study.importance import importance
from medtl.study.settings import load_study
from medtl.study.space import Dimension, Range, dimensions, overrides_of, values_in
from medtl.study.trials import in_columns, said, searched

ROOT = Path(__file__).parents[2]
STUDY = """
name: a
base: base.yaml
set: [image.size=128]
search:
  space:
    transfer.rate: {low: 1e-5, high: 1e-2, log: true}
    transfer.epochs: {low: 2, high: 6, step: 2}
    imbalance.loss: [cross-entropy, {name: focal, gamma: 1}]
  trials: 5
"""


def _written(folder: Path, text: str) -> Path:
    file = folder / "study.yaml"
    file.write_text(text)
    return file


def test_a_search_has_its_reading_without_being_told(tmp_path):
    study = load_study(_written(tmp_path, STUDY))
    assert study.reading.name == "search"
    assert study.search.pruner == "median"
    assert not study.arms


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("transfer.epochs: {", "split.validation: {", "study.yaml:8: search.space.split.validation: changes which images are judged"),
        ("transfer.epochs: {", "task.positive: {", "changes which images are judged"),
        ("transfer.epochs: {", "seed: {", "name it under `seeds`"),
        ("transfer.epochs: {", "split.fraction: {", "name it under `fractions`"),
        ("transfer.epochs: {", "trainer.threads: {", "does not change what is learned"),
        ("transfer.epochs: {", "image.size: {", "also stands under `set`"),
        ("low: 2, high: 6", "low: 6, high: 2", "study.yaml:8: search.space.transfer.epochs: `low` must be less than `high`"),
        ("high: 6, step: 2", "high: 5, step: 2", "whole steps above"),
        ("low: 1e-5", "low: 0", "`log` needs a `low` above 0"),
        ("low: 2, ", "", "low: is missing"),
        ("log: true", "logarithmic: true", "logarithmic: is unknown"),
        ("[cross-entropy, {name: focal, gamma: 1}]", "[focal]", "is nothing to choose from"),
        ("trials: 5", "trials: 1", "search.trials"),
        ("trials: 5", "trials: 5\n  nested: 1", "search.nested"),
        ("trials: 5", "trials: 5\nfractions: [0.5, 1]", "are several; a search is made with one"),
        ("trials: 5", "trials: 5\narms: {one: transfer.epochs=3}", "either `arms` are compared or a `search` is made"),
        ("trials: 5", "trials: 5\nreading: bake-off", "choose `reading: search`"),
    ],
)
def test_a_mistake_has_its_sentence(tmp_path, old, new, sentence):
    assert old in STUDY
    with pytest.raises(Mistakes) as caught:
        load_study(_written(tmp_path, STUDY.replace(old, new)))
    assert sentence in str(caught.value)


def test_arms_are_not_read_as_a_search(tmp_path):
    with pytest.raises(Mistakes, match="does not read this kind of study"):
        load_study(_written(tmp_path, "name: a\nbase: base.yaml\narms: {one: transfer.epochs=3}\nreading: search\n"))


def test_the_space_takes_its_kinds_from_the_settings(tmp_path):
    file = _written(tmp_path, STUDY)
    base = load_experiment(ROOT / "configs" / "breast_cancer.yaml")
    rate, epochs, loss = dimensions(load_study(file).search.space, base, file)
    assert (rate.whole, epochs.whole) == (False, True)
    assert epochs.value(4) == 4
    assert rate.value(0.00012345678) == 0.0001235
    assert loss.value(loss.parameter({"name": "focal", "gamma": 1})) == {"name": "focal", "gamma": 1}
    assert overrides_of({"transfer.epochs": 4, "imbalance.loss": {"name": "focal", "gamma": 1}}) == (
        "transfer.epochs=4",
        'imbalance.loss={"name": "focal", "gamma": 1}',
    )


def test_a_setting_that_may_be_unset_may_be_searched_so(tmp_path):
    file = _written(tmp_path, STUDY.replace("transfer.epochs: {low: 2, high: 6, step: 2}", "transfer.patience: [null, 3]"))
    base = load_experiment(ROOT / "configs" / "breast_cancer.yaml")
    space = dimensions(load_study(file).search.space, base, file)
    assert values_in(base, space)["transfer.patience"] is None
    assert overrides_of({"transfer.patience": None}) == ("transfer.patience=null",)


def test_the_base_stands_in_the_space_or_not(tmp_path):
    file = _written(tmp_path, STUDY)
    config = ROOT / "configs" / "breast_cancer.yaml"
    space = dimensions(load_study(file).search.space, load_experiment(config), file)
    known = {"transfer.rate": 0.0001, "transfer.epochs": 4, "imbalance.loss": "cross-entropy"}
    assert values_in(load_experiment(config, ["transfer.epochs=4"]), space) == known
    assert values_in(load_experiment(config, ["transfer.epochs=5"]), space) is None, "between two steps"
    assert values_in(load_experiment(config, ["transfer.epochs=4", "transfer.rate=0.1"]), space) is None
    focal = ["transfer.epochs=4", "imbalance.loss={name: focal, gamma: 1}"]
    assert values_in(load_experiment(config, focal), space) == {**known, "imbalance.loss": {"name": "focal", "gamma": 1}}
    assert values_in(load_experiment(config, ["transfer.epochs=4", "imbalance.loss=focal"]), space) is None, "another gamma"


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-6, 1e3), st.floats(1.001, 1e4), st.floats(0, 1))
def test_a_rounded_proposal_stays_in_its_range(low, factor, share):
    limits = Range(low=low, high=low * factor)
    value = Dimension("transfer.rate", limits).value(low + share * (limits.high - low))
    assert limits.low <= value <= limits.high
    assert value == pytest.approx(low + share * (limits.high - low), rel=1e-3)


def test_the_setting_that_matters_is_found_to_matter():
    chance = np.random.default_rng(0)
    space = [
        Dimension("transfer.rate", Range(low=1e-5, high=1e-1, log=True)),
        Dimension("transfer.dropout", Range(low=0, high=0.5)),
        Dimension("imbalance.loss", ("cross-entropy", "focal")),
    ]
    tried = [
        {"transfer.rate": 10 ** chance.uniform(-5, -1), "transfer.dropout": chance.uniform(0, 0.5), "imbalance.loss": loss}
        for loss in ["cross-entropy", "focal"] * 20
    ]
    scores = [0.9 - 0.05 * (math.log10(one["transfer.rate"]) + 3) ** 2 + chance.normal(0, 0.005) for one in tried]
    found = importance(space, tried, scores)
    assert found["transfer.rate"] > 0.8
    assert sum(found.values()) == pytest.approx(1)
    assert found == importance(space, tried, scores)
    assert importance(space, tried[:9], scores[:9]) == {}, "too few"
    assert importance(space, tried, [0.8] * 40) == {}, "no spread"


def test_settings_stand_in_columns_under_short_names():
    texts = ['{"transfer.rate": 0.1, "imbalance.loss.name": "focal", "decision.name": [1]}', float("nan")]
    keys = searched(texts)
    assert list(keys) == ["rate", "imbalance.loss.name", "decision.name"]
    assert in_columns(texts[0], keys) == ["0.1", "focal", "[1]"]
    assert in_columns(texts[1], keys) == ["", "", ""]
    assert said(texts[0]) == "transfer.rate 0.1, imbalance.loss.name focal, decision.name [1]"
    assert said(texts[1]) == "the base's own"
