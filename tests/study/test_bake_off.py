"""The bake-off: chosen on validation, tested once, corrected for the number of arms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, recall_score

from medtl.contracts import Task
from medtl.study.readings.bake_off import Settings, read

TASK = Task(classes={"a": ["a"], "b": ["b"], "c": ["c"]})
N = 240


def _judged(split: str, weak: float, seed: int, confident: float = 2.5) -> pd.DataFrame:
    """Three classes, the third rare; its logit is lowered by `weak`."""
    chance = np.random.default_rng([seed, split == "test"])
    truth = np.repeat([0, 1, 2], [N // 2, N // 3, N // 6])
    logits = 2.5 * np.eye(3)[truth] + chance.normal(0, 1, (N, 3)) - weak * np.array([0, 0, 1])
    logits *= confident
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.array(["a", "b", "c"])
    frame = pd.DataFrame({"image": [f"{split}{row}.png" for row in range(N)], "frame": 0, "domain": "here", "split": split, "fold": ""})
    frame["member"], frame["view"] = "", "plain"
    frame["group_id"] = [f"{split}{row // 2}" for row in range(N)]
    frame["truth"], frame["reason"] = names[truth], ""
    for k, name in enumerate(names):
        frame[f"logit_{name}"], frame[f"p_{name}"] = logits[:, k], p[:, k]
    frame["predicted"] = frame["decision"] = names[p.argmax(axis=1)]
    return frame


def _study(arms: dict[str, dict], seeds: int = 3) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    rows, judged = [], {}
    for arm, quality in arms.items():
        for seed in range(seeds):
            name = f"{arm}-{seed}"
            validation = _judged("validation", quality.get("validation", quality["test"]), seed, quality.get("confident", 2.5))
            judged[name] = pd.concat([validation, _judged("test", quality["test"], seed, quality.get("confident", 2.5))], ignore_index=True)
            rows.append({"trial": name, "arm": arm, "fraction": 1.0, "seed": seed, "state": "done", "luck": True})
    return pd.DataFrame(rows), judged


def _read(arms, **settings):
    trials, judged = _study(arms)
    return read(Settings(**settings), trials, judged, pd.DataFrame(), TASK), judged


def test_the_winner_is_chosen_on_validation_and_its_test_figures_stand_with_all_others():
    reading, judged = _read({"plain": {"test": 2.5}, "weighted": {"test": 0.0}, "lucky": {"validation": 1.0, "test": -1.0}})
    chosen, *others = reading.claims
    assert chosen.text.startswith("weighted: ")
    table = reading.tables[0].raw.set_index("arm")
    assert table["chosen"].to_dict() == {"weighted": True, "lucky": False, "plain": False}
    for arm in table.index:
        tests = [judged[f"{arm}-{seed}"].query("split == 'test'") for seed in range(3)]
        worst = np.mean([recall_score(test["truth"], test["predicted"], average=None).min() for test in tests])
        f1 = np.mean([f1_score(test["truth"], test["predicted"], average="macro") for test in tests])
        assert table.at[arm, "test_worst_class"] == pytest.approx(worst)
        assert table.at[arm, "test_macro_f1"] == pytest.approx(f1)
        assert table.at[arm, "test_recall_c_low"] < table.at[arm, "test_recall_c"] < table.at[arm, "test_recall_c_high"]
    better = {claim.what: claim.shown for claim in others}
    assert better["weighted is better than plain"]


def test_an_arm_that_is_badly_calibrated_cannot_win():
    arms = {"plain": {"test": 1.0}, "boastful": {"test": 0.0, "confident": 15.0}}
    reading, _ = _read(arms, ece=0.05)
    assert reading.claims[0].text.startswith("plain: ")
    nothing, _ = _read(arms, ece=0.001)
    assert not nothing.claims[0].shown
    assert "no finished arm has an ECE" in nothing.claims[0].text


def test_arms_that_are_alike_are_not_told_apart():
    reading, _ = _read({name: {"test": 0.5} for name in ("one", "two", "three", "four")})
    assert [claim for claim in reading.claims[1:] if claim.shown] == []


def test_one_arm_is_no_bake_off():
    assert Settings().unfit(["one"])
    assert not Settings().unfit(["one", "two"])
