"""The adaptation table read from made answers: who is told apart from source-only, and what each way of choosing has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from medtl.errors import MedtlError
from medtl.study.readings.adaptation import Settings, read
from medtl.study.target import BY_SOURCE, BY_TARGET, TRAINED_THERE, Opened, write
from medtl.study.target import read as read_opened

STRENGTHS = {"source-only": 0.5, "good": 1.6, "useless": 0.5, "bad": -0.6}
SCORES = {"source-validation": 0.9, "entropy": 0.3, "neighbourhood-density": 4.0, "dev": None}


@pytest.fixture
def trial(answering):
    def make(seed: int, strengths=STRENGTHS, released: str = "source-only") -> Opened:
        answers = {name: answering(strength, 97 * seed + place) for place, (name, strength) in enumerate(strengths.items())}
        scores = {name: {**SCORES, "entropy": 0.1 if name == "bad" else 0.3} for name in answers}
        release = {"released": released, "candidate": "good", "reason": "because", "patients": 40, "scores": scores}
        bright = np.random.default_rng(5).uniform(size=len(answers["good"]))
        alone = {who: np.column_stack([1 - bright, bright]) for who in (BY_SOURCE, BY_TARGET)}
        looks = {"look": 5 * (seed + 1), "models": 5 * (seed + 1)}
        return Opened("there", "good", release, answers, {TRAINED_THERE: answering(1.7, 1000 + seed)}, bright, alone, looks)

    return make


@pytest.fixture
def read_made(task, trial):
    def make(strengths=STRENGTHS, seeds=3, released="source-only", left_out=(), **settings):
        opened = {f"t{seed}": trial(seed, strengths, released) for seed in range(seeds)}
        for each in opened.values():
            for name in left_out:
                del each.answers[name]
        return read(Settings(**settings), trials_of(seeds), {}, pd.DataFrame(), task, opened), opened

    return make


def trials_of(seeds: int) -> pd.DataFrame:
    about = {"arm": "methods", "fraction": 1.0, "state": "done", "luck": True}
    return pd.DataFrame([{"trial": f"t{seed}", "seed": seed, **about} for seed in range(seeds)])


def test_only_what_the_interval_supports_is_said(read_made):
    reading, _ = read_made()
    shown = {claim.what: claim.shown for claim in reading.claims}
    assert shown["adapting by good helps"]
    assert not shown["adapting by useless helps"]
    assert shown["adapting by bad harms"]
    table = reading.tables[0].raw.set_index("name")
    for claim in reading.claims[:3]:
        name = claim.what.split()[2]
        assert claim.figures["value"] == pytest.approx(table.at[name, "auroc"] - table.at["source-only", "auroc"])
        assert claim.shown == (claim.figures["p"] < 0.05)


def test_the_primary_method_is_tested_as_it_is_and_the_others_together(read_made):
    strengths = {"source-only": 0.5, "good": 0.75, "useless": 0.5, "bad": 0.2}

    def p_of(*left_out):
        return read_made(strengths, left_out=left_out)[0].tables[0].raw.set_index("name")["p"]

    p = p_of()
    assert p_of("useless", "bad")["good"] == pytest.approx(p["good"]), "others take nothing from the primary"
    uncorrected = [p_of("bad")["useless"], p_of("useless")["bad"]]
    assert [p["useless"], p["bad"]] == pytest.approx(multipletests(uncorrected, method="holm")[1])


def test_a_wanted_figure_and_a_share_of_the_gap(read_made):
    reading, _ = read_made(wanted=0.7, recovered=0.5)
    claims = {claim.what: claim for claim in reading.claims}
    wanted = claims["an AUROC of 0.700 or more without labels of there"]
    assert wanted.shown
    assert wanted.figures["reached"] == ["good"]
    gap = claims["50 % or more of the gap to a model trained on the target's labels recovered by good"]
    assert gap.shown
    areas = reading.tables[0].raw.set_index("name")["auroc"]
    expected = (areas["good"] - areas["source-only"]) / (areas[TRAINED_THERE] - areas["source-only"])
    assert gap.figures["value"] == pytest.approx(expected)
    assert 0.5 <= gap.figures["low"] < expected < gap.figures["high"]
    modest, _ = read_made({**STRENGTHS, "good": 0.6}, wanted=0.9, recovered=0.8)
    assert [claim.shown for claim in modest.claims[3:]] == [False, False]


def test_each_way_of_choosing_has_what_it_takes_for_each_seed(read_made):
    reading, opened = read_made(released="useless")
    ways = next(table for table in reading.tables if table.name == "ways").raw.set_index("way")
    assert ways.at["entropy", "taken"] == "bad|bad|bad", "the surest of all is the worst here"
    assert "dev" not in ways.index
    assert ways.at["the release rule", "taken"] == "useless|useless|useless"
    oracle = ways.at["an oracle, by these very images", "taken"].split("|")
    for (name, each), taken in zip(opened.items(), oracle, strict=True):
        areas = {who: roc_auc_score(table["truth"] == "ill", table["p_ill"]) for who, table in each.answers.items()}
        assert taken == max(areas, key=areas.get), name
    bad = np.mean([roc_auc_score(each.answers["bad"]["truth"] == "ill", each.answers["bad"]["p_ill"]) for each in opened.values()])
    assert ways.at["entropy", "auroc"] == pytest.approx(bad)


def test_one_seed_claims_nothing(read_made):
    reading, _ = read_made(seeds=1, wanted=0.6)
    assert not any(claim.shown for claim in reading.claims)
    assert any("Only 1 seed" in note for note in reading.notes)


def test_an_arm_that_lacks_a_seed_is_left_out(task, trial):
    opened = {f"t{seed}": trial(seed) for seed in range(2)}
    reading = read(Settings(), trials_of(3), {}, pd.DataFrame(), task, opened)
    assert reading.tables == []
    assert reading.notes == ["methods is left out: a seed is missing or failed."]


def test_a_share_without_a_ceiling_is_refused():
    assert Settings(recovered=0.8, ceiling=False).unfit(["one"])
    assert not Settings(recovered=0.8, ceiling=False, as_taken="before").unfit(["one"])
    assert not Settings(recovered=0.8).unfit(["one"])


def test_what_was_opened_is_read_as_it_was_written_and_damage_is_told(trial, tmp_path):
    one = trial(0)
    write(one, tmp_path, "t0")
    again = read_opened(tmp_path, "t0")
    assert (again.domain, again.primary, again.release, again.looks) == (one.domain, one.primary, one.release, one.looks)
    assert again.methods == ["good", "useless", "bad"]
    for name, table in one.answers.items():
        assert again.answers[name]["p_ill"].to_numpy() == pytest.approx(table["p_ill"].to_numpy())
    for who, p in one.by_brightness.items():
        assert again.by_brightness[who] == pytest.approx(p)
    (tmp_path / "target" / "t0" / "brightness.csv").unlink()
    with pytest.raises(MedtlError, match=r"is cut or damaged .*; delete its folder"):
        read_opened(tmp_path, "t0")
