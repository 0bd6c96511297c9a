"""The page's HTML holds what it must, and nothing that someone else wrote becomes markup."""

from __future__ import annotations

import re

import numpy as np
import pytest

from medtl.app.page import markup
from medtl.app.page.viewer import viewer
from medtl.imaging.image import Window
from medtl.imaging.viewing import View
from medtl.model import format as package_format
from medtl.model.operating_point import Guarantee

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def made(package, tmp_path):
    return lambda *arguments, **options: package_format.read(package(tmp_path / "model", *arguments, **options))


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_the_operating_point_is_drawn_at_its_place(made):
    html = markup.answer(made(), {"normal": 0.25, "ill": 0.75}, "ill", "", [])
    assert 'style="left:40.000%"' in html
    assert html.count('class="threshold') == 1
    ill = html[html.index('aria-label="ill:') :]
    assert 'style="width:75.000%"' in ill
    assert "left:40.000%" in ill
    assert 'aria-label="ill: probability 75.0 %, threshold 40.0 %"' in html


def test_several_classes_are_sorted_and_have_no_threshold(made):
    html = markup.answer(made(("a", "b", "c")), {"a": 0.2, "b": 0.5, "c": 0.3}, "b", "", [])
    assert re.findall(r'aria-label="(\w): probability', html) == ["b", "c", "a"]
    assert "threshold" not in html.lower()


def test_no_answer_shows_no_probability(made):
    html = markup.answer(made(), {"normal": float("nan"), "ill": float("nan")}, "no answer", "the file is odd [X]", [])
    assert "%" not in html
    assert "Because the file is odd." in html


@pytest.mark.parametrize(
    ("code", "headline"),
    [("OUT_OF_SCOPE", "No answer: out of scope"), ("UNLIKE_TRAINING", "No answer: unlike what the model knows"),
     ("QUALITY", "No answer: image quality"), ("UNSURE", "No answer: not sure"), ("DECODE_FAILED", "No answer: cannot be read")],
)  # fmt: skip
def test_the_headline_is_the_reason_that_came_first(made, code, headline):
    assert f"<h2>{headline}</h2>" in markup.answer(made(), {}, "no answer", f"of something [{code}]", [])


@pytest.mark.parametrize(
    ("splits", "shown", "hidden"),
    [
        (["validation"], ["On validation", "test images were not opened yet"], []),
        (["validation", "test"], ["On test: 80 images of 60 patients"], ["validation:"]),
        (["validation", "test", "external"], ["On test", "On external"], ["On validation"]),
        ([], ["Not judged on any images yet"], ["AUROC"]),
    ],
)
def test_which_figures_are_shown(made, figures, splits, shown, hidden):
    html = text(markup.model(made(), figures(splits)))
    assert all(each in html for each in shown)
    assert not any(each in html for each in hidden)


def test_what_validation_chose_and_who_got_no_answer(made, figures):
    given, package = figures(["validation"]), made()
    assert "also chose epoch, calibration and threshold, so these figures flatter" in text(markup.model(package, given))
    promise = Guarantee(measure="recall", at_least=0.9, confidence=0.95, needed=29, groups=(40,), wrong=(0,))
    kept = package.model_copy(update={"operating_point": package.operating_point.model_copy(update={"guarantee": promise})})
    assert "also chose epoch and calibration, so these figures flatter" in text(markup.model(kept, given))
    assert "as if its answer had been given" not in text(markup.model(package, given))
    given["splits"]["validation"]["answering"] = {"coverage": {"value": 0.8}, "all_comers": {}}
    assert "as if its answer had been given; 80.0 % of the images got one." in text(markup.model(package, given))


def test_every_class_has_its_figures_with_intervals(made, figures):
    html = text(markup.model(made(), figures(["test"])))
    assert "ill 0.900 0.800 to 0.950 0.800 0.700 to 0.870 0.800 0.700 to 0.870 40 25.0 %" in html
    assert "AUROC 0.930 (0.900 to 0.950)" in html


def test_a_figure_that_is_missing_says_why(made, figures):
    given = figures(["test"])
    given["splits"]["test"]["per_class"]["ill"]["precision"] = {"value": None, "reason": "never predicted"}
    assert "n/a never predicted" in text(markup.model(made(), given))


def test_synthetic_is_called_synthetic(made, figures):
    package = made()
    assert "SYNTHETIC" not in markup.model(package, figures(["test"]))
    made_up = package.model_copy(update={"synthetic": True})
    assert "SYNTHETIC" in markup.model(made_up, figures(["test"]))
    assert "20 images (synthetic)" in text(markup.model(made_up, figures(["test"])))
    assert "Answer of lungs (synthetic)" in text(markup.answer(made_up, {"normal": 0.5, "ill": 0.5}, "ill", "", []))


def test_an_ensemble_says_that_its_parts_were_judged(made, figures):
    package = made(members=2)
    assert "one of the 2 networks that did not learn from it" in markup.model(package, figures(["test"]))
    assert "never checked on images that none of its networks has seen: unverified." in markup.model(package, figures(["test"]))
    checked = package.model_copy(update={"ensemble": package_format.Ensemble(verified=True, groups=12)})
    assert "unverified" not in markup.model(checked, figures(["test"]))


def test_nothing_becomes_markup(made, figures):
    package = made().model_copy(update={"name": EVIL})
    given = figures(["test"])
    given["unit"] = EVIL
    given["splits"]["test"]["per_class"][EVIL] = given["splits"]["test"]["per_class"]["ill"]
    seen = View(np.zeros((4, 4), np.uint8), np.arange(256, dtype=np.uint8), 0, 1, EVIL, False, ((EVIL, Window(1, 2)),))
    pages = [
        markup.model(package, given),
        markup.answer(package, {"normal": 0.5, "ill": 0.5}, EVIL, "", [EVIL]),
        markup.answer(package, {}, "no answer", EVIL, []),
        markup.refusal(EVIL),
        markup.asking(EVIL, True, 2),
        markup.why(package, "no answer", [(EVIL, EVIL)]),
        markup.models({EVIL: package}),
        viewer(seen, {EVIL: np.zeros((4, 4), np.float32)}, EVIL, EVIL),
    ]
    assert all("<img src=x" not in page and "&lt;img src=x" in page for page in pages)
