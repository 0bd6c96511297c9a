"""Subgroups against a table worked by hand, against simulation, and against each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep

from medtl.contracts import Task
from medtl.evaluation.subgroups import BALANCED, levels, subgroups, worst

TASK = Task(classes={"a": (), "b": ()}, positive="b")


def _made(make_table, counts: dict[str, tuple[int, int, int, int]]):
    """site -> (ill found, ill missed, well called so, false alarms), each image a patient."""
    truth, called, site = [], [], []
    for name, (tp, fn, tn, fp) in counts.items():
        truth += [1] * (tp + fn) + [0] * (tn + fp)
        called += [1] * tp + [0] * fn + [0] * tn + [1] * fp
        site += [name] * (tp + fn + tn + fp)
    p = 0.2 + 0.6 * np.array(called) + np.random.default_rng(0).uniform(-0.15, 0.15, len(called))
    return make_table(truth, np.column_stack([1 - p, p])), pd.DataFrame({"site": site})


def test_differences_of_independent_patients_are_newcombes(make_table):
    """Newcombe's hybrid score interval of two independent shares (statsmodels), where that is wider than what the influences say."""
    table, columns = _made(make_table, {"north": (40, 10, 70, 20), "south": (95, 5, 150, 20), "west": (60, 2, 40, 4)})
    north = next(each for each in subgroups(table, TASK, columns) if each.level == "north")
    gap = north.gaps["sensitivity"]
    assert (gap.own["value"], gap.rest["value"]) == pytest.approx((40 / 50, 155 / 162))
    low, high = confint_proportions_2indep(40, 50, 155, 162, method="newcomb")
    assert gap.difference["value"] == pytest.approx(40 / 50 - 155 / 162)
    assert gap.difference["low"] <= low + 1e-9
    assert gap.difference["high"] >= high - 1e-9
    assert gap.difference["high"] - gap.difference["low"] < 1.15 * (high - low)
    assert north.gaps["specificity"].own["value"] == pytest.approx(70 / 90)
    assert north.gaps[BALANCED].own["value"] == pytest.approx((40 / 50 + 70 / 90) / 2)
    assert (gap.p < 0.05) == (gap.difference["high"] < 0)


def test_the_worst_is_who_falls_behind_most_and_never_one_of_too_few(make_table):
    table, columns = _made(make_table, {"north": (30, 10, 30, 10), "south": (95, 5, 95, 5), "tiny": (0, 9, 60, 0)})
    found = {each.level: each for each in subgroups(table, TASK, columns)}
    assert found["tiny"].few == "too few (9 of b)"
    assert not found["tiny"].gaps
    assert worst(list(found.values())).level == "north"
    assert worst([found["tiny"]]) is None


def test_the_order_of_rows_does_not_matter(make_table):
    table, columns = _made(make_table, {"north": (30, 10, 30, 10), "south": (95, 5, 95, 5)})
    shuffled = table.sample(frac=1, random_state=0)
    found = subgroups(shuffled, TASK, columns.loc[shuffled.index])
    for one, other in zip(subgroups(table, TASK, columns), found, strict=True):
        assert (one.level, one.gaps) == (other.level, other.gaps)
        assert (columns.loc[shuffled.index, "site"].to_numpy()[other.where] == other.level).all()


def test_halves_ask_one_question_and_holm_counts_them_once(make_table):
    table, columns = _made(make_table, {"F": (40, 10, 45, 5), "M": (48, 2, 45, 5)})
    woman, man = subgroups(table, TASK, columns)
    assert {woman.level, man.level} == {"F", "M"}
    for name, gap in woman.gaps.items():
        assert gap.difference["value"] == pytest.approx(-man.gaps[name].difference["value"])
        assert gap.p == pytest.approx(man.gaps[name].p)
        assert gap.corrected == pytest.approx(man.gaps[name].corrected)
    raw = sorted(gap.p for gap in woman.gaps.values())
    assert min(gap.corrected for gap in woman.gaps.values()) == pytest.approx(min(1, 4 * raw[0]))


def test_rows_repeated_within_patients_change_no_interval(make_table, draw):
    truth, p, groups = draw(np.random.default_rng(0), 200, 1, [0.6, 0.4])
    site = np.random.default_rng(1).integers(0, 3, 200).astype(str)
    once = subgroups(make_table(truth, p, groups), TASK, pd.DataFrame({"site": site}))
    five = [np.repeat(each, 5, axis=0) for each in (truth, p, groups, site)]
    again = subgroups(make_table(five[0], five[1], five[2]), TASK, pd.DataFrame({"site": five[3]}))
    for one, other in zip(once, again, strict=True):
        assert one.level == other.level
        for name, gap in one.gaps.items():
            for key in ("value", "low", "high"):
                assert other.gaps[name].difference[key] == pytest.approx(gap.difference[key], abs=0.004)


