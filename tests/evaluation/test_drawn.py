"""Figures of one training and their draws, against scikit-learn finding by finding; what is unknown touches no other finding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

from medtl import findings, predictions
from medtl.contracts import Task
from medtl.evaluation.drawn import AUROC, answers
from medtl.evaluation.folds import each_fold, figures_of, mean_auroc, out_of_fold, pooled
from medtl.evaluation.intervals import Interval
from medtl.evaluation.resampling import draw_counts
from medtl.evaluation.summary import summarize

TASK = Task(kind="multi", classes={"edema": [], "nodule": [], "mass": []})
ANY = [Interval(0.0, 1.0)]


def table(seed: int = 0, images: int = 200, folds: int = 2, unknown: float = 0.2) -> pd.DataFrame:
    """Two images a group; `mass` is known of no image of the first 10 groups, so that some groups have nothing to say of it."""
    chance = np.random.default_rng(seed)
    own = chance.normal(size=(images, 3))
    truth = (own > (0, 0.5, 1)).astype(float)
    p = 1 / (1 + np.exp(-(1.5 * own + chance.normal(size=own.shape))))
    truth[chance.random(truth.shape) < unknown] = np.nan
    truth[:20, 2] = np.nan
    made = pd.DataFrame({"image": [f"{row:03}.png" for row in range(images)], "frame": 0, "domain": "here", "split": "test"})
    made["fold"] = np.arange(images) // 2 % folds
    made = made.astype({"fold": str}).assign(member="", view="plain", reason="", group_id=[f"g{row // 2:03}" for row in range(images)])
    made["truth"], made["unknown"] = findings.words(truth, TASK.names), findings.unknown_words(truth, TASK.names)
    for k, name in enumerate(TASK.names):
        made[f"logit_{name}"], made[f"p_{name}"] = np.log(p[:, k] / (1 - p[:, k])), p[:, k]
    made["predicted"] = made["decision"] = findings.words(p > 0.6, TASK.names)
    return made.sample(frac=1, random_state=seed)


def by_hand(rows: pd.DataFrame) -> dict[str, list[float]]:
    """Each figure, a number per finding; NaN where the finding has no image on both sides."""
    truth, called = predictions.true_findings(rows), findings.from_words(rows["predicted"].tolist(), [""] * len(rows), TASK.names)
    found: dict[str, list[float]] = {name: [] for name in figures_of(TASK)}
    for k, name in enumerate(TASK.names):
        known = np.isfinite(truth[:, k])
        side, said, p = truth[known, k], called[known, k], rows[f"p_{name}"].to_numpy()[known]
        found["AUROC"].append(roc_auc_score(side, p))
        found["AUPRC"].append(average_precision_score(side, p))
        found["macro-F1"].append(f1_score(side, said))
        found["sensitivity"].append(recall_score(side, said))
        found["specificity"].append(recall_score(side, said, pos_label=0))
    return found


def test_values_and_draws_are_means_of_scikit_learns_over_findings() -> None:
    rows = table()
    told = answers(rows, TASK)
    for name, values in by_hand(rows).items():
        assert told.values[name] == pytest.approx(np.mean(values)), name
    assert told.values["ECE"] == pytest.approx(summarize(rows, TASK, resamples=10)["ece"]["value"])
    ids = np.unique(rows.loc[rows["truth"] != "", "group_id"])
    assert told.group_count == len(ids)
    counts = next(draw_counts(len(ids), 2000, 5, 0))
    recalls = told.recalls
    for draw in range(5):
        drawn = rows.loc[rows.index.repeat(rows["group_id"].map(dict(zip(ids, counts[:, draw], strict=True))).fillna(0).astype(int))]
        expected = by_hand(drawn)
        for name, values in expected.items():
            assert told.drawn[name][draw] == pytest.approx(np.mean(values)), name
        assert [recalls[name].drawn[draw] for name in TASK.names] == pytest.approx(expected["sensitivity"])
    assert [recalls[name].value for name in TASK.names] == pytest.approx(by_hand(rows)["sensitivity"])


def test_what_is_unknown_of_one_finding_changes_nothing_of_the_others() -> None:
    rows = table(unknown=0.0)
    truth = predictions.true_findings(rows)
    truth[np.random.default_rng(1).random(len(rows)) < 0.5, 0] = np.nan
    hidden = rows.assign(truth=findings.words(truth, TASK.names), unknown=findings.unknown_words(truth, TASK.names))
    before, after = answers(rows, TASK), answers(hidden, TASK)
    for name in ("nodule", "mass"):
        assert after.one(name).values == before.one(name).values
        assert all(np.array_equal(after.one(name).drawn[key], drawn) for key, drawn in before.one(name).drawn.items())
    assert after.one("edema").values != before.one("edema").values


def test_a_finding_without_cases_on_both_sides_has_no_part_in_the_mean() -> None:
    rows = table()
    truth = predictions.true_findings(rows)
    for gone in (1.0, 0.0, None):
        kept = truth.copy()
        kept[truth[:, 2] == gone if gone is not None else slice(None), 2] = np.nan
        told = answers(rows.assign(truth=findings.words(kept, TASK.names), unknown=findings.unknown_words(kept, TASK.names)), TASK)
        assert told.unranked == ["mass"]
        assert told.values[AUROC] == pytest.approx(np.mean(by_hand(rows)["AUROC"][:2]))
        assert np.isfinite(told.drawn[AUROC]).all()
        assert bool(told.recalls["mass"].groups) == (gone == 0.0)
        assert np.isnan(told.one("mass").around_auroc().low) if gone is not None else True


def test_an_unread_image_is_a_miss_of_what_is_known_of_it() -> None:
    rows = table(unknown=0.0).sort_values("image", ignore_index=True)
    lost = rows.index[rows["truth"].str.contains("edema")][:10]
    unread = rows.copy()
    unread.loc[lost, ["predicted", "decision"]] = "", "no answer"
    unread.loc[lost, [f"{kind}_{name}" for kind in ("p", "logit") for name in TASK.names]] = np.nan
    told, rest = answers(unread, TASK), answers(rows.drop(index=lost), TASK)
    assert told.values[AUROC] == pytest.approx(rest.values[AUROC])
    positives = rows["truth"].str.contains("edema")
    found = rows["predicted"].str.contains("edema") & positives & ~rows.index.isin(lost)
    assert told.recalls["edema"].value == pytest.approx(found.sum() / positives.sum())


def test_folds_of_findings_each_pooled_and_in_the_mean() -> None:
    rows = table()
    found = each_fold(rows, TASK)
    for row in found.to_dict("records"):
        own = rows[(rows["fold"] == str(row["fold"])) & (rows["truth"] != "")]
        present = np.nansum(predictions.true_findings(own), axis=0)
        assert (row["images"], row["groups"], row["cases"]) == (len(own), own["group_id"].nunique(), present.min())
        for name, values in by_hand(own).items():
            assert row[name] == pytest.approx(np.mean(values)), name
    together, mean = pooled(out_of_fold([rows], TASK), TASK, ANY), mean_auroc([rows], TASK, ANY)
    assert {name: figure.mean for name, figure in together.items()} == pytest.approx({k: np.mean(v) for k, v in by_hand(rows).items()})
    assert mean.mean == pytest.approx(found["AUROC"].mean())
    ids = np.unique(rows.loc[rows["truth"] != "", "group_id"])
    counts = next(draw_counts(len(ids), 2000, 3, 0))
    for draw in range(3):
        drawn = rows.loc[rows.index.repeat(rows["group_id"].map(dict(zip(ids, counts[:, draw], strict=True))).fillna(0).astype(int))]
        assert mean.drawn[0][draw] == pytest.approx(np.mean([np.mean(by_hand(own)["AUROC"]) for _, own in drawn.groupby("fold")]))


def test_one_class_per_image_is_one_table() -> None:
    task = Task(classes={"well": ["well"], "ill": ["ill"]}, positive="ill")
    rows = table().drop(columns=["unknown", *(f"{kind}_{name}" for kind in ("p", "logit") for name in TASK.names)])
    p = np.random.default_rng(0).random(len(rows))
    truth = np.random.default_rng(1).random(len(rows)) < p
    said = np.where(p > 0.5, "ill", "well")
    rows = rows.assign(truth=np.where(truth, "ill", "well"), p_well=1 - p, p_ill=p, predicted=said, decision=said)
    told = answers(rows, task)
    assert told.unranked == []
    assert told.values["AUROC"] == pytest.approx(roc_auc_score(truth, p))
    assert told.values["macro-F1"] == pytest.approx(f1_score(truth, p > 0.5, average="macro"))
    assert {name: each.value for name, each in told.recalls.items()} == pytest.approx(
        {"well": recall_score(~truth, p <= 0.5), "ill": recall_score(truth, p > 0.5)}
    )
