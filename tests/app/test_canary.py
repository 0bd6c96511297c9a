"""A patient's name through every road: found nowhere, also meanwhile, but in the upload itself and in DICOM objects for the sender.

It stands in the DICOM header, in the file's name, in the names inside a zip and in a table of labels. Searched are the page's log, its
temporary folder, the store, the run's folder, the ledger of looks, and every answer but the sender's own. (`test_probes` has the roads of a
single upload with a login, and refusals.)
"""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.uid import generate_uid

NAME = "ZZCANARY"
ROOT = Path(__file__).parents[2]
CHOSEN = {
    "columns": [["image", "file"], ["label", "label"], ["patient_id", "patient_id"]], "classes": [["NORMAL", "normal"], ["ILL", "ill"]],
    "without_absent": False,
}  # fmt: skip
"""What a person confirms of :func:`cases`."""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Everything that a page, a command and their processes may write: temporary files, store, ledger, settings, runs."""
    made = tmp_path_factory.mktemp("everything")
    for name in ("tmp", "cache", "state", "home", "runs", "given"):
        (made / name).mkdir()
    return made


@pytest.fixture(scope="module")
def environment(place) -> dict[str, str]:
    own = {"TMPDIR": place / "tmp", "MEDTL_CACHE": place / "cache", "MEDTL_STATE": place / "state", "HOME": place / "home"}
    own |= {"MEDTL_KEY_FILE": place / "home" / "key", "OMP_NUM_THREADS": "1", "PYTHONPATH": ROOT}
    return {**os.environ, **{name: str(value) for name, value in own.items()}}


@pytest.fixture(scope="module")
def dicom(files, place) -> Path:
    """The radiograph with a study that a DICOM object can belong to; its patient's name and its own are the canary."""
    dataset = pydicom.dcmread(files["dicom"])
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    path = place / "given" / f"{NAME}^Ann.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="module")
def cases(dicom, files, place) -> Path:
    """A zip of labelled images: the canary is in the names, in a column of its own, and in the DICOM headers."""
    path = place / "given" / f"{NAME} cases.zip"
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["file", "label", "patient_id", "remark"])
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(8):
            name = f"{NAME}/{NAME} {k}.{NAME.lower() if k == 7 else 'dcm'}"
            rows.writerow([name, ["NORMAL", "ILL"][k % 2], f"P{k}", f"{NAME} coughs"])
            dataset = pydicom.dcmread(dicom)
            dataset.SOPInstanceUID, dataset.PixelData = generate_uid(), bytes((each + k) % 256 for each in dataset.PixelData)
            written = io.BytesIO()
            dataset.save_as(written, enforce_file_format=True)
            archive.writestr(name, written.getvalue())
        archive.writestr(f"{NAME} labels.csv", table.getvalue())
        archive.writestr(f"{NAME} broken.png", files["cut"].read_bytes())
    return path


@pytest.fixture(scope="module")
def page(judged, place, environment) -> Iterator[Any]:
    """`app.py` with all that it may write below `place`."""
    model = shutil.copytree(judged, place / "runs" / "lungs")
    command = [sys.executable, str(ROOT / "app.py"), str(model), "--no-browser"]
    with (
        (place / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True) as process,
    ):
        assert process.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert address, (place / "log").read_text()
        with httpx.Client(base_url=address[0], timeout=120, trust_env=False) as client:
            client.get("/")
            client.process = process  # type: ignore[attr-defined]
            yield client
        process.kill()


def holding(place: Path) -> list[str]:
    """Files and folders below `place` with the canary in name or content, other than those that the tests hand over."""
    found = []
    for folder, folders, files in os.walk(place):  # which bears with what goes meanwhile
        folders[:] = [name for name in folders if name != "given"]
        found += [Path(folder, name) for name in (*folders, *files) if NAME.lower() in name.lower()]
        for name in files:
            with contextlib.suppress(OSError):
                if NAME.lower().encode() in Path(folder, name).read_bytes().lower():
                    found.append(Path(folder, name))
    return [each.relative_to(place).as_posix() for each in found]


