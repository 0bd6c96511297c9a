"""What the report says of a guarantee: kept, out of reach, of an ensemble over folds, and void on outside images."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from medtl import card, guarantees
from medtl.report import answered, summary
from medtl.report.page import page


def package(measure: str = "recall", groups: tuple[int, ...] = (80,), wrong: tuple[int | None, ...] = (1,), **task: Any) -> dict[str, Any]:
    given = {
        "measure": measure, "at_least": 0.95, "confidence": 0.95, "needed": 59, "groups": groups, "wrong": wrong,
        "unit": "patient", "domains": ["children"],
    }  # fmt: skip
    return {
        "task": {"classes": {"well": [], "ill": []}, **task},
        "operating_point": {"rule": "youden", "threshold": 0.4, "guarantee": given},
    }


def test_the_report_says_it_and_of_outside_images_that_it_is_void(make_contents: Any) -> None:
    usual = make_contents().package
    kept = {**usual, "task": package()["task"], "operating_point": {**usual["operating_point"], **package()["operating_point"]}}
    own, outside = (answered.completed(make_contents(splits=splits, package=kept)) for splits in (("test",), ("external",)))
    said = " ".join(summary.how_sure(own))
    assert "Guaranteed with 95 % confidence: at least 95 % of the images of ill are found (recall, every patient counting alike)." in said
    assert "one image of each patient, missed: 1 of 80. It holds for patients like these (children); anywhere else it is void." in said
    assert "Guaranteed" not in " ".join(summary.how_sure(outside))
    assert "The package's guarantee (recall of at least 0.95 with 95 % confidence) is void here" in " ".join(summary.how_sure(outside))
    folds = dataclasses.replace(own, records=own.records.assign(split="", fold="0"))
    assert "of the folds' own networks and thresholds, which guarantee nothing" in " ".join(summary.how_sure(folds))
    assert not any("guarantee" in line for line in summary.how_sure(dataclasses.replace(own, package=usual)))


def test_where_held_out_images_put_the_threshold_validation_did_not(make_contents: Any) -> None:
    for given, chose in ((package(), "epoch and calibration"), (package(wrong=(None,)), "epoch, calibration and threshold")):
        kept = {**make_contents().package, **given}
        assert f"which chose {chose}: they" in summary.basis(make_contents(splits=("validation",), package=kept))


def test_an_image_held_back_is_no_mistake(make_contents: Any) -> None:
    made = make_contents(splits=("test",))
    rows = made.predictions.copy()
    wrong = rows.index[(rows["predicted"] != "") & (rows["predicted"] != rows["truth"])]
    rows.loc[wrong[1:], ["decision", "reason"]] = ["no answer", "it may as well be well or ill [UNSURE]"]
    said = summary.where_it_fails(answered.completed(dataclasses.replace(made, predictions=rows)), [])
    assert any(" of its 1 mistakes were made" in line for line in said)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (package("specificity", positive="well"), "at least 95 % of the images of ill are not called positive (specificity"),
        (package("specificity"), "one image of each patient, false alarms: 1 of 80"),
        ({**package(), "gate": {}}, "what the threshold would have called it: of all, at most 5 % are missed, but fewer may be found."),
        ({**package("specificity"), "conformal": {}}, "would have called it: of all, at most 5 % are false alarms."),
        (package(groups=(31,), wrong=(None,)), "it takes 59 held-out positive patients of which none is wrong, and there are: 31."),
        (package("specificity", wrong=(None,)), "images of the other side have a probability of 1, above which no threshold lies"),
    ],
)
def test_sentences(given: dict[str, Any], sentence: str) -> None:
    assert sentence in guarantees.said(given)[0]


@pytest.mark.parametrize(
    ("measure", "right", "sentences"),
    [
        (
            "recall",
            40,
            ["of the held-out patients of well, one image each, are rightly not called positive: 40 of 50 (specificity 0.800)."],
        ),
        (
            "recall",
            4,
            ["4 of 50 (specificity 0.080).", "ill is called on 99 % of the held-out patients of ill and on 92 % of those of well:"],
        ),
        ("specificity", 15, ["of the held-out patients of ill, one image each, are found: 15 of 50 (recall 0.300)."]),
        (
            "specificity",
            5,
            ["5 of 50 (recall 0.100).", "ill is called on 10 % of the held-out patients of ill and on 1 % of those of well:"],
        ),
    ],
)
def test_the_price_and_a_warning_where_all_are_called_the_same(measure: str, right: int, sentences: list[str]) -> None:
    told = guarantees.said(_with_price(package(measure), (50,), (right,)))[1:]
    assert len(told) == len(sentences)
    assert all(sentence in line for sentence, line in zip(sentences, told, strict=True))
    assert [line.startswith("WARNING: ") for line in told] == [False, True][: len(told)]


def test_the_price_of_findings_is_that_of_those_in_reach() -> None:
    mixed = _with_price(package(groups=(80, 20), wrong=(0, None), kind="multi"), (60, 60), (2, 2))
    told = guarantees.said(mixed)
    assert "without the finding, one image each, are rightly not called positive: well 2 of 60 (specificity 0.033)." in told[1]
    assert (
        "WARNING: at the threshold that keeps the guarantee well is called on 100 % of the held-out patients with it and on 97 %" in told[2]
    )
    assert len(told) == 4


def test_the_warning_stands_on_the_first_page_and_on_the_card(make_contents: Any) -> None:
    usual = make_contents().package
    useless = _with_price(package(), (50,), (1,))
    kept = {**usual, "task": useless["task"], "operating_point": {**usual["operating_point"], **useless["operating_point"]}}
    contents = answered.completed(make_contents(splits=("test",), package=kept))
    for text in (page(contents)[0].partition('id="data"')[0], card.text(kept, None)):
        assert (
            "WARNING: at the threshold that keeps the guarantee ill is called on 99 % of the held-out patients of ill and on 98 %" in text
        )


def _with_price(given: dict[str, Any], groups: tuple[int, ...], right: tuple[int, ...]) -> dict[str, Any]:
    promise = {**given["operating_point"]["guarantee"], "other_groups": groups, "other_right": right}
    return {**given, "operating_point": {**given["operating_point"], "guarantee": promise}}


def test_findings_by_name() -> None:
    mixed = package(groups=(80, 20), wrong=(0, None), kind="multi")
    kept, lacking = guarantees.said(mixed)
    assert "of the images with the finding are found" in kept
    assert "missed: well 0 of 80. It holds" in kept
    assert "and there are: ill 20. The threshold there is the ordinary rule's" in lacking
    assert guarantees.void(mixed)
    assert not guarantees.void(package(groups=(20,), wrong=(None,)))
