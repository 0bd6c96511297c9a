"""One number on the page moves probability, threshold, PPV and NPV; the decision stays."""

from __future__ import annotations

import html
import re

import pytest

from medtl.app.page.elsewhere import WANTED, Given, said
from medtl.evaluation import metrics_file
from medtl.model import format as package_format


@pytest.fixture(scope="module")
def given(package, tmp_path_factory) -> Given:
    """A package of two classes, calibrated (by its validation figures) at 25 %, with a sensitivity and a specificity of 0.8."""
    folder = package(tmp_path_factory.mktemp("models") / "lungs")
    metrics = metrics_file.read(folder / "metrics.json")
    return Given(package_format.read(folder), metrics, {"normal": 0.5, "ill": 0.5}, "ill", "", [])


def plain(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))


def test_without_a_number_it_is_as_where_the_model_was_judged(given: Given) -> None:
    """0.8 · 0.25 / (0.8 · 0.25 + 0.2 · 0.75) = 0.571; 0.8 · 0.75 / (0.8 · 0.75 + 0.2 · 0.25) = 0.923."""
    text = plain(said(given))
    assert "Probabilities are for images of which 25.0 % are ill, as those that they were calibrated on." in text
    assert "As on test, where 25.0 % were ill: PPV 0.571 (0.4" in text
    assert "NPV 0.923 (0.8" in text
    assert "The probability of ill, 50.0 %, reaches the threshold of 40.0 %." in text


def test_one_number_moves_all_of_it_and_no_decision(given: Given) -> None:
    """Odds times (0.05 / 0.95) / (0.25 / 0.75) = 0.158: 1 becomes 0.158 (13.6 %), the threshold's 0.667 becomes 0.105 (9.5 %)."""
    text = plain(said(given, percent=5))
    assert text.startswith("Answer of lungs ill The probability of ill, 13.6 %, reaches the threshold of 9.5 %.")
    assert "normal 86.4 %" in text
    assert "images of which 5.0 % are ill; they were calibrated where 25.0 % were. Decisions stay those of the stored threshold" in text
    assert "By sensitivity and specificity on test: PPV 0.174 (" in text
    assert "NPV 0.987 (" in text


@pytest.mark.parametrize("percent", [0, 100, -3, 250])
def test_what_is_no_share_is_said(given: Given, percent: float) -> None:
    text = plain(said(given, percent=percent))
    assert WANTED in text
    assert "The probability of ill, 50.0 %, reaches the threshold of 40.0 %." in text


def test_where_nothing_can_be_moved(given: Given, package, tmp_path) -> None:
    assert not Given(given.package, None, given.probabilities, "ill", "", []).movable
    assert "Probabilities are for" not in said(Given(given.package, None, given.probabilities, "ill", "", []), percent=5)
    three = package_format.read(package(tmp_path / "skin", ("a", "b", "c"), name="skin"))
    several = Given(three, given.metrics, {"a": 0.5, "b": 0.3, "c": 0.2}, "a", "", [])
    assert not several.movable
    assert said(several, percent=5) == said(several)
    unread = Given(given.package, given.metrics, {"normal": float("nan"), "ill": float("nan")}, "no answer", "is empty [EMPTY]", [])
    assert "No answer" in said(unread, percent=5)