@pytest.mark.parametrize("straddling", [False, True])
def test_differences_hold_the_truth_and_rarely_claim_one(make_table, draw, straddling):
    """No difference in truth, three images a patient: the interval holds 0; also where each patient stands on both sides."""
    random, runs = np.random.default_rng(2), 100
    held = dict.fromkeys(("sensitivity", "specificity", "AUROC"), 0)
    claimed = 0
    for _ in range(runs):
        truth, p, groups = draw(random, 120, 3, [0.6, 0.4], 1.2)
        view = np.tile(["PA", "PA", "AP"], 120) if straddling else np.repeat(np.where(random.random(120) < 0.4, "PA", "AP"), 3)
        one, _ = subgroups(make_table(truth, p, groups), TASK, pd.DataFrame({"view": view}))
        claimed += any(gap.corrected < 0.05 for gap in one.gaps.values())
        for name in held:
            held[name] += one.gaps[name].difference["low"] <= 0 <= one.gaps[name].difference["high"]
    assert {name: count / runs for name, count in held.items() if count / runs < 0.9} == {}  # nominal 0.95
    assert claimed / runs <= 0.1


def test_a_difference_in_ranking_is_seen(make_table):
    random = np.random.default_rng(3)
    truth, site = random.integers(0, 2, 600), np.repeat(["near", "far"], 300)
    score = random.normal(size=600) + truth * np.where(site == "near", 2.0, 0.4)
    p = norm.cdf(score - 0.6)
    found = subgroups(make_table(truth, np.column_stack([1 - p, p])), TASK, pd.DataFrame({"site": site}))
    far = worst(found)
    assert far.level == "far"
    assert far.gaps["AUROC"].difference["high"] < 0
    assert far.gaps["AUROC"].corrected < 0.001


def test_several_classes_are_compared_over_those_that_both_sides_have(make_table, draw):
    truth, p, groups = draw(np.random.default_rng(4), 300, 1, [0.5, 0.4, 0.1])
    site = np.where((truth == 2) | (np.arange(300) % 3 > 0), "large", "small")
    small = next(
        s
        for s in subgroups(make_table(truth, p, groups), Task(classes=dict.fromkeys("abc", ())), pd.DataFrame({"site": site}))
        if s.level == "small"
    )
    assert small.over == ["a", "b"]
    called, own = p.argmax(axis=1), site == "small"
    recalls = [np.mean(called[own & (truth == k)] == k) for k in (0, 1)]
    assert small.gaps[BALANCED].own["value"] == pytest.approx(np.mean(recalls))
    assert set(small.gaps) == {BALANCED, "mean AUROC"}


def test_several_findings_are_compared_by_their_means(make_table):
    random = np.random.default_rng(5)
    task = Task(kind="multi", classes={"edema": (), "nodule": (), "rare": ()})
    there = random.random((400, 3)) < [0.4, 0.3, 0.01]
    p = np.clip(0.5 + 0.25 * (2 * there - 1) + random.normal(0, 0.25, (400, 3)), 0.01, 0.99)
    words = ["|".join(np.array(task.names)[row]) or "none" for row in there]
    called = ["|".join(np.array(task.names)[row]) or "none" for row in p >= 0.5]
    table = make_table([0] * 400, np.column_stack([1 - p[:, 0], p[:, 0]])).drop(columns=["logit_a", "logit_b", "p_a", "p_b"])
    table = table.assign(truth=words, unknown="", predicted=called, decision=called)
    for k, name in enumerate(task.names):
        table[f"p_{name}"], table[f"logit_{name}"] = p[:, k], np.log(p[:, k])
    sex = pd.DataFrame({"sex": np.where(np.arange(400) % 2, "F", "M")})
    woman = next(each for each in subgroups(table, task, sex) if each.level == "F")
    own = np.arange(400) % 2 == 1
    expected = np.mean([np.mean((p[own & there[:, k], k]) >= 0.5) for k in (0, 1)])
    assert woman.gaps["mean sensitivity"].own["value"] == pytest.approx(expected)
    assert woman.over == ["edema", "nodule"]


def test_levels_are_bands_halves_or_values():
    ages = pd.Series([str(age) for age in range(10, 90)] + [""])
    assert [level for level, _ in levels(ages, "age")] == ["under 18", "18 to 39", "40 to 59", "60 to 79", "80 and over", "unknown"]
    assert [level for level, _ in levels(ages, "weight")] == ["under 49.5", "49.5 and over", "unknown"]
    assert [(level, int(mask.sum())) for level, mask in levels(pd.Series(["b", "a", "a"]), "sex")] == [("a", 2), ("b", 1)]
