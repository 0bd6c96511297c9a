"""Readings where an image may have several findings: figures against scikit-learn, finding by finding, on made answers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import recall_score, roc_auc_score

from medtl import findings, predictions
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.experiment.schema import Experiment
from medtl.flows.few_labels import Places, Side, from_source
from medtl.study.judged import refuse_other_images
from medtl.study.readings import adaptation, bake_off, folds, ledger, search
from medtl.study.target import BY_TARGET, TRAINED_THERE, Opened

NAMES = ("edema", "nodule")
TASK = Task(kind="multi", classes=dict.fromkeys(NAMES, ()))
IMAGES = 240


def answers(split: str, strengths: tuple[float, float], seed: int, cut: float = 0.5, confident: float = 1.0) -> pd.DataFrame:
    """Of 120 patients; each finding's log-odds lie `strengths` apart; of every fifth image the nodule is not known."""
    chance = np.random.default_rng([seed, split == "test"])
    truth = np.stack([np.arange(IMAGES) % 2 == 0, np.arange(IMAGES) % 7 == 0], axis=1).astype(float)
    odds = (np.array(strengths) * (truth - 0.5) + chance.normal(0, 1, truth.shape)) * confident
    truth[::5, 1] = np.nan
    p = 1 / (1 + np.exp(-odds))
    made = pd.DataFrame({"image": [f"{split}{row:03}.png" for row in range(IMAGES)], "frame": 0, "domain": "here", "split": split})
    made = made.assign(fold="", member="", view="plain", reason="", group_id=[f"{split}{row // 2}" for row in range(IMAGES)])
    made["truth"], made["unknown"] = findings.words(truth, NAMES), findings.unknown_words(truth, NAMES)
    for k, name in enumerate(NAMES):
        made[f"logit_{name}"], made[f"p_{name}"] = odds[:, k], p[:, k]
    made["predicted"] = made["decision"] = findings.words(p > cut, NAMES)
    return made


def trials_of(arms: Mapping[str, Mapping[str, float]], seeds: int = 3) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """`arms`: name -> `edema`, `nodule`: strengths, `cut`: from which probability on a finding is called, `confident`: odds times this."""
    rows, judged = [], {}
    for place, (arm, made) in enumerate(arms.items()):
        for seed in range(seeds):
            given = (made["edema"], made["nodule"]), 10 * place + seed, made.get("cut", 0.5), made.get("confident", 1.0)
            judged[f"{arm}-{seed}"] = pd.concat([answers("validation", *given), answers("test", *given)], ignore_index=True)
            rows.append({"trial": f"{arm}-{seed}", "arm": arm, "fraction": 1.0, "seed": seed, "state": "done", "luck": True})
    known = {"labels": 400, "groups": 200, "macro_f1": 0.5, "cpu_seconds": 60.0, "kwh": np.nan, "auroc_low": 0.7, "auroc_high": 0.8}
    return pd.DataFrame(rows).assign(**known), judged


def of_each(table: pd.DataFrame, split: str = "test") -> dict[str, tuple[float, float, float]]:
    """Sensitivity, specificity and AUROC of each finding, over the images of which it is known."""
    own, found = table[table["split"] == split], {}
    truth = predictions.true_findings(own)
    for k, name in enumerate(NAMES):
        known = np.isfinite(truth[:, k])
        side, called = truth[known, k], own["predicted"].str.contains(name)[known]
        shares = (recall_score(side, called, pos_label=label) for label in (1, 0))
        found[name] = (*shares, roc_auc_score(side, own[f"p_{name}"][known]))
    return found


CURVES = pd.DataFrame(columns=["trial", "fold", "epoch", "seconds", "kwh", "score"])


def test_the_ledger_is_of_the_mean_and_shows_each() -> None:
    trials, judged = trials_of({"scratch": {"edema": 0.6, "nodule": 0.2}, "tuned": {"edema": 2.5, "nodule": 2.0}})
    reading = ledger.read(ledger.Settings(), trials, judged, CURVES, TASK)
    told = {arm: [of_each(judged[f"{arm}-{seed}"]) for seed in range(3)] for arm in ("scratch", "tuned")}
    means = {arm: np.mean([[each[name][2] for name in NAMES] for each in own]) for arm, own in told.items()}
    gained = reading.claims[0]
    assert gained.shown
    assert gained.figures["value"] == pytest.approx(means["tuned"] - means["scratch"])
    each = reading.tables[1].raw.set_index(["finding", "arm"])
    for name in NAMES:
        assert each.at[(name, "tuned"), "auroc"] == pytest.approx(np.mean([own[name][2] for own in told["tuned"]]))
        assert each.at[(name, "tuned"), "auroc_low"] < each.at[(name, "tuned"), "auroc"] < each.at[(name, "tuned"), "auroc_high"]
    assert reading.notes[0].endswith("means over the findings edema, nodule.")


