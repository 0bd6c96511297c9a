"""The page in headless Chromium, as a clinician uses it: with the mouse, with the keyboard alone, and on a narrow screen."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError

pytestmark = pytest.mark.system

KINDS = ["png", "jpeg", "tiff", "several", "npz", "nifti", "picture", "dicom", "frames"]
NO_ANSWER = ["empty", "cut", "text"]


def upload(tab: Any, file: Path) -> str:
    """Choose a file; the answer's text."""
    tab.evaluate("document.querySelector('#medtl-said .medtl-answer').dataset.old = 'yes'")
    tab.set_input_files("#medtl-upload input[type=file]", str(file))
    tab.wait_for_selector("#medtl-said .medtl-answer:not([data-old])")
    return str(tab.inner_text("#medtl-said"))


def choose(tab: Any, label: str, option: str) -> None:
    tab.get_by_label(label).first.click()
    tab.get_by_role("option", name=option, exact=True).click()


def opacity(tab: Any) -> float:
    return float(tab.evaluate("getComputedStyle(document.querySelector('img.heat:not([hidden])')).opacity"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["chest", "skin"])
def test_each_kind_of_file_in_both_tasks(tab, keep, files, opened, model, kind):
    page = tab()
    if model != "chest":
        choose(page, "Model", model)
        page.wait_for_selector("text=Another model answers from here on")
    said = upload(page, files[kind])
    assert f"Answer of {model}" in said
    assert ("threshold 40.0 %" in said) == (model == "chest")
    sides = page.evaluate(
        "[...document.querySelectorAll('.stack img:not([hidden])')].map(i => [i.naturalWidth / i.naturalHeight, i.clientWidth])"
    )
    assert len(sides) == 2
    assert all(ratio == pytest.approx(1.5, abs=0.03) and width > 300 for ratio, width in sides)
    assert page.locator(".medtl-model tbody tr").count() == (2 if model == "chest" else 7)
    assert "Research use only" in page.inner_text("header")
    assert opened.left() == []
    keep(page, f"{model}-{kind}")


@pytest.mark.parametrize("kind", NO_ANSWER)
def test_a_file_that_is_no_image(tab, keep, files, opened, kind):
    page = tab()
    upload(page, files["png"])
    said = upload(page, files[kind])
    assert said.startswith("No answer")
    assert page.locator(".stack").count() == 0  # the picture before is not left beside it
    assert page.locator(".toast-wrap .error").count() == 0
    assert opened.left() == []
    keep(page, f"error-{kind}")


def test_too_large_a_file_is_refused_and_gone(tab, keep, opened, tmp_path):
    large = tmp_path / "large.dcm"
    with large.open("wb") as file:
        file.truncate((256 << 20) + 4096)
    page = tab()
    page.set_input_files("#medtl-upload input[type=file]", str(large))
    page.wait_for_selector("text=/size|large|exceed/i")
    keep(page, "error-large")
    assert opened.left() == []


def test_the_figures_follow_the_package(tab, keep, models):
    path = models[0] / "metrics.json"
    before = path.read_text()
    page = tab()
    assert "0.900" in page.inner_text(".medtl-model tbody")
    keep(page, "figures-before")
    try:
        changed = json.loads(before)
        changed["splits"]["test"]["per_class"]["pneumonia"]["precision"] = {"value": 0.123, "low": 0.1, "high": 0.2}
        path.write_text(json.dumps(changed))
        page.reload()
        page.wait_for_selector("text=0.123")
        assert "0.100 to 0.200" in page.inner_text(".medtl-model tbody")
        keep(page, "figures-after")
    finally:
        path.write_text(before)


def shown_share(tab: Any, name: str) -> float:
    """The probability that a bar says, from 0 to 1."""
    label = tab.locator(f'.bar[aria-label^="{name}:"]').get_attribute("aria-label")
    return float(re.search(r"probability <?([\d.]+) %", label)[1]) / 100


def test_a_prevalence_moves_probability_threshold_and_predictive_values_and_no_decision(tab, keep, files):
    page = tab()
    upload(page, files["png"])
    called, before = page.inner_text("#medtl-said h2"), shown_share(page, "pneumonia")
    assert "As on test, where 25.0 % were pneumonia: PPV 0.571 (" in page.inner_text(
        "#medtl-said"
    )  # 0.8 · 0.25 / (0.8 · 0.25 + 0.2 · 0.75)
    keep(page, "prevalence-before")
    rarer = page.locator("#medtl-prevalence input")
    rarer.fill("5")
    rarer.press("Tab")
    page.wait_for_selector("text=Probabilities are for images of which 5.0 % are pneumonia; they were calibrated where 25.0 % were.")
    odds = before / (1 - before) * (0.05 / 0.95) / (0.25 / 0.75)
    assert shown_share(page, "pneumonia") == pytest.approx(odds / (1 + odds), abs=0.003)
    assert shown_share(page, "normal") == pytest.approx(1 - odds / (1 + odds), abs=0.003)
    moved = 0.4 / 0.6 * (0.05 / 0.95) / (0.25 / 0.75)
    said = page.inner_text("#medtl-said")
    assert f"threshold of {100 * moved / (1 + moved):.1f} %" in said
    assert "PPV 0.174 (" in said  # 0.8 · 0.05 / (0.8 · 0.05 + 0.2 · 0.95)
    assert page.inner_text("#medtl-said h2") == called
    keep(page, "prevalence-5")
    rarer.fill("150")
    page.wait_for_selector("text=Give a share of more than 0 and less than 100 %.")
    rarer.fill("")
    page.wait_for_selector("text=/PPV 0.571/")
    assert shown_share(page, "pneumonia") == pytest.approx(before)


def test_an_image_that_the_gate_refuses_has_no_class_no_bar_no_saliency_and_no_prevalence(tab, keep, files, opened):
    page = tab()
    upload(page, files["png"])
    assert page.locator("#medtl-prevalence").is_visible()
    choose(page, "Model", "narrow")
    page.wait_for_selector("text=Another model answers from here on")
    said = upload(page, files["png"])
    assert "No answer, because it looks unlike the images that the model learned from." in said
    assert "pneumonia" not in said
    assert "%" not in said
    assert page.locator("#medtl-said .bar").count() == 0
    assert page.locator(".stack img:not(.heat)").count() == 1, "the image is shown"
    assert page.locator("img.heat:not([hidden])").count() == 0
    assert not page.locator("#medtl-prevalence").is_visible()
    assert "No answer for" in page.inner_text("#medtl-about")
    assert opened.left() == []
    keep(page, "refused-by-gate")


def test_the_saliency_fades_and_changes_class(tab, keep, files):
    page = tab()
    choose(page, "Model", "skin")
    page.wait_for_selector("text=Another model answers from here on")
    upload(page, files["png"])
    assert opacity(page) == pytest.approx(0.6)
    slider = page.locator("input[type=range]")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("Math.abs(getComputedStyle(document.querySelector('img.heat:not([hidden])')).opacity - 0.4) < 0.01")
    choose(page, "Saliency: where the image speaks for", "vascular")
    page.wait_for_selector("img.heat[data-class=vascular]:not([hidden])")
    assert page.locator("img.heat:not([hidden])").count() == 1
    assert opacity(page) == pytest.approx(0.4)
    keep(page, "saliency-vascular")


def test_with_the_keyboard_alone(tab, keep, files):
    page = tab()
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.tagName"))
        if page.evaluate("!!document.activeElement.closest('#medtl-upload')"):
            break
    else:
        pytest.fail(f"Tab does not reach the upload: {seen}")
    keep(page, "keyboard-focus")
    page.evaluate("document.querySelector('#medtl-said .medtl-answer').dataset.old = 'yes'")
    for attempt in range(3):  # a chooser that opens before Playwright listens is not seen by it
        try:
            with page.expect_file_chooser(timeout=5_000) as chooser:
                page.keyboard.press("Enter")
            break
        except TimeoutError:
            assert attempt < 2, "Enter on the upload opens no file chooser"
    chooser.value.set_files(str(files["png"]))
    page.wait_for_selector("#medtl-said .medtl-answer:not([data-old])")
    assert "Answer of chest" in page.inner_text("#medtl-said")


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_narrow_screen(tab, keep, files, dark):
    page = tab(width=360, dark=dark)
    upload(page, files["dicom"])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    keep(page, f"narrow-{'dark' if dark else 'light'}")


def test_two_tabs_do_not_disturb_each_other(tab, files):
    first, second = tab(), tab()
    upload(first, files["png"])
    upload(second, files["dicom"])
    assert files["png"].name in first.inner_text("figcaption")
    assert files["dicom"].name in second.inner_text("figcaption")


def test_no_request_left_this_machine(tab, files, hosts, requests):
    upload(tab(), files["png"])
    assert len(requests) > 20
    assert hosts() == {"127.0.0.1"}
