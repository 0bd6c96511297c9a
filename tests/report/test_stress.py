"""The section under stress, out of tables made to order."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from medtl.document.picture import Picture
from medtl.report.page import page
from medtl.report.stress import section

STRESS = {
    "test": {
        "probes": {
            "started": "Before: net as it came (net.safetensors).",
            "columns": [
                {
                    "column": "sex", "values": ["F", "M"], "images": 60, "groups": 30, "reason": "",
                    "after": {"value": 0.79, "low": 0.71, "high": 0.86}, "before": {"value": 0.74, "low": 0.65, "high": 0.82},
                    "difference": {"value": 0.05, "low": 0.01, "high": 0.09},
                },
                {"column": "site", "values": ["a", "b"], "images": 0, "groups": 0, "reason": "fewer than 10 groups on a side"},
            ],
        },
        "saliency": {
            "images": 50, "groups": 30,
            "deletion": {"map": 0.4, "random": 0.6, "value": -0.2, "low": -0.3, "high": -0.1},
            "insertion": {"map": 0.7, "random": 0.6, "value": 0.1, "low": 0.05, "high": 0.15},
        },
    }
}  # fmt: skip


@pytest.fixture
def stressed_table(make_table):
    """Answers under two views: the border alone tells as much as the whole, the blur little."""
    plain = make_table(n=120)
    blur = plain.assign(view="blur", p_ill=plain["p_ill"].to_numpy()[::-1], p_well=plain["p_well"].to_numpy()[::-1])
    return pd.concat([plain, plain.assign(view="border-only"), blur], ignore_index=True)


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_without_views_there_is_no_section(make_contents):
    contents = make_contents()
    assert section(contents) is None
    assert "Under stress" not in page(contents)[0]


def test_sentences_table_probes_and_pictures(make_contents, stressed_table):
    pictures = {name: Picture(b"jpeg", "a/1.png") for name in ("plain", "border-only", "blur")}
    contents = make_contents(predictions=stressed_table, splits=("test",), stress=STRESS, stress_pictures=pictures)
    found = section(contents)
    said = text(found.html)
    assert found.grave == 1
    assert "part of what it knows lies at the border" in said
    assert said.index("lies at the border") < said.index("A blur (sigma 1 % of the side) costs")
    assert "sex 60 30 0.790 (0.710 to 0.860) 0.740 (0.650 to 0.820) +0.050 (+0.010 to +0.090)" in said
    assert "not asked: fewer than 10 groups on a side" in said
    assert "the maps mark places that its answers hang on" in said
    assert re.findall(r"<figcaption>(.*?)</figcaption>", found.html) == ["plain", "border-only", "blur"]
    views, probes = found.tables
    assert views.raw["view"].tolist() == ["plain", "border-only", "blur"]
    assert views.raw["auroc"].tolist()[0] == pytest.approx(contents.metrics["splits"]["test"]["auroc"]["value"])
    assert views.raw["difference"].tolist()[1] == 0.0
    assert probes.raw["after_low"].tolist()[0] == 0.71
    html, tables = page(contents)
    assert "Under stress: a shortcut shows" in text(html)
    assert {"test_stress", "test_probes"} <= {table.name for table in tables}


def test_a_name_is_escaped(make_contents, stressed_table):
    evil = {"test": {"probes": {"started": "<script>", "columns": [{**STRESS["test"]["probes"]["columns"][1], "column": "<b>"}]}}}
    html = section(make_contents(predictions=stressed_table, splits=("test",), stress=evil)).html
    assert "<script>" not in html
    assert "<b>" not in html


def test_all_else_on_the_page_is_as_without_the_views(make_contents, stressed_table):
    plain = make_contents(predictions=stressed_table[stressed_table["view"] == "plain"], splits=("test",))
    both = make_contents(predictions=stressed_table, splits=("test",))
    assert plain.metrics == both.metrics
    shown = re.sub(r'<section class="fresh" id="stress">.*?</section>|<li>Under stress: .*?</li>', "", page(both)[0], flags=re.DOTALL)
    assert shown.split() == page(plain)[0].split()
