"""In headless Chromium: a model judged on a person's own cases, the documents of one case, a folder that is dropped."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import generate_uid

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def hospital(labelled_cases, tmp_path_factory) -> Path:
    """A folder of a table, its images, and both as a zip."""
    place = tmp_path_factory.mktemp("hospital")
    rows = labelled_cases.rows(24)
    (place / "study" / "images").mkdir(parents=True)
    for number, row in enumerate(rows):
        (place / "study" / row[0]).write_bytes(labelled_cases.picture(number))
    (place / "study" / "labels.csv").write_bytes(labelled_cases.table(rows))
    (place / "cases.zip").write_bytes(labelled_cases.zipped(rows))
    return place


@pytest.fixture(scope="module")
def opened(served, models, judged):
    """Two models; the figures of the second one's own hospital were measured."""
    with served(models[0], judged) as page:
        yield page


def unfolded(page: Any) -> None:
    page.get_by_role("button", name="Evaluate this model on your cases").click()
    page.wait_for_selector("#medtl-cases-upload", state="visible")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_evaluate_here(tab, keep, opened, hospital, hosts, width, dark):
    page = tab(width=width, dark=dark, model="lungs")
    unfolded(page)
    keep(page, f"cases-first-{width}")
    page.set_input_files("#medtl-cases-upload input[type=file]", str(hospital / "cases.zip"))
    page.wait_for_selector(".medtl-cases-form")
    assert "24 of 24 rows name an image that is there" in page.inner_text(".medtl-cases-form")
    assert page.locator("select[data-column=label]").input_value() == "finding"
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_selector("text=Say what the label means to the model, or leave it out: Sick.")
    box = page.locator("#medtl-cases-said [role=alert]").bounding_box()
    assert 0 <= box["y"] <= page.viewport_size["height"] - box["height"] + 1, "what has to be mended is on the screen"
    keep(page, f"cases-mistake-{width}")
    page.locator('select[data-label="Sick"]').select_option("ill")
    page.locator("select[data-column=patient_id]").select_option("")
    page.wait_for_timeout(500)
    page.locator("select[data-column=patient_id]").select_option("patient")
    page.wait_for_timeout(500)
    page.locator('select[data-label="Sick"]').select_option("ill")
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_selector("#medtl-cases .medtl-progress")
    keep(page, f"cases-running-{width}")
    page.wait_for_selector(".medtl-cases-outcome", timeout=300_000)
    said = page.inner_text(".medtl-cases-outcome")
    assert "24 images of 12 patients" in said
    assert "Held against its own test (60 images, 30 patients)" in said
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    keep(page, f"cases-outcome-{width}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save report (zip)").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert {"report.html", "metrics.json", "predictions.csv", "external.json", "records.csv"} <= set(archive.namelist())
    assert opened.left() == []
    assert hosts() == {"127.0.0.1"}


def test_a_folder_that_is_dropped(tab, hospital, opened):
    """Chromium hands over its files; names of folders are lost, so the table finds its images by their own."""
    page = tab(model="lungs")
    unfolded(page)
    place = page.locator("#medtl-cases-upload")
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    dragged = {"data": {"items": [], "files": [str(hospital / "study")], "dragOperationsMask": 1}, **point}
    browser = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": kind, **dragged})
    page.wait_for_selector(".medtl-cases-form")
    assert "24 of 24 rows name an image that is there" in page.inner_text(".medtl-cases-form")
    page.set_input_files("#medtl-cases-upload input[type=file]", str(hospital / "study" / "labels.csv"))
    page.wait_for_selector("text=only the table 'labels.csv' is there")
    assert opened.left() == [], "the folder before is gone, and so is this"


def test_the_documents_of_one_case(tab, keep, files, tmp_path, opened):
    dataset = pydicom.dcmread(files["dicom"])
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    page = tab()
    page.set_input_files("#medtl-upload input[type=file]", str(tmp_path / "a.dcm"))
    page.wait_for_selector("text=Save DICOM")
    assert opened.left() == []
    keep(page, "documents")
    for kind, begins in (("PDF", b"%PDF"), ("DICOM", b"PK")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=f"Save {kind}", exact=True).click()
        assert Path(saved.value.path()).read_bytes().startswith(begins)
    page.set_input_files("#medtl-upload input[type=file]", str(files["png"]))
    page.wait_for_selector(".medtl-viewer figcaption:has-text('png')")
    page.wait_for_selector("text=Save DICOM", state="hidden")
    assert page.get_by_role("button", name="Save PDF", exact=True).is_visible(), "a picture is of no study; it can be printed"
    page.set_input_files("#medtl-upload input[type=file]", str(files["cut"]))
    page.wait_for_selector("text=Save PDF", state="hidden")
