"""The ledger says what the trials support, and nothing of what chance supports."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medtl.study.readings.ledger import Price, Settings, read


def _claims(reading):
    return {claim.what: claim for claim in reading.claims}


GOOD = {"scratch": {0.1: 0.4, 0.5: 0.9, 1.0: 1.2}, "tuned": {0.1: 1.0, 0.5: 2.0, 1.0: 2.6}}


def test_a_clear_gain_is_shown_with_its_size(made, task):
    trials, judged, curves = made(GOOD, {"scratch": 30.0, "tuned": 10.0})
    found = _claims(read(Settings(), trials, judged, curves, task))
    gained = found["accuracy gained by tuned"]
    own, other = (
        np.mean([roc_auc_score(judged[f"{arm}-1.0-{seed}"]["truth"] == "ill", judged[f"{arm}-1.0-{seed}"]["p_ill"]) for seed in range(3)])
        for arm in ("tuned", "scratch")
    )
    assert gained.shown
    assert gained.figures["value"] == pytest.approx(own - other)
    assert gained.figures["low"] > 0
    saved = found["labels saved by tuned"]
    assert saved.shown
    assert (saved.figures["labels"], saved.figures["of"]) == (200, 400)
    assert "200 of 400 (50 %)" in saved.text
    sooner = found["time saved by tuned"]
    assert sooner.shown
    assert sooner.figures["low"] > 3, "three times as fast an epoch, and better from the start"


def test_shuffled_labels_show_nothing(made, task):
    none = {arm: {0.02: 0.0, 0.1: 0.0, 0.5: 0.0, 1.0: 0.0} for arm in ("scratch", "frozen", "tuned")}
    for margin in (0.0, 0.1):
        settings = Settings(margin=margin, wanted=0.8, price=Price(label=5, hour=1))
        reading = read(settings, *made(none), task)
        assert len(reading.claims) == 10
        assert not [str(claim) for claim in reading.claims if claim.shown]


def test_equal_arms_save_no_labels_without_a_margin(made, task):
    same = {arm: {0.5: 1.5, 1.0: 1.5} for arm in ("scratch", "tuned")}
    found = _claims(read(Settings(), *made(same), task))
    assert not found["labels saved by tuned"].shown
    assert not found["accuracy gained by tuned"].shown
    assert _claims(read(Settings(margin=0.2), *made(same), task))["labels saved by tuned"].shown


def test_fractions_are_tested_in_order_and_the_first_failure_ends_it(made, task):
    lucky = {"scratch": {0.1: 1.0, 0.5: 1.2, 1.0: 1.5}, "tuned": {0.1: 3.0, 0.5: 1.0, 1.0: 3.0}}
    found = _claims(read(Settings(), *made(lucky), task))
    assert not found["labels saved by tuned"].shown, "10 % did well, but 50 % did not"


def test_time_is_saved_only_if_every_training_gets_there(made, task):
    trials, judged, curves = made(GOOD, {"scratch": 30.0, "tuned": 10.0})
    slow = curves["trial"] == "tuned-1.0-1"
    curves.loc[slow, "score"] = 0.1
    found = _claims(read(Settings(), trials, judged, curves, task))["time saved by tuned"]
    assert not found.shown
    assert "not every training" in found.text


def test_money_counts_what_is_shown_alone(made, task):
    trials, judged, curves = made(GOOD, {"scratch": 3600.0, "tuned": 3600.0 * 10})
    settings = Settings(price=Price(label=3, hour=100))
    found = _claims(read(settings, trials, judged, curves, task))
    assert not found["time saved by tuned"].shown
    assert found["money saved by tuned"].figures["value"] == 3 * 200


def test_energy_is_read_like_time_where_it_was_counted_and_has_its_price(made, task):
    trials, judged, curves = made(GOOD, {"scratch": 36000.0, "tuned": 36000.0})
    curves["kwh"] = curves["seconds"] / 1000 * np.where(curves["trial"].str.startswith("tuned"), 2, 1)  # twice the power
    reading = read(Settings(price=Price(kwh=0.5)), trials.assign(kwh=1.0), judged, curves, task)
    found = _claims(reading)
    time, energy = found["time saved by tuned"], found["energy saved by tuned"]
    assert time.shown
    assert energy.figures["value"] == pytest.approx(time.figures["value"] / 2)
    per_seed = []
    for seed in range(3):
        best = curves[curves["trial"] == f"scratch-1.0-{seed}"].nlargest(1, "score")
        own = curves[(curves["trial"] == f"tuned-1.0-{seed}") & (curves["score"] >= best["score"].item())]
        per_seed.append(best["kwh"].item() - own["kwh"].min())
    assert found["money saved by tuned"].figures["value"] == pytest.approx(0.5 * np.mean(per_seed))
    assert any("codecarbon" in note for note in reading.notes)
    assert reading.tables[0].header[-1] == "Wh"


def test_energy_that_was_not_counted_in_every_trial_is_not_shown(made, task):
    trials, judged, curves = made(GOOD, {"scratch": 30.0, "tuned": 10.0})
    curves["kwh"] = np.where(curves["trial"] == "tuned-1.0-1", np.nan, curves["seconds"])
    found = _claims(read(Settings(), trials.assign(kwh=1.0), judged, curves, task))
    assert "not every training has its energy counted" in str(found["energy saved by tuned"])


def test_a_missing_seed_is_left_out_and_said(made, task):
    trials, judged, curves = made(GOOD)
    trials.loc[trials["trial"] == "tuned-0.5-2", "state"] = "failed"
    reading = read(Settings(), trials, judged, curves, task)
    assert any("tuned with 50 % of the labels is left out" in note for note in reading.notes)
    assert not ((reading.tables[0].raw["arm"] == "tuned") & (reading.tables[0].raw["fraction"] == 0.5)).any()
    assert "one seed" not in " ".join(reading.notes)


def test_one_seed_says_nothing_where_luck_plays_a_part(made, task):
    trials, judged, curves = made(GOOD, seeds=1)
    reading = read(Settings(), trials, judged, curves, task)
    assert any("at least 3" in note for note in reading.notes)
    assert not any(claim.shown for claim in reading.claims)
    fixed = _claims(read(Settings(), trials.assign(luck=False), judged, curves, task))
    assert fixed["accuracy gained by tuned"].shown


def test_labels_for_a_wanted_auroc_obey_the_same_bars(made, task):
    curve = {"scratch": {0.25: 1.0, 0.5: 1.2, 1: 1.4}, "tuned": {0.25: 1.8, 0.5: 2.2, 1: 2.6}}
    settings, what = Settings(wanted=0.84), "labels for an AUROC of 0.84 with tuned"
    trials, judged, curves = made(curve, seeds=1)
    assert _claims(read(settings, trials.assign(luck=False), judged, curves, task))[what].shown
    claim = _claims(read(settings, trials, judged, curves, task))[what]
    assert not claim.shown
    assert "one seed tells nothing about training luck" in claim.text


def test_nothing_done_says_so(made, task):
    trials, _, curves = made(GOOD)
    reading = read(Settings(), trials.assign(state="failed"), {}, curves.head(0), task)
    assert [str(claim) for claim in reading.claims] == ["what tuned is worth: not shown (trials with all labels are missing)"]
    assert len(reading.notes) == 6
    assert reading.curves.empty


def test_half_of_the_labels_is_not_called_all(made, task):
    half = {arm: {fraction: strength for fraction, strength in own.items() if fraction < 1} for arm, own in GOOD.items()}
    text = _claims(read(Settings(), *made(half), task))["accuracy gained by tuned"].text
    assert "both with 50 % of the labels (200)" in text


def test_labels_are_counted_as_they_were_not_by_their_fraction(made, task):
    trials, judged, curves = made(GOOD)
    trials.loc[trials["fraction"] == 0.5, "labels"] = 260
    found = _claims(read(Settings(price=Price(label=1)), trials, judged, curves, task))
    assert found["money saved by tuned"].figures["value"] == 140
