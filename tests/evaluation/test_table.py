"""The entry as text."""

from __future__ import annotations

import numpy as np
import pytest

from medtl.evaluation.summary import summarize
from medtl.evaluation.table import estimate, lines, unit_lines


def test_what_the_terminal_shows(make_table, make_task):
    truth = np.repeat([0, 1], [8, 12])
    p = np.eye(2)[truth] * 0.9998 + 0.0001
    p[0] = np.nan
    shown = lines(summarize(make_table(truth, p), make_task(2), threshold=0.41), make_task(2), "patient").splitlines()
    assert shown[0] == "20 images, 20 patients; 1 could not be read and count as missed; threshold 0.410 (95 % intervals by patient)"
    tiny = lines(summarize(make_table(truth, p), make_task(2), threshold=1e-9), make_task(2), "patient").splitlines()
    assert "; threshold <0.0001 (" in tiny[0]
    assert shown[2].split() == ["AUROC", "of", "b", "1.000", "[0.777,", "1.000]"]
    assert shown[-3].split() == ["class", "precision", "NPV", "recall", "specificity", "f1", "images"]
    assert shown[-1].split()[0] == "b"
    assert shown[-1].split()[-1] == "12"
    row = shown[-2].split()
    assert (row[7], row[10]) == ("0.875", "1.000")  # the unread one of eight is missed; b's are all called so
    assert len({len(line) for line in shown[-3:]}) == 1


def test_several_classes_and_none(make_table, make_task):
    entry = summarize(make_table([], np.zeros((0, 3))), make_task(3))
    shown = lines(entry, make_task(3))
    assert "AUROC (mean of one against rest)  - (no cases)" in shown
    assert "NPV" not in shown


def test_an_entry_of_an_earlier_version_is_shown_as_far_as_it_goes(make_table, make_task):
    entry = summarize(make_table([0, 1], [[0.9, 0.1], [0.2, 0.8]]), make_task(2))
    for figures in entry["per_class"].values():
        del figures["npv"], figures["specificity"]
    assert lines(entry, make_task(2)).splitlines()[-3].split() == ["class", "precision", "recall", "f1", "images"]


def test_by_unit_says_how_it_was_made(make_table, make_task):
    entry = summarize(make_table([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]), make_task(2))
    shown = unit_lines({"unit": "study", "combine": "max", "mixed": 1, "fitted_on": 12, **entry}, make_task(2)).splitlines()
    assert shown[0] == (
        "By study: the largest of its images' log-odds; calibration and threshold fitted on 12 studies of validation. "
        "1 whose images differ in truth count as positive."
    )
    assert shown[1] == "3 studies (95 % intervals by study)"
    assert shown[-3].split()[-1] == "studies"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1.000"), (0.9996, "0.9996"), (0.99996, ">0.9999"), (0.00004, "<0.0001"), (0.0003, "0.0003"), (0.0, "0.000"), (0.5, "0.500")],
)
def test_nearly_is_not_exactly(value: float, shown: str):
    assert estimate({"value": value, "low": None, "high": None, "reason": "why"}) == f"{shown} (why)"


def test_note_follows():
    found = {"value": 0.5, "low": 0.4, "high": 0.6, "note": "over 2 of 3 classes"}
    assert estimate(found) == "0.500 [0.400, 0.600] over 2 of 3 classes"
