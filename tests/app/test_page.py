"""The page as a browser meets it: a process of its own, over HTTP, on loopback, with files that are gone afterwards."""

from __future__ import annotations

import html
import json
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest


@pytest.fixture(scope="module")
def models(package, tmp_path_factory) -> list[Path]:
    place = tmp_path_factory.mktemp("models")
    return [package(place / "lungs"), package(place / "skin", ("a", "b", "c"), name="skin")]


@pytest.fixture(scope="module")
def page(served, models) -> Iterator[Any]:
    with served(*models) as opened:
        yield opened


def ask(page: Any, file: Path, model: str = "lungs", number: int | None = None, asks: bool = False) -> tuple[str, str, str]:
    """Picture (HTML), answer and model (text)."""
    with httpx.Client(base_url=f"{page.address}/gradio_api", timeout=60, trust_env=False) as http:
        uploaded = http.post("/upload", files={"files": (file.name, file.read_bytes())}).json()[0]
        stream = sent(http, [model, [{"path": uploaded, "meta": {"_type": "gradio.FileData"}}], number, asks, None])
    assert "event: complete" in stream, stream
    values = [each for each in json.loads(stream.rpartition("data: ")[2]) if isinstance(each, str)]
    parts = {name: next((each for each in values if f'class="{name}' in each), "") for name in ("medtl-viewer", "medtl-answer")}
    about = [each for each in values if 'class="medtl-answer' in each or 'class="medtl-model' in each][-1]
    return parts["medtl-viewer"], plain(parts["medtl-answer"]), plain(about)


def sent(http: httpx.Client, given: list[Any]) -> str:
    """What the page answers to these values, as a stream of events."""
    event = http.post("/call/answer", json={"data": given}).json()["event_id"]
    return http.get(f"/call/answer/{event}").text


def plain(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "several", "npz", "nifti", "dicom", "frames"])
def test_every_kind_of_file_is_answered_and_gone(page, files, kind):
    shown, said, about = ask(page, files[kind])
    assert shown.count("data:image/png;base64,") == 1, "one map of saliency"
    assert f"<figcaption>{files[kind].name}" in shown
    assert "The probability of ill" in said
    assert "threshold 40.0 %" in said
    assert "On test: 80 images of 60 patients" in about
    assert page.left() == []


@pytest.mark.parametrize(("kind", "sentence"), [("empty", "The file is empty."), ("text", "The file is neither DICOM"), ("cut", "")])
def test_a_file_that_is_no_image_gets_one_sentence(page, files, kind, sentence):
    shown, said, _ = ask(page, files[kind])
    assert shown == ""
    assert said.startswith(f"No answer: cannot be read {sentence}")
    assert said.endswith(".")
    assert "Traceback" not in said
    assert page.left() == []


def test_the_header_is_held_against_the_scope(page, files):
    assert "Not checked" not in ask(page, files["dicom"])[1]
    said = ask(page, files["ct"])[1]
    assert said.startswith(
        "Answer of lungs No answer: out of scope Because its header says that it is a CT image, and the model is for DX."
    )
    assert "Not checked, because nobody said it: modality. The model is for DX." in ask(page, files["png"])[1]


def test_what_a_file_does_not_say_is_asked_before_and_the_upload_waits(page, files):
    shown, said, _ = ask(page, files["png"], asks=True)
    assert said.startswith("Before the answer The file does not say all that the model's scope asks for.")
    assert "medtl-viewer" in shown
    assert 'class="heat"' not in shown
    waiting = [path for path in page.folder.rglob("*") if path.is_file()]
    assert [path.name for path in waiting] == ["000000"], "under a neutral name"
    assert waiting[0].stat().st_mode & 0o077 == 0
    shutil.rmtree(waiting[0].parent)


def test_another_image_of_the_file(page, files):
    assert "image 2 of 3 in the file" in plain(ask(page, files["frames"], number=2)[0])
    assert "choose one from 1 to 3" in ask(page, files["frames"], number=4)[1]


def test_several_classes_have_a_map_each(page, files):
    shown, said, _ = ask(page, files["png"], "skin")
    assert shown.count('class="heat"') == 3
    assert len(re.findall(r'<img class="heat"[^>]* hidden>', shown)) == 2
    assert "The most probable of 3 classes" in said


def test_the_figures_are_read_from_the_package_each_time(page, files, models):
    path = models[0] / "metrics.json"
    before = path.read_text()
    try:
        changed = json.loads(before)
        changed["splits"]["test"]["per_class"]["ill"]["precision"] = {"value": 0.123, "low": 0.1, "high": 0.2}
        path.write_text(json.dumps(changed))
        assert "ill 0.123 0.100 to 0.200" in ask(page, files["png"])[2]
        path.write_text("{")
        assert "cannot be read as metrics" in ask(page, files["png"])[2]
    finally:
        path.write_text(before)


@pytest.mark.parametrize("where", ["outside", "traversal"])
def test_a_file_that_was_not_uploaded_is_neither_read_nor_removed(page, files, tmp_path, where):
    target = tmp_path / "probe.png"
    target.write_bytes(files["png"].read_bytes())
    path = str(target) if where == "outside" else f"{next(page.folder.glob('medtl-page-*'))}/x/../../../{target}"
    with httpx.Client(base_url=f"{page.address}/gradio_api", timeout=60, trust_env=False) as http:
        given = ["lungs", [{"path": path, "meta": {"_type": "gradio.FileData"}}], None, False, None]
        said = http.post("/call/answer", json={"data": given})
    assert (said.status_code, said.text) == (403, "a file was named that is not yours, or not there")
    assert target.is_file()


def test_only_this_machine_and_only_by_its_name(page):
    with httpx.Client(trust_env=False) as http:
        assert http.get(page.address).status_code == 200
        assert http.get(page.address, headers={"Host": "evil.example"}).status_code == 400
    if sys.platform == "linux":
        with socket.socket() as other:
            other.bind(("127.0.0.2", int(page.address.rpartition(":")[2])))  # free, for the page has 127.0.0.1 alone


def test_nothing_in_the_page_is_fetched_from_outside(page):
    with httpx.Client(trust_env=False) as http:
        text = http.get(page.address).text
    assert '"title":"medtl"' in text.replace(" ", "")
    assert "medtl-logout" not in text, "nobody logs in here"
    assert re.findall(r"""<(?:script|link|img)[^>]+(?:src|href)=["'](?:https?:)?//[^"']+""", text) == []


def test_the_log_holds_nothing_about_patients(page):
    """Last: what the page said to its terminal during all of the above."""
    assert "ZZCANARY" not in page.log.read_text()