def test_a_finding_that_the_test_images_cannot_rank_is_left_out_and_said() -> None:
    trials, judged = trials_of({"scratch": {"edema": 0.6, "nodule": 0.2}, "tuned": {"edema": 2.5, "nodule": 2.0}})
    for table in judged.values():
        with_it = (table["split"] == "test") & table["truth"].str.contains("nodule")
        table.loc[with_it, "unknown"] = "nodule"
        table.loc[with_it, "truth"] = table.loc[with_it, "truth"].map({"nodule": "none", "edema|nodule": "edema"})
    reading = ledger.read(ledger.Settings(), trials, judged, CURVES, TASK)
    assert reading.notes[1].startswith("nodule: left out of the mean AUROC")
    assert reading.tables[1].rows[1] == ["nodule", "n/a", "n/a"]
    tuned = reading.tables[0].raw.set_index("arm").loc["tuned"]
    assert tuned["auroc"] == pytest.approx(np.mean([_edema(judged[f"tuned-{seed}"]) for seed in range(3)]))
    baked = bake_off.read(bake_off.Settings(ece=1.0), trials, judged, CURVES, TASK)
    assert "test_recall_nodule" not in baked.tables[0].raw


def _edema(table: pd.DataFrame) -> float:
    own = table[table["split"] == "test"]
    return float(roc_auc_score(own["truth"].str.contains("edema"), own["p_edema"]))