def sent(client: httpx.Client, *paths: Path) -> list[dict[str, object]]:
    said = client.post("/gradio_api/upload", files=[("files", (path.name, path.read_bytes())) for path in paths])
    return [{"path": path, "orig_name": "x", "meta": {"_type": "gradio.FileData"}} for path in said.json()]


def functions(client: httpx.Client) -> dict[str, int]:
    """Event of a part of the page, such as `medtl-cases-form submit`, and what follows it (`… then`) → its number."""
    config = client.get("/config").json()
    parts = {each["id"]: each["props"].get("elem_id") or each["props"].get("value") for each in config["components"]}
    found = {f"{parts.get(target)} {event}": each["id"] for each in config["dependencies"] for target, event in each["targets"]}
    follows = {each["trigger_after"]: each["id"] for each in config["dependencies"] if each.get("trigger_after") is not None}
    return found | {f"{name} then": follows[number] for name, number in found.items() if number in follows}


def steps(client: httpx.Client, number: int, data: list[Any], session: str, event: Any = None) -> Iterator[dict[str, Any]]:
    """What the page says to an event of a session, the outcome last."""
    body = {"data": data, "fn_index": number, "session_hash": session, "event_data": event}
    joined = client.post("/gradio_api/queue/join", json=body)
    assert joined.status_code == 200, joined.text
    with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}") as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            yield message
            if message.get("msg") == "process_completed":
                assert message["success"], message
                return


def asked(client: httpx.Client, number: int, data: list[Any], session: str, event: Any = None) -> dict[str, Any]:
    """The outcome alone."""
    return [*steps(client, number, data, session, event)][-1]


def handed(made: dict[str, Any]) -> bytes:
    """The file that the browser is given to save."""
    (content,) = [each["content"] for each in made["output"]["data"] if isinstance(each, dict) and "content" in each]
    return base64.b64decode(content)


def test_one_image_its_documents_and_its_errors(page, place, dicom, files):
    events = functions(page)
    session = "canaryone"
    said = asked(page, events["medtl-upload upload"], ["lungs", sent(page, dicom), None, False, None], session)
    assert f"{NAME}^Ann.dcm" in json.dumps(said), "the sender sees what the file is called"
    made = asked(page, events["Save DICOM click"], [None], session)
    with zipfile.ZipFile(io.BytesIO(handed(made))) as archive:
        objects = [pydicom.dcmread(io.BytesIO(archive.read(name))) for name in archive.namelist()]
    assert {each.Modality for each in objects} == {"SR", "OT"}
    assert {str(each.PatientName) for each in objects} == {f"{NAME}^Ann"}, "in objects for the sender it belongs"
    made = asked(page, events["Save PDF click"], [None], session)
    assert NAME.encode() not in handed(made)
    for broken in ("cut", "text", "empty"):
        asked(page, events["medtl-upload upload"], ["lungs", sent(page, files[broken]), None, False, None], session)
    assert holding(place) == []


def test_a_batch(page, place, cases, dicom):
    events = functions(page)
    asked(page, events["medtl-upload upload"], ["lungs", sent(page, cases, dicom), None, False, None], "canarybatch")
    seen = set(holding(place))
    for step in steps(page, events["medtl-upload upload then"], [None, None], "canarybatch"):
        assert step is not None
        seen |= {*holding(place)}
    inside = r"tmp/medtl-page-\w+/answering-\w+/(000000\.zip|000001|unpacked/\w+/\d{6}(\.(dcm|csv))?)"
    assert not [each for each in seen if not re.fullmatch(inside, each)]
    assert holding(place) == []


