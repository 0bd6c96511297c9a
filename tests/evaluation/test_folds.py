"""Figures of folds and of all folds pooled, against scikit-learn on the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score, recall_score, roc_auc_score

from medtl.contracts import Task
from medtl.evaluation.crossed import interval
from medtl.evaluation.folds import each_fold, mean_auroc, out_of_fold, pooled
from medtl.evaluation.intervals import Interval
from medtl.evaluation.resampling import draw_counts

TWO = Task(classes={"well": ["well"], "ill": ["ill"]}, positive="ill")
THREE = Task(classes={"a": ["a"], "b": ["b"], "c": ["c"]})
ANY = [Interval(0.0, 1.0)]


def table(task: Task, seed: int = 0, apart: float = 0.0, images: int = 240, folds: int = 4) -> pd.DataFrame:
    """Images in pairs of one group; each fold's log-odds of the last class are moved by `apart` times its number."""
    chance, names = np.random.default_rng(seed), task.names
    truth = np.arange(images) // 2 % 7 % len(names)
    fold = chance.integers(0, folds, images // 2).repeat(2)
    logits = 1.5 * np.eye(len(names))[truth] + chance.normal(0, 1, (images, len(names)))
    logits[:, -1] += apart * fold
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    made = pd.DataFrame({"image": [f"{row:03}.png" for row in range(images)], "frame": 0, "domain": "here", "split": "test"})
    made["fold"] = made["member"] = fold.astype(str)
    made["view"], made["reason"], made["group_id"] = "plain", "", [f"g{row // 2}" for row in range(images)]
    made["truth"] = np.array(names)[truth]
    for k, name in enumerate(names):
        made[f"logit_{name}"], made[f"p_{name}"] = logits[:, k], p[:, k]
    made["predicted"] = made["decision"] = np.array(names)[p.argmax(axis=1)]
    return made.sample(frac=1, random_state=seed)


def reference(rows: pd.DataFrame, task: Task) -> dict[str, float]:
    if task is TWO:
        side = rows["truth"] == "ill"
        ranks = {"AUROC": roc_auc_score(side, rows["p_ill"]), "AUPRC": average_precision_score(side, rows["p_ill"])}
        named = {
            "sensitivity": recall_score(side, rows["predicted"] == "ill"),
            "specificity": recall_score(~side, rows["predicted"] == "well"),
        }
    else:
        sides = [(rows["truth"] == name, rows[f"p_{name}"]) for name in task.names]
        ranks = {
            "AUROC": np.mean([roc_auc_score(*side) for side in sides]),
            "AUPRC": np.mean([average_precision_score(*side) for side in sides]),
        }
        named = {"balanced accuracy": balanced_accuracy_score(rows["truth"], rows["predicted"])}
    return {**ranks, "macro-F1": f1_score(rows["truth"], rows["predicted"], average="macro"), **named}


@pytest.mark.parametrize("task", [TWO, THREE], ids=["two", "three"])
def test_every_fold_and_all_pooled(task: Task) -> None:
    rows = table(task)
    found = each_fold(rows, task)
    assert list(found["fold"]) == [0, 1, 2, 3]
    for row in found.to_dict("records"):
        own = rows[rows["fold"] == str(row["fold"])]
        counts = own["truth"].value_counts()
        assert (row["images"], row["groups"]) == (len(own), own["group_id"].nunique())
        assert row["cases"] == (counts["ill"] if task is TWO else counts.min())
        for name, value in reference(own, task).items():
            assert row[name] == pytest.approx(value), name
    together = pooled(out_of_fold([rows], task), task, ANY)
    assert {name: figure.mean for name, figure in together.items()} == pytest.approx(reference(rows, task))
    assert mean_auroc([rows], task, ANY).mean == pytest.approx(found["AUROC"].mean())


def test_the_mean_over_folds_is_drawn_by_group_as_the_pooled_figure_is() -> None:
    rows = table(TWO, images=120, folds=2)
    drawn, together = mean_auroc([rows], TWO, ANY).drawn[0], pooled(out_of_fold([rows], TWO), TWO, ANY)["AUROC"].drawn[0]
    ids = np.unique(rows["group_id"])
    counts = next(draw_counts(len(ids), 2000, 5, 0))
    for draw in range(5):
        repeated = rows.loc[rows.index.repeat(rows["group_id"].map(dict(zip(ids, counts[:, draw], strict=True))))]
        folds = [roc_auc_score(own["truth"] == "ill", own["p_ill"]) for _, own in repeated.groupby("fold")]
        assert drawn[draw] == pytest.approx(np.mean(folds))
        assert together[draw] == pytest.approx(roc_auc_score(repeated["truth"] == "ill", repeated["p_ill"]))


def test_folds_on_other_scales_are_told_from_chance() -> None:
    found = {}
    for apart in (0.0, 1.5):
        gaps = [
            mean_auroc([rows], TWO, ANY).less(pooled(out_of_fold([rows], TWO), TWO, ANY)["AUROC"])
            for rows in (table(TWO, seed, apart) for seed in range(20))
        ]
        found[apart] = [interval(gap).low > 0 for gap in gaps]
    assert sum(found[0.0]) <= 3, "chance alone is called chance"
    assert sum(found[1.5]) >= 18, "a shift between folds costs the pooled figure alone"


def test_a_fold_without_a_class_has_no_rank_and_stays_out_of_the_mean() -> None:
    rows = table(TWO, folds=2)
    rows = rows[(rows["fold"] == "0") | (rows["truth"] == "well")]
    found = each_fold(rows, TWO)
    assert np.isnan(found["AUROC"][1])
    assert found["specificity"][1] > 0
    assert mean_auroc([rows], TWO, ANY).mean == pytest.approx(found["AUROC"][0])