def test_a_fold_that_cannot_rank_a_finding_says_so() -> None:
    trials, judged = trials_of({"one": {"edema": 1.5, "nodule": 1.0}}, seeds=1)
    (table,) = judged.values()
    fold = pd.Series(np.arange(len(table)) // 2 % 3, index=table.index)
    table["fold"] = table["member"] = fold.astype(str)
    gone = (fold == 1) & table["truth"].str.contains("nodule")
    table.loc[gone, "truth"] = table.loc[gone, "truth"].map({"nodule": "none", "edema|nodule": "edema"})
    reading = folds.read(folds.Settings(), trials, judged, CURVES, TASK)
    assert [note for note in reading.notes if note.startswith("Fold")] == [
        "Fold 2: nodule left out of its AUROC, for all its images of which it is known have it, or none has."
    ]
    second = table[(table["split"] == "test") & (table["fold"] == "1")]
    each = reading.tables[2].raw.set_index("fold")
    assert each.at[1, "AUROC"] == pytest.approx(_edema(second))
    pooled = np.mean([figures[2] for figures in of_each(table).values()])
    assert reading.tables[0].raw.set_index("figure").at["AUROC", "pooled"] == pytest.approx(pooled)


def test_a_bake_off_is_won_by_the_worst_findings_sensitivity_among_the_calibrated() -> None:
    arms = {
        "plain": {"edema": 3.0, "nodule": 1.0},
        "even": {"edema": 2.5, "nodule": 3.0},
        "boastful": {"edema": 1.0, "nodule": 1.0, "confident": 30.0, "cut": 1e-20},
    }
    trials, judged = trials_of(arms)
    reading = bake_off.read(bake_off.Settings(ece=0.2), trials, judged, CURVES, TASK)
    table = reading.tables[0].raw.set_index("arm")
    for arm in arms:
        for split in ("validation", "test"):
            told = [of_each(judged[f"{arm}-{seed}"], split) for seed in range(3)]
            worst = np.mean([min(each[name][0] for name in NAMES) for each in told])
            assert table.at[arm, f"{split}_worst_finding"] == pytest.approx(worst)
            assert table.at[arm, f"{split}_recall_nodule"] == pytest.approx(np.mean([each["nodule"][0] for each in told]))
            specificity = np.mean([each[name][1] for each in told for name in NAMES])
            assert table.at[arm, f"{split}_mean_specificity"] == pytest.approx(specificity)
    assert table["validation_worst_finding"].idxmax() == "boastful"
    assert table.index[table["chosen"]].tolist() == ["even"], "what is badly calibrated cannot win"
    assert "sensitivity of the worst finding" in reading.claims[0].text
    better = {claim.what: claim for claim in reading.claims}["even is better than plain"]
    assert better.shown
    assert "mean specificity" in better.text


def test_a_threshold_that_keeps_a_sensitivity_leaves_a_bake_off_nothing() -> None:
    def of(rule: object, kind: str = "multi") -> str:
        made = {
            "name": "x",
            "task": {"kind": kind, "classes": {"a": [], "b": []}},
            "cohorts": [{"name": "csv", "table": "t", "image": "i"}],
        }
        experiment = {**made, "backbone": {"name": "resnet18", "weights": "imagenet"}, "decision": {"threshold": rule}}
        return bake_off.Settings().unsuited(Experiment.model_validate(experiment))

    assert "gives all arms the same sensitivity" in of({"name": "sensitivity", "at_least": 0.9})
    assert of({"name": "specificity", "at_least": 0.9}) == of("youden") == of({"name": "sensitivity", "at_least": 0.9}, "single") == ""


def test_the_gain_of_a_search_is_of_the_mean_over_findings() -> None:
    trials, judged = trials_of({"base": {"edema": 0.5, "nodule": 0.3}, "best": {"edema": 2.5, "nodule": 2.0}})
    trials = trials.assign(fold=None, settings="", validation=trials["arm"].map({"base": 0.8, "best": 0.9}))
    reading = search.read(search.Settings(), trials, judged, CURVES, TASK, {})
    gain = next(claim for claim in reading.claims if claim.what == "gain on test over the base")
    means = {
        arm: np.mean([[each[2] for each in of_each(judged[f"{arm}-{seed}"]).values()] for seed in range(3)]) for arm in ("base", "best")
    }
    assert gain.shown
    assert gain.figures["value"] == pytest.approx(means["best"] - means["base"])
    assert "findings" in [table.name for table in reading.tables]


def test_trials_that_know_other_findings_of_the_same_images_are_refused() -> None:
    one = answers("test", (1.0, 1.0), 0)
    other = one.copy()
    row = one.index[one["unknown"] == "nodule"][0]
    other.loc[row, "unknown"] = ""
    assert (one["truth"] == other["truth"]).all()
    refuse_other_images({"one": one, "again": one})
    with pytest.raises(MedtlError, match="one and other were judged on different images, truths or groups"):
        refuse_other_images({"one": one, "other": other})


def test_adaptation_is_of_the_mean_and_shows_each() -> None:
    strengths = {"source-only": (0.5, 0.3), "coral": (2.0, 1.5), "adabn": (0.5, 0.3)}
    bright = np.random.default_rng(1).uniform(size=IMAGES)
    opened = {}
    for seed in range(3):
        said = {name: answers("test", each, 10 * place + seed) for place, (name, each) in enumerate(strengths.items())}
        release = {"released": "source-only", "candidate": "coral", "reason": "few", "patients": 3}
        release["scores"] = {name: dict.fromkeys(adaptation.tables.LABELS) for name in said}
        alone = {BY_TARGET: np.column_stack([bright, 1 - bright])}
        ceilings = {TRAINED_THERE: answers("test", (2.4, 2.0), 90 + seed)}
        opened[f"t{seed}"] = Opened("there", "coral", release, said, ceilings, bright, alone, {"look": 4, "models": 4})
    about = {"arm": "methods", "fraction": 1.0, "state": "done", "luck": True}
    trials = pd.DataFrame([{"trial": f"t{seed}", "seed": seed, **about} for seed in range(3)])
    reading = adaptation.read(adaptation.Settings(recovered=0.2), trials, {}, CURVES, TASK, opened)
    shown = {claim.what: claim.shown for claim in reading.claims}
    assert shown["adapting by coral helps"]
    assert not shown["adapting by adabn helps"]
    assert shown["20 % or more of the gap to a model trained on the target's labels recovered by coral"]
    table, each = reading.tables[0].raw.set_index("name"), reading.tables[1].raw.set_index(["finding", "arm"])
    for name in strengths:
        areas = np.array([[of_each(one.answers[name])[finding][2] for finding in NAMES] for one in opened.values()])
        assert table.loc[name, ["seed_0", "seed_1", "seed_2"]].to_numpy(float) == pytest.approx(areas.mean(axis=1))
        assert each.loc[[(finding, name) for finding in NAMES], "auroc"].to_numpy() == pytest.approx(areas.mean(axis=0))
    assert reading.notes[0].endswith("means over the findings edema, nodule.")
    assert [row[0] for row in next(t for t in reading.tables if t.name == "ways").rows] == [
        "the primary method",
        "the release rule",
        "an oracle, by these very images",
    ]


def test_brightness_of_a_finding_unknown_to_the_source_is_even_odds() -> None:
    chance = np.random.default_rng(0)
    bright = torch.from_numpy(chance.normal(size=(60, 1)).astype(np.float32))
    truth = np.stack([bright[:, 0].numpy() > 0, np.full(60, np.nan)], axis=1).astype(np.float32)
    side = Side(bright, bright, truth, np.zeros(60, np.int64))
    told = from_source(Places(side, side, side, (1,), 2, None), side)
    assert roc_auc_score(truth[:, 0], told[:, 0]) == 1
    assert (told[:, 1] == 0.5).all()
