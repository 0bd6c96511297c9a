"""The page in headless Chromium, as a clinician uses it: with the mouse, with the keyboard alone, and on a narrow screen."""

from __future__ import annotations

import json
import re
import zipfile
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


def ready(tab: Any) -> Any:
    """The viewer, its pixels drawn."""
    tab.wait_for_selector(".medtl-viewer[data-ready]")
    return tab.locator(".medtl-viewer")


def drawn(tab: Any) -> list[int]:
    """The red values of the canvas, row by row."""
    return list(
        tab.evaluate(
            "(() => { const c = document.querySelector('.medtl-viewer canvas');"
            "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data].filter((_, k) => k % 4 === 0) })()"
        )
    )


def opacity(tab: Any) -> float:
    return float(tab.evaluate("getComputedStyle(document.querySelector('img.heat:not([hidden])')).opacity"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["chest", "skin"])
def test_each_kind_of_file_in_both_tasks(tab, keep, files, opened, model, kind):
    page = tab(model=model)
    said = upload(page, files[kind])
    assert f"Answer of {model}" in said
    assert ("threshold 40.0 %" in said) == (model == "chest")
    ready(page)
    width, height = page.evaluate(
        "(() => { const c = document.querySelector('.medtl-viewer canvas'); return [c.clientWidth, c.clientHeight] })()"
    )
    assert width / height == pytest.approx(1.5, abs=0.03)
    assert width > 300
    assert page.locator("img.heat:not([hidden])").count() == 1
    assert "Where the model looked, not where disease is." in page.inner_text(".medtl-viewer")
    assert page.locator(".medtl-model tbody tr").count() == (2 if model == "chest" else 7)
    assert "Research use only" in page.inner_text("header")
    assert opened.left() == []
    keep(page, f"{model}-{kind}")


@pytest.mark.parametrize("kind", NO_ANSWER)
def test_a_file_that_is_no_image(tab, keep, files, opened, kind):
    page = tab()
    upload(page, files["png"])
    said = upload(page, files[kind])
    assert any(line.startswith("No answer") for line in said.splitlines()[:2]), said  # the clock of the progress may still stand above it
    assert page.locator(".stage").count() == 0  # the picture before is not left beside it
    assert page.locator(".toast-wrap .error").count() == 0
    assert opened.left() == []
    keep(page, f"error-{kind}")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_the_answer_is_seen_without_scrolling(tab, keep, files, width, dark):
    page = tab(width=width, dark=dark)
    upload(page, files["dicom"])
    ready(page)
    page.wait_for_timeout(500)
    box = page.locator("#medtl-said h2").bounding_box()
    assert 0 <= box["y"] < box["y"] + box["height"] <= page.viewport_size["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    keep(page, f"first-{width}-{'dark' if dark else 'light'}")


def test_window_inversion_and_zoom_by_hand_and_by_key(tab, files, keep):
    """The marker's corner is 0 and its L 255; MONOCHROME1 is inverted once, so that both look as in the PNG."""
    page = tab()
    upload(page, files["dicom"])
    ready(page)
    shown = drawn(page)
    assert (min(shown), max(shown)) == (0, 255)
    page.get_by_role("button", name="Invert").click()
    assert drawn(page) == [255 - each for each in shown]
    page.locator(".stage").focus()
    page.keyboard.press("i")
    assert drawn(page) == shown
    page.get_by_label("Width").fill("20")
    narrow = drawn(page)
    assert narrow != shown
    assert page.locator(".preset").input_value() == "own"
    page.locator(".stage").focus()
    page.keyboard.press("w")
    assert drawn(page) == shown
    for _ in range(3):
        page.keyboard.press("+")
    assert page.inner_text(".zoom") == "338 %"
    page.keyboard.press("ArrowRight")
    keep(page, "zoomed")
    page.keyboard.press("0")
    assert page.inner_text(".zoom") == "100 %"
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 90)
    page.mouse.up()
    assert drawn(page) != shown, "dragging changes the window"


def test_what_the_file_does_not_say_is_asked_and_counts(tab, keep, files, opened):
    page = tab(model="", asks=True)
    page.set_input_files("#medtl-upload input[type=file]", str(files["png"]))
    page.wait_for_selector("#medtl-ask")
    ready(page)
    before = drawn(page)
    assert page.locator("img.heat").count() == 0
    page.get_by_label("chest", exact=True).check()
    keep(page, "asked")
    page.click("#medtl-go")
    page.wait_for_selector("#medtl-said .medtl-answer:not(.empty)")
    assert "Not checked, because nobody said it: modality." in page.inner_text("#medtl-said")
    ready(page)
    assert drawn(page) == before, "the same image, in the same elements"
    page.get_by_role("button", name="Invert").click()
    assert drawn(page) == [255 - each for each in before], "inverted once"
    choose(page, "Model", "chest")
    page.wait_for_selector("text=Another model answers from here on")
    page.set_input_files("#medtl-upload input[type=file]", str(files["png"]))
    page.wait_for_selector("#medtl-ask")
    choose(page, "What kind of image is it?", "A CT image")
    page.click("#medtl-go")
    page.wait_for_selector("text=No answer: out of scope")
    assert "you said that it is a CT image" in page.inner_text("#medtl-said")
    assert "CT (a CT image) (by you)" in page.inner_text("#medtl-facts")
    assert opened.left() == []


@pytest.fixture(scope="session")
def archive(files, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("zips") / "study.zip"
    with zipfile.ZipFile(path, "w") as whole:
        for k in range(20):
            whole.write(files["png" if k % 2 else "dicom"], f"series/{k:02d}")
        whole.writestr("<b onclick=alert(1)>.txt", "no image")
    return path


@pytest.mark.parametrize("dark", [False, True])
def test_a_zip_becomes_a_table_that_is_sorted_filtered_opened_and_saved(tab, keep, archive, opened, dark):
    page = tab(dark=dark)
    page.set_input_files("#medtl-upload input[type=file]", str(archive))
    page.wait_for_selector(".medtl-table")
    assert "21 of 21 images" in page.inner_text(".medtl-progress")
    rows = page.locator(".medtl-table tbody tr:visible")
    assert rows.count() == 21
    page.locator(".medtl-table thead button").nth(3).click()
    shares = [
        float(each) for each in page.eval_on_selector_all(".medtl-table tbody td:nth-child(4)", "all => all.map(e => e.dataset.value)")
    ]
    assert shares == sorted(shares)
    page.locator(".medtl-table .filter").select_option("no answer")
    assert rows.count() == 1
    assert "<b onclick" in rows.inner_text()
    page.locator(".medtl-table .filter").select_option("")
    page.get_by_role("button", name="study.zip/series/03").press("Enter")
    ready(page)
    assert "series/03" in page.inner_text("figcaption")
    assert page.locator("img.heat:not([hidden])").count() == 1
    keep(page, f"table-{'dark' if dark else 'light'}")
    for kind, begins in (("CSV", b"image,frame"), ("PDF", b"%PDF")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save {kind}").click()
        assert Path(saved.value.path()).read_bytes().startswith(begins)
    assert opened.left() == []


def test_dark_and_light_are_a_choice(tab):
    page = tab(dark=True)
    assert page.evaluate("document.body.classList.contains('dark')")
    page.get_by_role("button", name="Dark").click()
    assert not page.evaluate("document.body.classList.contains('dark')")
    page.reload()
    page.wait_for_selector(".medtl-model dl")
    page.wait_for_function("!document.body.classList.contains('dark')")


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
        page = tab()
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
    assert "No answer: unlike what the model knows" in said
    assert "Because it looks unlike the images that the model learned from." in said
    assert "pneumonia" not in said
    assert "%" not in said
    assert page.locator("#medtl-said .bar").count() == 0
    ready(page)
    assert page.locator(".medtl-viewer canvas").count() == 1, "the image is shown"
    assert page.locator("img.heat").count() == 0
    assert page.get_by_role("button", name="Saliency").count() == 0
    assert not page.locator("#medtl-prevalence").is_visible()
    assert "No answer for" in page.inner_text("#medtl-about")
    assert opened.left() == []
    keep(page, "refused-by-gate")


def test_the_saliency_fades_changes_class_and_goes(tab, keep, files):
    page = tab(model="skin")
    upload(page, files["png"])
    ready(page)
    assert opacity(page) == pytest.approx(0.6)
    page.locator(".opacity").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    assert opacity(page) == pytest.approx(0.4)
    page.locator(".which").select_option("vascular")
    page.wait_for_selector("img.heat[data-class=vascular]:not([hidden])")
    assert page.locator("img.heat:not([hidden])").count() == 1
    keep(page, "saliency-vascular")
    page.locator(".stage").focus()
    page.keyboard.press("s")
    assert page.locator("img.heat:not([hidden])").count() == 0


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
