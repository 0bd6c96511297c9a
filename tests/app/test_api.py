"""The page's answers for programs: typed, the same as `medtl predict`'s, and nothing of an upload left."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import re
import threading
import zipfile
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from starlette.testclient import TestClient

from medtl.app.api import bounds, routes, schema
from medtl.app.api.counter import Counter
from medtl.app.desk import Desk
from medtl.model.model import Model

NAME = "ZZCANARY"


@pytest.fixture(scope="module")
def models(package, tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    return [package(place / "chest", name="chest"), package(place / "skin", ("a", "b", "c"), name="skin", members=2)]


@pytest.fixture(scope="module")
def opened(served, models):
    with served(*models) as page:
        yield page


@pytest.fixture
def client(opened):
    with httpx.Client(base_url=opened.address, timeout=120) as made:
        yield made


def send(client: httpx.Client, file: Path, address: str = "/api/v1/predict", **asked: object) -> httpx.Response:
    return client.post(address, files={"image": (file.name, file.read_bytes())}, params=asked)


@pytest.mark.parametrize("kind", ["png", "dicom", "picture", "ct"])
@pytest.mark.parametrize("name", ["chest", "skin"])
def test_the_same_answer_as_predict(client, models, files, kind, name, opened):
    said = send(client, files[kind], model=name)
    assert said.status_code == 200, said.text
    answer = schema.Answer.model_validate(said.json(), strict=True)
    row = Model.load(models[0 if name == "chest" else 1]).predict(files[kind]).iloc[0]
    assert answer.decision == row["decision"]
    assert answer.sha256 == hashlib.sha256(files[kind].read_bytes()).hexdigest()
    if row["reason"]:
        assert f"{answer.reason} [{answer.code}]" == row["reason"]
        assert answer.probabilities is None
    else:
        assert answer.probabilities == {each.removeprefix("p_"): row[each] for each in row.index if each.startswith("p_")}
    assert "Research use only" in answer.use
    assert NAME not in said.text
    assert opened.left() == []


def test_eight_at_once_get_their_own_answers(opened, models, tmp_path):
    """Different images, each with its own answer; nobody is turned away."""
    rng = np.random.default_rng(0)
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 256, (40, 60), np.uint8))
    said: dict[int, httpx.Response] = {}

    def ask(i: int) -> None:
        with httpx.Client(base_url=opened.address, timeout=120) as client:
            said[i] = send(client, tmp_path / f"{i}.png")

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = Model.load(models[0]).predict([tmp_path / f"{i}.png" for i in range(8)])
    for i in range(8):
        assert said[i].status_code == 200
        # the table's rows stand in one batch, the page's alone: rounding differs
        assert said[i].json()["probabilities"]["ill"] == pytest.approx(expected["p_ill"].iloc[i], abs=1e-6)
        assert said[i].json()["sha256"] == hashlib.sha256((tmp_path / f"{i}.png").read_bytes()).hexdigest()


def test_a_full_line_is_told_before_anything_is_read(monkeypatch):
    """By the application itself, as it is mounted: the seventeenth in line is turned away with words."""
    import anyio

    counter = Counter(None, Path())  # type: ignore[arg-type]
    counter.inside = bounds.WAITING + 1
    sent = []

    async def ask() -> None:
        async def send(message):
            sent.append(message)

        async def receive():
            raise AssertionError("nothing may be read")

        scope = {"type": "http", "method": "POST", "headers": [(b"content-length", b"5")]}
        await bounds.Bounded(None, counter, 10)(scope, receive, send)  # type: ignore[arg-type]

    anyio.run(ask)
    assert sent[0]["status"] == 503
    assert b'"code": "BUSY"' in sent[1]["body"]
    assert (b"retry-after", b"5") in sent[0]["headers"]


@pytest.mark.parametrize(
    ("kind", "asked", "status", "code"),
    [
        ("text", {}, 422, "UNREADABLE"),
        ("empty", {}, 422, "UNREADABLE"),
        ("cut", {}, 422, "UNREADABLE"),
        ("png", {"model": "nobody"}, 404, "NO_SUCH_MODEL"),
        ("png", {"number": 0}, 422, "BAD_REQUEST"),
        ("png", {"number": NAME}, 422, "BAD_REQUEST"),
        ("frames", {"number": 9}, 422, "UNREADABLE"),
        ("png", {"number": 7}, 422, "UNREADABLE"),
        ("frames", {}, 422, "SEVERAL_IMAGES"),
        ("npz", {}, 422, "SEVERAL_IMAGES"),
    ],
)
def test_errors_are_typed_and_quote_nothing(client, files, opened, kind, asked, status, code):
    said = send(client, files[kind], **asked)
    assert said.status_code == status
    problem = schema.Wrong.model_validate(said.json(), strict=True).error
    assert problem.code == code
    assert len(problem.message) > 8
    assert NAME not in said.text
    assert opened.left() == []


@pytest.mark.parametrize(("kind", "count"), [("frames", 3), ("nifti", 5)])
def test_of_several_images_one_has_to_be_asked_for(client, models, files, kind, count):
    """As predict, which chooses none either."""
    assert "and none was chosen" in Model.load(models[0]).predict(files[kind]).iloc[0]["reason"]
    for address in ("/api/v1/predict", "/api/v1/case.pdf"):
        message = send(client, files[kind], address).json()["error"]["message"]
        assert message == f"the file holds {count} images; say which one by its number, 1 to {count}"
    answer = send(client, files[kind], number=2).json()
    assert (answer["number"], answer["count"]) == (2, count)


def test_what_is_no_form_or_too_large_is_refused(client, opened):
    assert client.post("/api/v1/predict", content=b"x").json()["error"]["code"] == "BAD_REQUEST"
    bare = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
    bare.putrequest("POST", "/api/v1/predict")
    bare.putheader("content-length", str(1 << 40))
    bare.endheaders()
    said = bare.getresponse()
    assert (said.status, json.loads(said.read())["error"]["code"]) == (413, "TOO_LARGE")
    bare.close()
    assert opened.left() == []


def test_a_body_that_grows_beyond_the_limit_without_saying_so_is_cut_off(client):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(300):
            yield bytes(1 << 20)

    try:
        said = client.post("/api/v1/predict", headers={"content-type": "multipart/form-data; boundary=x"}, content=endless())
        assert said.status_code == 413
    except (httpx.WriteError, httpx.RemoteProtocolError):
        pass  # the server hung up while we were still sending


def test_models_say_how_good_they_were(client, models):
    found = [schema.Model.model_validate(each, strict=True) for each in client.get("/api/v1/models").json()]
    assert [each.model for each in found] == ["chest", "skin"]
    assert found[0].fingerprint == Model.load(models[0]).fingerprint
    assert found[0].judged_on == "test"
    precision = found[0].per_class["ill"].precision
    assert (precision.value, precision.low, precision.high) == pytest.approx((0.9, 0.8, 0.95))
    assert found[0].per_class["ill"].support == 40
    assert found[0].thresholds == {"ill": 0.4}


def test_what_is_wrong_with_a_model_is_said_too(package, tmp_path, monkeypatch, caplog):
    """A damaged metrics.json in its sentence; a defect as one, without its own text."""
    place = package(tmp_path / "model")
    with TestClient(routes.build(Desk([place]), tmp_path)) as client:
        assert client.get("/models").status_code == 200
        (place / "metrics.json").write_text("{cut")
        said = client.get("/models")
        assert (said.status_code, said.json()["error"]["code"]) == (400, "BAD_REQUEST")
        assert "metrics.json: cannot be read as metrics" in said.json()["error"]["message"]
        monkeypatch.setattr(routes, "model_of", lambda *_: {}[NAME])
        said = client.get("/models")
        assert (said.status_code, said.json()["error"]["code"]) == (500, "DEFECT")
        assert said.json()["error"]["message"].startswith("medtl has a defect (KeyError in test_api.py")
        assert NAME not in said.text + caplog.text


def test_the_schema_names_every_answer(client):
    schema = client.get("/api/v1/openapi.json").json()
    assert set(schema["paths"]) == {"/health", "/models", "/predict", "/case.pdf", "/dicom"}
    asked = schema["paths"]["/predict"]["post"]["responses"]
    assert asked["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Answer"}
    assert {"413", "422", "503"} <= set(asked)
    assert "http" not in client.get("/api/v1/docs").text


def test_saliency_comes_when_asked_for(client, files):
    plain, asked = (send(client, files["dicom"], model="skin", saliency=wanted).json()["saliency"] for wanted in (False, True))
    assert plain is None
    assert [each["name"] for each in asked] == ["a", "b", "c"]
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(asked[0]["png"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape[2] == 4
    assert picture.shape[1] / picture.shape[0] == pytest.approx(1.5, abs=0.03)


def test_documents(client, files, tmp_path, opened):
    said = send(client, files["png"], "/api/v1/case.pdf")
    assert said.headers["content-type"] == "application/pdf"
    assert said.content.startswith(b"%PDF")
    assert send(client, files["png"], "/api/v1/dicom").json()["error"]["code"] == "NOT_DICOM"
    source = dcmread(files["dicom"])
    source.StudyInstanceUID, source.SeriesInstanceUID = generate_uid(), generate_uid()
    source.save_as(tmp_path / "image.dcm")
    made = zipfile.ZipFile(io.BytesIO(send(client, tmp_path / "image.dcm", "/api/v1/dicom").content))
    objects = [dcmread(io.BytesIO(made.read(name))) for name in made.namelist()]
    assert [each.Modality for each in objects] == ["SR", "OT"]
    assert {str(each.PatientName) for each in objects} == {f"{NAME}^Ann"}, "handed back to its sender"
    assert opened.left() == []


def test_the_example_of_the_docs_runs(opened, files, tmp_path, capsys):
    """Every Python block of docs/serving.md, with the address and an image of ours."""
    text = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 2
    for block in blocks:
        code = block.replace("http://127.0.0.1:7860", opened.address).replace("radiograph.dcm", str(files["dicom"]))
        exec(compile(code, "docs/serving.md", "exec"), {})
    assert capsys.readouterr().out.count("ill") >= 2
    assert opened.left() == []
