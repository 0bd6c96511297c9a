"""Stress views against scikit-learn and tables worked by hand, and when what is said of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from medtl import findings
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation.contrast import Contrast
from medtl.evaluation.delong import clustered_error
from medtl.evaluation.stressed import COST, Stressed, StressTest, sentences, stressed
from medtl.stress.views import BY_NAME

TASK = Task(classes={"well": (), "ill": ()}, positive="ill")


def table(scores: dict[str, np.ndarray], truth: np.ndarray, per_group: int = 1) -> pd.DataFrame:
    """View -> (N,) log-odds of being ill, called ill above 0."""
    parts = []
    for view, odds in scores.items():
        part = pd.DataFrame({"image": [f"{i:04d}.png" for i in range(len(truth))], "frame": 0, "domain": "", "split": "test", "fold": ""})
        part["member"], part["view"] = "", view
        part["group_id"] = [f"{i // per_group:04d}" for i in range(len(truth))]
        part["truth"] = np.where(truth == 1, "ill", "well")
        part["logit_well"], part["logit_ill"] = 0.0, odds
        part["p_well"], part["p_ill"] = 1 - expit(odds), expit(odds)
        part["predicted"] = part["decision"] = np.where(odds > 0, "ill", "well")
        part["reason"] = ""
        parts.append(part)
    return pd.concat(parts).sample(frac=1, random_state=0, ignore_index=True)


def drawn(signal: dict[str, float], n: int = 400, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Log-odds that hold so much of the truth, with the same noise under every view, as a network has."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 2, n)
    noise = random.normal(size=n)
    return {view: strength * (2 * truth - 1) + noise + 0.2 * random.normal(size=n) for view, strength in signal.items()}, truth


def test_figures_are_those_of_scikit_learn_and_counted_by_hand():
    scores, truth = drawn({"plain": 1.2, "blur": 0.6, "border-only": 0.0})
    found = stressed(table(scores, truth, per_group=2), TASK)
    assert [each.view.name for each in found.views] == ["border-only", "blur"], "in the order of the list"
    assert (found.images, found.groups) == (400, 200)
    assert found.plain["value"] == pytest.approx(roc_auc_score(truth, scores["plain"]))
    for each in found.views:
        own = scores[each.view.name]
        area, error = clustered_error(truth == 1, own, np.arange(400) // 2)
        assert each.auroc["value"] == pytest.approx(roc_auc_score(truth, own))
        assert each.auroc["high"] - each.auroc["low"] == pytest.approx(2 * 1.96 * error, rel=0.03)
        assert each.gap.value == pytest.approx(area - roc_auc_score(truth, scores["plain"]))
        assert each.changed["value"] == pytest.approx(np.mean((own > 0) != (scores["plain"] > 0)))


def test_the_difference_is_paired_what_both_share_cancels_out():
    scores, truth = drawn({"plain": 1.0, "jpeg": 0.9})
    (found,) = stressed(table(scores, truth), TASK).views
    alone = [clustered_error(truth == 1, scores[view], np.arange(400))[1] for view in ("plain", "jpeg")]
    assert found.gap.error < 0.5 * np.hypot(*alone)


def test_a_view_that_changes_nothing_costs_nothing_and_no_view_is_nothing():
    scores, truth = drawn({"plain": 1.0})
    assert stressed(table(scores, truth), TASK) is None
    (found,) = stressed(table({**scores, "crop": scores["plain"]}, truth), TASK).views
    assert (found.gap.value, found.gap.error, found.changed["value"]) == (0.0, 0.0, 0.0)
    test = stressed(table({**scores, "crop": scores["plain"]}, truth), TASK)
    assert [said.text for said in sentences(test)] == [f"No other view is shown to cost {COST:g} AUROC or more."]


def test_several_classes_are_the_mean_of_one_against_rest():
    random = np.random.default_rng(3)
    truth, names = random.integers(0, 3, 300), ["a", "b", "c"]
    parts = []
    for view, strength in (("plain", 2.0), ("blur", 0.7)):
        odds = strength * np.eye(3)[truth] + random.normal(size=(300, 3))
        p = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        part = table({view: np.zeros(300)}, np.zeros(300)).drop(columns=["logit_well", "logit_ill", "p_well", "p_ill"]).sort_values("image")
        part["truth"], part["predicted"] = np.array(names)[truth], np.array(names)[p.argmax(axis=1)]
        part["decision"] = part["predicted"]
        part[[f"logit_{name}" for name in names]], part[[f"p_{name}" for name in names]] = odds, p
        parts.append(part)
        expected = roc_auc_score(truth, p, multi_class="ovr")
    found = stressed(pd.concat(parts, ignore_index=True), Task(classes=dict.fromkeys(names, ())))
    assert found.views[0].auroc["value"] == pytest.approx(expected)


def texts(signal: dict[str, float], n: int = 400) -> list[tuple[bool, str]]:
    return [(said.grave, said.text) for said in sentences(stressed(table(*drawn(signal, n)), TASK))]


def test_a_border_that_still_tells_is_called_a_shortcut_and_comes_first():
    said = texts({"plain": 1.5, "blur": 0.5, "border-only": 1.0})
    assert said[0][0]
    assert "part of what it knows lies at the border" in said[0][1]
    assert not said[1][0]
    assert said[1][1].startswith("A blur (sigma 1 % of the side) costs 0.")


@pytest.mark.parametrize(
    ("border", "ends"), [(0.0, "that it goes by the border is not shown."), (0.18, "better than chance, but little of the 0.")]
)
def test_a_border_that_tells_little_or_nothing_is_no_shortcut(border: float, ends: str):
    (grave, text), *_ = texts({"plain": 1.5, "border-only": border}, n=2000)
    assert not grave
    assert ends in text


def test_marks_that_cost_are_a_shortcut_and_marks_that_do_not_are_not_spoken_of():
    (grave, text), *_ = texts({"plain": 1.5, "markers-removed": 0.6})
    assert grave
    assert "it goes by letters, crosses or ink" in text
    assert texts({"plain": 1.5, "markers-removed": 1.5}) == [(False, "No other view is shown to cost 0.02 AUROC or more.")]


def test_of_noise_the_weakest_that_costs_is_named():
    said = texts({"plain": 1.5, "noise-1": 1.5, "noise-2": 0.9, "noise-3": 0.5})
    assert [text for _, text in said if text.startswith("Noise")] == [text for _, text in said]
    assert "Noise of 4 % of the range costs" in said[0][1]


def test_nothing_is_said_of_few_patients_or_of_a_model_that_knows_nothing():
    assert texts({"plain": 3.0, "border-only": 3.0}, n=14)[0][1].startswith("Too few groups")
    assert "there is nothing that a view could cost" in texts({"plain": 0.0, "border-only": 1.0})[0][1]


def test_many_views_do_not_make_a_cost_by_chance():
    gap = Contrast(0.9, 0.86, 0.0185, 100)
    same = {"value": 0.86, "low": 0.8, "high": 0.9}
    views = [Stressed(BY_NAME[name], same, gap, same) for name in ("blur", "crop", "jpeg")]
    alone = sentences(StressTest({"value": 0.9, "low": 0.85, "high": 0.95}, 200, 101, views[:1]))
    many = sentences(StressTest({"value": 0.9, "low": 0.85, "high": 0.95}, 200, 101, views))
    assert gap.high < 0
    assert "costs" in alone[0].text
    assert many[0].text.startswith("No other view"), "each p of 0.016 times three"


def test_other_images_under_a_view_are_refused():
    scores, truth = drawn({"plain": 1.0, "blur": 0.5})
    whole = table(scores, truth)
    with pytest.raises(MedtlError, match="other images"):
        stressed(whole[(whole["view"] == "plain") | (whole["image"] < "0100")], TASK)


def test_over_folds_each_members_answers_are_cases_of_their_own():
    scores, truth = drawn({"plain": 1.2, "blur": 0.4}, n=120)
    fold = table(scores, truth)
    fold["fold"] = fold["member"] = (fold["image"].str[:4].astype(int) % 3).astype(str)
    (found,), (alone,) = stressed(fold, TASK).views, stressed(table(scores, truth), TASK).views
    assert found.auroc == pytest.approx(alone.auroc)
    assert found.gap.error == pytest.approx(alone.gap.error)


def test_several_findings_are_their_mean_over_what_is_known_of_each():
    random = np.random.default_rng(4)
    names = ("edema", "mass")
    truth = random.integers(0, 2, (200, 2)).astype(float)
    truth[:40, 1] = np.nan
    parts, expected = [], {}
    for view, strength in (("plain", 1.5), ("crop", 0.5)):
        odds = strength * (2 * np.nan_to_num(truth) - 1) + random.normal(size=(200, 2))
        said = findings.words((odds > 0).astype(float), names)
        part = pd.DataFrame({"image": [f"{i:03d}.png" for i in range(200)], "frame": 0, "fold": "", "member": "", "view": view})
        part = part.assign(group_id=part["image"], truth=findings.words(truth, names), unknown=findings.unknown_words(truth, names))
        part["predicted"] = part["decision"] = said
        for k, name in enumerate(names):
            part[f"p_{name}"] = expit(odds[:, k])
        areas = [roc_auc_score(truth[known, k], odds[known, k]) for k, known in enumerate(np.isfinite(truth).T)]
        expected[view] = np.mean(areas)
        parts.append(part)
    test = stressed(pd.concat(parts, ignore_index=True), Task(kind="multi", classes=dict.fromkeys(names, ())))
    assert test.plain["value"] == pytest.approx(expected["plain"])
    assert test.views[0].gap.value == pytest.approx(expected["crop"] - expected["plain"])


def test_a_finding_that_is_known_of_no_image_is_left_out():
    random = np.random.default_rng(4)
    names = ("unasked", "mass")
    truth = np.column_stack([np.full(100, np.nan), random.integers(0, 2, 100)])
    parts = []
    for view in ("plain", "crop"):
        odds = np.nan_to_num(truth) + random.normal(size=(100, 2))
        part = pd.DataFrame({"image": [f"{i:03d}.png" for i in range(100)], "frame": 0, "fold": "", "member": "", "view": view})
        part = part.assign(group_id=part["image"], truth=findings.words(truth, names), unknown=findings.unknown_words(truth, names))
        part["predicted"] = part["decision"] = findings.words((odds > 0).astype(float), names)
        parts.append(part.assign(p_unasked=expit(odds[:, 0]), p_mass=expit(odds[:, 1])))
    test = stressed(pd.concat(parts, ignore_index=True), Task(kind="multi", classes=dict.fromkeys(names, ())))
    assert test.plain["value"] == pytest.approx(roc_auc_score(truth[:, 1], parts[0]["p_mass"]))
    assert (test.images, test.groups) == (100, 100)
