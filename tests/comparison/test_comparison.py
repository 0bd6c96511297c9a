"""What may be said of candidates beside a reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from medtl.comparison.comparison import compare
from medtl.comparison.page import write_page
from medtl.comparison.text import sentence, table
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation.paired_share import PairedShare

TASK = Task(classes={"well": (), "ill": ()}, positive="ill")


def judged(lift: float, seed: int, patients: int = 300, noise: float = 0.3) -> pd.DataFrame:
    """A model whose log-odds of ill and well patients lie `lift` apart; the same patients are hard for all."""
    truth = np.arange(patients) % 3 == 0
    odds = lift * truth + np.random.default_rng(0).normal(size=patients) + np.random.default_rng(seed + 1).normal(0, noise, patients) - 1
    p = 1 / (1 + np.exp(-odds))
    rows = pd.DataFrame({"image": [f"{number}.png" for number in range(patients)], "frame": 0, "domain": "", "split": "test"})
    rows = rows.assign(fold="", member="", view="plain", group_id=[f"g{number}" for number in range(patients)])
    rows["truth"] = np.where(truth, "ill", "well")
    rows = rows.assign(logit_well=-odds / 2, logit_ill=odds / 2, p_well=1 - p, p_ill=p, reason="")
    called = np.where(p >= 0.5, "ill", "well")
    return rows.assign(predicted=called, decision=called)


def test_a_better_one_an_equal_one_and_a_worse_one_are_told_apart():
    found = compare({"base": judged(2, 0), "better": judged(3.5, 1), "equal": judged(2, 2), "worse": judged(1, 3)}, TASK, margin=0.04)
    assert [each.verdict for each in found.candidates] == ["better", "not worse by more than 0.04", "worse"]
    assert (found.images, found.groups) == (300, 300)
    rows = table(found).raw
    assert len(rows) == 3 * 7
    better = rows[(rows["candidate"] == "better") & (rows["figure"] == "auroc")].iloc[0]
    assert 0 < better["low"] < better["difference"] < better["high"]
    assert better["difference"] == pytest.approx(better["value"] - better["reference"])
    assert sentence(found, found.candidates[0]).startswith(f"better: better: {better['difference']:+.3f} (")


def test_without_a_margin_nothing_is_called_not_worse():
    found = compare({"base": judged(2, 0), "equal": judged(2, 2)}, TASK)
    assert [each.verdict for each in found.candidates] == ["no difference shown"]
    assert found.candidates[0].p_not_worse is None


def test_many_candidates_need_a_larger_difference():
    one = judged(2.35, 4)
    alone = compare({"base": judged(2, 0), "one": one}, TASK).candidates[0]
    among = compare({"base": judged(2, 0), "one": one, **{str(k): judged(2, 10 + k) for k in range(12)}}, TASK).candidates[0]
    assert among.p_better == pytest.approx(min(1, 13 * alone.p_better))
    assert alone.verdict == "better"
    assert among.verdict == "no difference shown"


def test_many_candidates_need_a_larger_difference_to_be_called_worse():
    one = judged(1.99, 4)
    alone = compare({"base": judged(2, 0), "one": one}, TASK, margin=0.001).candidates[0]
    found = compare({"base": judged(2, 0), "one": one, **{str(k): judged(2, 10 + k) for k in range(12)}}, TASK, margin=0.001)
    among = found.candidates[0]
    assert alone.verdict == "worse"
    assert alone.p_worse < 0.025 < among.p_worse
    assert among.verdict == "may be worse by more than 0.001"
    assert among.contrasts["auroc"].high < 0
    assert sentence(found, among).endswith(f"one-sided p {among.p_not_worse:.3f}")


def called(rows: pd.DataFrame, wrong: int, truth: str = "ill") -> pd.DataFrame:
    """All called right but the first so many images of `truth`."""
    answers = rows["truth"].to_list()
    for place in [place for place, own in enumerate(answers) if own == truth][:wrong]:
        answers[place] = "well" if truth == "ill" else "ill"
    return rows.assign(predicted=answers, decision=answers)


def test_a_share_is_kept_only_where_there_are_cases_enough_to_show_it():
    """Of 60 ill no loss at all leaves -z² / (60 + z²) = -0.060 possible; of 100 it is -0.037."""
    few, many = (called(judged(2, 0, patients), 0) for patients in (180, 300))
    assert compare({"base": few, "copy": few}, TASK, "sensitivity", 0.05).candidates[0].verdict == "may be worse by more than 0.05"
    assert compare({"base": few, "copy": few}, TASK, "sensitivity").candidates[0].verdict == "no difference shown"
    same = compare({"base": many, "copy": many}, TASK, "sensitivity", 0.05).candidates[0]
    assert same.verdict == "the same"
    z2 = norm.isf(0.025) ** 2
    told = same.contrasts["sensitivity"]
    assert (told.low, told.high) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)))
    lost = compare({"base": many, "lost": called(many, 1)}, TASK, "sensitivity", 0.05).candidates[0]
    assert lost.verdict == "may be worse by more than 0.05"
    assert lost.contrasts["sensitivity"].low < -0.05
    assert lost.contrasts["accuracy"].low == pytest.approx(PairedShare(1, 0, 300).low(0.025))
    assert lost.contrasts["specificity"].value == 0


def test_a_measure_that_one_candidate_lacks_names_it_whatever_its_place():
    unread = judged(2, 1)
    unread.loc[unread["truth"] == "ill", ["logit_well", "logit_ill", "p_well", "p_ill"]] = np.nan
    unread.loc[unread["truth"] == "ill", "predicted"] = ""
    base, good = judged(2, 0), judged(2, 2)
    for tables in ({"base": base, "good": good, "blind": unread}, {"base": base, "blind": unread, "good": good}):
        with pytest.raises(MedtlError, match=r"auroc: cannot be told of blind, for too few .* one of: balanced accuracy"):
            compare(tables, TASK)
    assert compare(tables, TASK, "sensitivity").candidates[0].verdict == "worse"


def test_a_margin_that_the_interval_crosses_is_not_kept():
    found = compare({"base": judged(2, 0), "near": judged(2, 2)}, TASK, margin=0.001).candidates[0]
    assert found.verdict == "may be worse by more than 0.001"


def test_a_copy_is_the_same():
    assert compare({"base": judged(2, 0), "copy": judged(2, 0)}, TASK, margin=0.02).candidates[0].verdict == "the same"


def test_few_groups_say_nothing():
    few = [judged(lift, seed, patients=24) for lift, seed in ((0, 0), (9, 1))]
    assert "too few groups" in compare({"base": few[0], "much better": few[1]}, TASK).candidates[0].verdict


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.iloc[1:], "hold other images"),
        (lambda rows: rows.assign(truth=rows["truth"].to_list()[::-1]), "different truths"),
        (lambda rows: rows.assign(group_id="one"), "different truths or groups"),
    ],
)
def test_other_images_truths_or_groups_are_refused(change, said):
    with pytest.raises(MedtlError, match=said):
        compare({"base": judged(2, 0), "other": change(judged(2, 1))}, TASK)


def test_a_figure_that_there_is_not_is_refused_with_those_that_are():
    with pytest.raises(MedtlError, match="did you mean 'sensitivity'"):
        compare({"base": judged(2, 0), "other": judged(2, 1)}, TASK, "sensitivty")
    with pytest.raises(MedtlError, match="lower is better"):
        compare({"base": judged(2, 0), "other": judged(2, 1)}, TASK, "Brier score")


def test_several_findings_are_held_together_and_each_by_itself():
    task = Task(kind="multi", classes={"disc": (), "square": ()})

    def findings(lift: float, seed: int) -> pd.DataFrame:
        each = [judged(lift, seed + place) for place in (0, 50)]
        words = [
            "|".join(n for n, t in zip(task.names, row, strict=True) if t == "ill") or "none"
            for row in zip(*(e["truth"] for e in each), strict=True)
        ]
        rows = (
            each[0]
            .drop(columns=[name for name in each[0] if name.startswith(("p_", "logit_"))])
            .assign(truth=words, predicted="none", unknown="")
        )
        for name, own in zip(task.names, each, strict=True):
            rows[f"logit_{name}"], rows[f"p_{name}"] = own["logit_ill"], own["p_ill"]
        return rows.assign(decision="none")

    found = compare({"base": findings(1, 0), "better": findings(3, 7)}, task)
    contrasts = found.candidates[0].contrasts
    assert found.candidates[0].verdict == "better"
    assert contrasts["auroc"].value == pytest.approx(np.mean([contrasts[f"auroc of {name}"].value for name in task.names]))
    assert contrasts["auroc of disc"].value > 0


def test_the_page_holds_every_sentence(tmp_path):
    found = compare({"<base>": judged(2, 0), "better": judged(3.5, 1)}, TASK, margin=0.02)
    page = write_page(found, "test", ["a note"], tmp_path).read_text()
    assert "better: better: +0." in page
    assert "&lt;base&gt;" in page
    assert "<svg" in page
