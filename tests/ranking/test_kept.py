"""What a ranking leaves: table, JSON, page, text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from medtl.ranking import text
from medtl.ranking.kept import Ranking, Scored, not_told_apart, ordered, write
from medtl.ranking.page import write_page

Make = Callable[..., Ranking]


def test_table_and_json(ranking: Make, tmp_path: Path) -> None:
    write(ranking(), tmp_path)
    table = pd.read_csv(tmp_path / "rank.csv")
    assert table["probe"].tolist() == [0.9, 0.85, 0.6]
    assert table["leep_reason"].tolist() == ["not there"] * 3
    assert table["tuned"].tolist() == [0.9, 0.8, 0.7]
    content = json.loads((tmp_path / "rank.json").read_text(), parse_constant=pytest.fail)
    assert content["format"] == 1
    assert content["advice"]["strategy"] == "linear-probe"
    assert content["agreements"]["probe"]["tau"] == 1.0
    assert content["candidates"][0]["figures"]["leep"] == {"value": None, "reason": "not there"}


def test_order_is_by_the_probe_then_by_logme(scored: Callable[..., Scored]) -> None:
    lower = scored("low", None, logme={"value": -0.9})
    found = ordered([lower, scored("none", None), scored("best", 0.9), scored("middle", 0.8)])
    assert [each.name for each in found] == ["best", "middle", "none", "low"]
    assert scored("x", 0.5, distance={"value": 0.3}).value("distance") == -0.3


def test_who_may_be_as_good_as_the_best(ranking: Make, scored: Callable[..., Scored]) -> None:
    behind = {"close": (0.01, -0.02), "worse": (0.1, 0.05), "random": (0.01, -0.02)}
    parts = [scored(name, 0.8, name != "random", behind={"value": value, "low": low, "high": 0.2}) for name, (value, low) in behind.items()]
    made = ranking(candidates=[scored("best", 0.9), *parts])
    assert not_told_apart(made) == ["close"]
    assert text.told_apart_said(made).endswith("(the paired interval holds 0): close")
    assert text.told_apart_said(ranking()) == ""


@pytest.mark.parametrize("tuned", [True, False])
def test_the_page_escapes_and_repeats(ranking: Make, tmp_path: Path, tuned: bool) -> None:
    made = ranking() if tuned else ranking(tuned="", agreements={})
    page = write_page(made, tmp_path).read_text()
    assert "<b>ImageNet" not in page
    assert "&lt;b&gt;ImageNet" in page
    assert page == write_page(made, tmp_path).read_text()
    assert ("Was the score right?" in page) == tuned
    assert "vgg16: not on this machine" in page
    assert "medtl train b.yaml" in page
    assert "no LEEP, for not there" in page


def test_the_text_says_all(ranking: Make) -> None:
    said = text.lines(ranking())
    assert "100 images of 50 groups" in said
    assert "advice: linear-probe from resnet50" in said
    assert "not compared: vgg16: not on this machine" in said
    assert "+1.00 (p = 0.333, 3 candidates; so few cannot show more)" in said
    assert "best after tuning: resnet50, <b>ImageNet</b>, 0.900 [0.800, 1.000]\n" in said
    assert "check it (about 0.5 minutes, images already read):\n  medtl train a.yaml" in said
    assert "tuned" not in text.lines(ranking(tuned=""))
    other = text.agreements_said(ranking(best="resnet50, lungs"))[-1]
    assert other.endswith("; resnet50, lungs, first by its probe, reached 0.800 [0.700, 0.900]")
