"""The reading of k folds: tables of made predictions, claims that their intervals support, and bases that it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from medtl.contracts import Task
from medtl.errors import MedtlError, Mistakes
from medtl.flows.study import study
from medtl.study.readings.folds import Settings, read
from medtl.study.settings import load_study

FOLDS = 3


IMAGES = 300


def _judged(strength: float, seed: int, scales: tuple[float, ...] = (0.0, 0.0, 0.0)) -> pd.DataFrame:
    """Out-of-fold test rows, and the validation rows of every fold (20, 30 and 40 images); fold i's log-odds are moved by `scales[i]`."""
    place, truth = np.arange(IMAGES) // 2 % FOLDS, np.arange(IMAGES) % 7 < 3
    hard = np.random.default_rng(0).normal(0, 0.8, IMAGES)  # the same images are hard for all
    odds = strength * (truth - 0.5) + hard + np.random.default_rng(seed + 1).normal(0, 0.6, IMAGES) + np.array(scales)[place]
    test = pd.DataFrame({"image": [f"{row:03}.png" for row in range(IMAGES)], "frame": 0, "domain": "here", "split": "test"})
    test["fold"] = test["member"] = place.astype(str)
    test["view"], test["reason"], test["group_id"] = "plain", "", [f"g{row // 2}" for row in range(IMAGES)]
    test["truth"] = np.where(truth, "ill", "well")
    test["p_well"], test["p_ill"] = 1 / (1 + np.exp(odds)), 1 / (1 + np.exp(-odds))
    test["predicted"] = test["decision"] = np.where(odds > 0, "ill", "well")
    chosen = [
        test[place != fold].head(20 + 10 * fold).assign(split="validation", fold=str(fold), member=str(fold)) for fold in range(FOLDS)
    ]
    return pd.concat([test, *chosen], ignore_index=True)


def _study(arms: dict[str, tuple], seeds: int = 3, epochs: bool = True) -> tuple[pd.DataFrame, dict[str, pd.DataFrame], pd.DataFrame]:
    trials, judged, curves = [], {}, []
    for arm, made in arms.items():
        for seed in range(seeds):
            name = f"{arm}-{seed}"
            judged[name] = _judged(made[0], seed + 10 * len(arm), *made[1:])
            trials.append({"trial": name, "arm": arm, "fraction": 1.0, "seed": seed, "state": "done", "luck": epochs})
            for fold in range(FOLDS):
                for epoch in range(1, 7):
                    score = 0.9 - 0.01 * abs(epoch - (fold + 2))
                    curves.append({"trial": name, "fold": fold, "epoch": epoch if epochs else None, "seconds": epoch, "score": score})
    return pd.DataFrame(trials).assign(auroc_low=0.7, auroc_high=0.9), judged, pd.DataFrame(curves)


def test_every_fold_stands_beside_the_mean_and_the_pooled_figure(task: Task) -> None:
    trials, judged, curves = _study({"one": (1.5,)}, seeds=1)
    reading = read(Settings(), trials, judged, curves, task)
    means, each = (table.raw for table in reading.tables)
    test = judged["one-0"].query("split == 'test'")
    by_hand = [roc_auc_score(own["truth"] == "ill", own["p_ill"]) for _, own in test.groupby("fold")]
    assert each["AUROC"].tolist() == pytest.approx(by_hand)
    assert each["images"].tolist() == [100, 100, 100]
    assert each["validation"].tolist() == [20, 30, 40]
    assert each["best_epoch"].tolist() == [2, 3, 4]
    row = means.set_index("figure").loc["AUROC"]
    assert (row["mean"], row["sd"]) == pytest.approx((np.mean(by_hand), np.std(by_hand, ddof=1)))
    assert (row["lowest"], row["highest"]) == pytest.approx((min(by_hand), max(by_hand)))
    assert row["pooled"] == pytest.approx(roc_auc_score(test["truth"] == "ill", test["p_ill"]))
    assert row["pooled_low"] < row["pooled"] < row["pooled_high"]
    assert reading.claims == [], "a single arm claims nothing"
    assert "no confidence interval" in reading.tables[0].note
    assert not any("one scale" in note for note in reading.notes)


def test_folds_on_other_scales_are_explained(task: Task) -> None:
    trials, judged, curves = _study({"even": (2.0,), "uneven": (2.0, (0.0, 1.5, 3.0))})
    notes = [note for note in read(Settings(), trials, judged, curves, task).notes if "not on one scale" in note]
    assert [note.partition(":")[0] for note in notes] == ["uneven"]


def test_arms_are_held_against_the_reference_by_pooled_figures(task: Task) -> None:
    arms = {"base": (1.0,), "better": (3.0,), "equal": (1.0,)}
    reading = read(Settings(), *_study(arms), task)
    better, equal = reading.claims
    assert (better.what, better.shown, equal.shown) == ("better against base", True, False)
    means = reading.tables[0].raw.query("figure == 'AUROC'").set_index("arm")["pooled"]
    assert better.figures["value"] == pytest.approx(means["better"] - means["base"])
    alone = [
        read(Settings(), *_study({name: arms[name] for name in ("base", arm)}), task).claims[0].figures["p"] for arm in ("better", "equal")
    ]
    assert [better.figures["p"], equal.figures["p"]] == pytest.approx(multipletests(alone, method="holm")[1].tolist())
    worse = read(Settings(reference="better"), *_study(arms), task).claims[0]
    assert (worse.what, worse.shown) == ("base against better", True)
    assert worse.figures["value"] == pytest.approx(-better.figures["value"])


def test_one_seed_claims_only_where_luck_has_no_part(task: Task) -> None:
    arms = {"base": (1.0,), "better": (3.0,)}
    tuned = read(Settings(), *_study(arms, seeds=1), task).claims[0]
    assert (tuned.shown, "one seed tells nothing" in tuned.text) == (False, True)
    probes = read(Settings(), *_study(arms, seeds=1, epochs=False), task)
    assert probes.claims[0].shown
    assert "best epoch" not in probes.tables[1].header


def test_what_is_missing_is_left_out_and_said(task: Task) -> None:
    trials, judged, curves = _study({"base": (1.0,), "better": (3.0,)})
    trials.loc[trials["trial"] == "better-2", "state"] = "failed"
    reading = read(Settings(), trials, judged, curves, task)
    assert "better is left out: a seed is missing or failed." in reading.notes
    assert [(claim.shown, claim.text) for claim in reading.claims] == [(False, "trials are missing")]
    nothing = read(Settings(), trials.assign(state="waiting"), judged, curves, task)
    assert [len(table.rows) for table in nothing.tables] == [0, 0]


def test_what_cannot_be_read_so_is_refused_before_training(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    file = tmp_path / "study.yaml"
    text = f"name: folded\nbase: {root / 'configs' / 'smoke.yaml'}\narms: {{a: [seed=1], b: [transfer.epochs=2]}}\n".replace(
        "seed=1", "transfer.epochs=1"
    )
    file.write_text(f"{text}reading: folds\n")
    with pytest.raises(MedtlError, match=r"a: reading: folds reads cross-validations; set split\.folds"):
        study(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    file.write_text(f"{text}reading: {{name: folds, reference: c}}\n")
    with pytest.raises(Mistakes, match="is no arm"):
        load_study(file)
