"""The reading of a search, on made predictions: a gain is shown only where test images show it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd
import pytest

from medtl.study.reading import Claim, Reading
from medtl.study.readings.search import Settings, read
from medtl.study.space import Range

SPACE = {"transfer.rate": Range(low=1e-5, high=1e-1, log=True)}
GAIN = "gain on test over the base"


def a_search(made, base: float, best: float, seeds: int = 3, others: int = 3):
    """Base and best of these strengths, and other trials between them that test never saw."""
    trials, judged, curves = made({"base": {1: base}, "best": {1: best}}, seeds=seeds)
    trials["validation"] = trials["arm"].map({"base": 0.8, "best": 0.9})
    trials["settings"] = trials["arm"].map({"base": "", "best": json.dumps({"transfer.rate": 0.01})})
    searched = [{"trial": f"other-{k}", "arm": "search", "seed": 0, "state": "done", "luck": True} for k in range(others)]
    further = pd.DataFrame(searched).assign(validation=[0.5 + 0.3 * k / others for k in range(others)], fraction=1, cpu_seconds=60.0)
    further["settings"] = [json.dumps({"transfer.rate": 10.0 ** -(1 + k % 4)}) for k in range(others)]
    trials = pd.concat([trials, further], ignore_index=True).assign(fold=None)
    validated = [table.assign(split="validation", image="v" + table["image"]) for table in judged.values()]
    return trials, {name: pd.concat([own, seen]) for (name, own), seen in zip(judged.items(), validated, strict=True)}, curves


def claims_of(reading: Reading) -> Mapping[str, Claim]:
    return {claim.what: claim for claim in reading.claims}


def test_a_clear_gain_on_test_is_shown_with_its_interval(made, task):
    claims = claims_of(read(Settings(), *a_search(made, 0.3, 2.5), task, SPACE))
    assert claims[GAIN].shown
    assert claims[GAIN].figures["low"] > 0
    assert claims["chosen on validation"].figures == {"transfer.rate": 0.01}
    assert "transfer.rate 0.01; validation 0.900, the base 0.800" in claims["chosen on validation"].text


def test_what_validation_alone_found_better_is_not_shown(made, task):
    reading = read(Settings(), *a_search(made, 1.0, 1.0), task, SPACE)
    assert not claims_of(reading)[GAIN].shown
    assert any("highest of many" in note for note in reading.notes)


def test_over_folds_without_nesting_nothing_is_shown(made, task):
    trials, judged, curves = a_search(made, 0.3, 2.5)
    judged = {name: table.assign(member="0", fold="0") for name, table in judged.items()}
    claim = claims_of(read(Settings(), trials, judged, curves, task, SPACE))[GAIN]
    assert not claim.shown
    assert "ask for `nested`" in claim.text


def test_one_seed_or_a_missing_one_shows_nothing(made, task):
    assert "training luck" in claims_of(read(Settings(), *a_search(made, 0.3, 2.5, seeds=1), task, SPACE))[GAIN].text
    trials, judged, curves = a_search(made, 0.3, 2.5)
    del judged["best-1-2"]
    assert "is missing" in claims_of(read(Settings(), trials, judged, curves, task, SPACE))[GAIN].text


def test_where_the_base_was_best_it_is_said(made, task):
    trials, judged, curves = a_search(made, 1.0, 1.0)
    trials.loc[trials["arm"] == "base", "validation"] = 0.95
    claims = claims_of(read(Settings(), trials[trials["arm"] != "best"], judged, curves, task, SPACE))
    assert "no trial beat" in claims["chosen on validation"].text
    assert claims[GAIN].text == "the base itself was the best on validation"


@pytest.mark.parametrize(("others", "told"), [(3, False), (12, True)])
def test_importance_is_told_from_ten_finished_trials_on(made, task, others, told):
    reading = read(Settings(), *a_search(made, 1.0, 1.0, others=others), task, SPACE)
    assert ("importance" in [table.name for table in reading.tables]) == told
    assert ("importance of the settings" not in claims_of(reading)) == told
    assert [heading for heading, _ in reading.plots] == ["How the search went", "What mattered"][: 1 + told]