def test_evaluate_here_also_meanwhile(page, place, cases):
    events = functions(page)
    session = "canarycases"
    said = asked(page, events["medtl-cases-upload upload"], ["lungs", sent(page, cases), None, None], session)
    assert f"{NAME} labels.csv" in json.dumps(said)
    asked(page, events["medtl-cases-form submit"], [None], session, CHOSEN)
    told, seen = [], set[str]()
    for step in steps(page, events["medtl-cases-form submit then"], [None], session):
        told.append(step)
        seen |= {*holding(place)}
    inside = r"tmp/medtl-page-\w+/answering-\w+/(000000\.zip|\w+/(\d{6}(\.dcm)?|[0-9a-f]{16}-\d{6}))"
    assert seen, "it was looked at in time"
    assert not [each for each in seen if not re.fullmatch(inside, each)], "in the upload, and what was unpacked of it, under neutral names"
    assert "8 images" in json.dumps(told[-1]), told[-1]
    assert holding(place) == [], "gone with the answer; store, ledger and log never had it"
    with zipfile.ZipFile(io.BytesIO(handed(asked(page, events["Save report (zip) click"], [None], session)))) as archive:
        table = archive.read("predictions.csv").decode()
        assert f"{NAME}/{NAME} 0.dcm" in table, "the sender's own names"
        assert not [name for name in archive.namelist() if b"coughs" in archive.read(name) or f"{NAME}^Ann".encode() in archive.read(name)]
    with httpx.Client(base_url=page.base_url, timeout=60, trust_env=False) as other:
        other.get("/")
        assert "content" not in json.dumps(asked(other, events["Save report (zip) click"], [None], "another"))


def test_the_api_and_gradio_s_client(page, place, dicom, files):
    from gradio_client import Client, handle_file

    for name in ("predict", "case.pdf", "dicom"):
        said = page.post(f"/api/v1/{name}", files={"image": (dicom.name, dicom.read_bytes())})
        assert said.status_code == 200
        assert name == "dicom" or NAME.encode() not in said.content
    broken = page.post("/api/v1/predict", files={"image": (f"{NAME}.png", files["cut"].read_bytes())})
    assert broken.status_code == 422
    assert NAME not in broken.text
    client = Client(str(page.base_url), verbose=False)
    assert NAME not in json.dumps(client.predict(image=handle_file(dicom), api_name="/predict"))
    assert holding(place) == []


def test_the_commands(place, environment, cases, dicom):
    """Their tables name the files, as they must; nothing else does, and no header value is anywhere."""
    model, out = place / "runs" / "lungs", place / "given"
    for options in (
        ["predict", model, cases, dicom, "--out", out / "answers.csv"],
        ["case", model, dicom, "--pdf", out / "case.pdf", "--dicom", out / "objects"],
        ["predict", model, dicom.with_name("absent.dcm"), "--out", out / "none.csv"],
    ):
        command = [sys.executable, "-m", "medtl", *map(str, options)]
        said = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=place / "home", check=False)
        assert "Traceback" not in said.stderr
        assert NAME not in said.stdout.replace(str(out), "") + said.stderr.replace(str(out), "")
    assert f"{NAME}^Ann" not in (out / "answers.csv").read_text().replace(f"{NAME}^Ann.dcm", "")
    assert NAME.encode() not in (out / "case.pdf").read_bytes()
    assert holding(place) == []


def evaluating(place: Path) -> list[int]:
    """Processes of evaluations: their store lies in the page's private folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"MEDTL_CACHE={place / 'tmp'}/medtl-page-".encode() in each.read_bytes():
                found.append(int(each.parent.name))
    return found


def test_after_sigkill(page, place, cases):
    """The page is killed in the middle of an evaluation, another upload waiting; the log has seen all of the above."""
    events, session = functions(page), "canarykilled"
    asked(page, events["medtl-cases-upload upload"], ["lungs", sent(page, cases), None, None], session)
    asked(page, events["medtl-cases-form submit"], [None], session, CHOSEN)
    sent(page, cases)
    told = steps(page, events["medtl-cases-form submit then"], [None], session)
    assert any("Reading images" in json.dumps(step) for step in told)
    assert holding(place), "the uploads themselves hold it"
    assert evaluating(place) or sys.platform != "linux"
    page.process.send_signal(signal.SIGKILL)
    page.process.wait(timeout=30)
    for _ in range(300):
        if not evaluating(place) and not list((place / "tmp").glob("medtl-page-*")):
            break
        time.sleep(0.1)
    assert evaluating(place) == []
    assert holding(place) == []
    assert not list((place / "tmp").glob("medtl-page-*"))
    assert NAME not in (place / "log").read_text()
