"""The page's answers for programs: HTTP with a typed schema (`/api/v1/openapi.json`), the same answers as `medtl predict`.

One image a request, as a multipart form; nothing of it is kept. Errors have a stable code and a sentence, which quotes nothing of the file.
"""

from __future__ import annotations

import base64
import math
import re
import shutil
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, File, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

import medtl
from medtl.app import words
from medtl.app.desk import LARGEST_MAP, Desk
from medtl.app.documents import case_of, dicom_objects, pdf_of, zipped
from medtl.app.door.replies import problem
from medtl.app.reading import LARGEST_SHOWN, Unreadable
from medtl.card import RESEARCH_ONLY
from medtl.errors import MedtlError
from medtl.interop.case import Case, thresholds_of
from medtl.interop.dicom_source import NoReference
from medtl.interop.overlay_picture import heat_png
from medtl.model.prevalence import metrics_of
from medtl.predictions import NO_ANSWER

WAITING = 16
"""Requests in line; further ones are told to come again."""
BUSY_SECONDS = 5
LARGEST = 256 << 20
"""Bytes of an upload: it is one image, and held in memory."""
_CODE = re.compile(r"\[([A-Z_]+)\]$")


class Problem(BaseModel):
    """What is wrong. Codes: LOGIN, LOCKED, BUSY, TOO_LARGE, BAD_REQUEST, NO_SUCH_MODEL, NOT_DICOM, UNREADABLE, DEFECT."""

    code: str
    message: str


class Wrong(BaseModel):
    """Every answer that is none."""

    error: Problem


class Figure(BaseModel):
    """An estimate with its 95 % interval; without a value, the reason."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class ClassFigures(BaseModel):
    """How good the model was at one class."""

    precision: Figure
    recall: Figure
    f1: Figure
    prevalence: Figure
    support: int | None = None


class Model(BaseModel):
    """A model that answers here."""

    model: str
    """What `model=` asks for."""
    fingerprint: str
    created: str
    kind: str
    """`single`: one class per image; `multi`: any number of findings."""
    classes: list[str]
    thresholds: dict[str, float]
    """Class → from which probability on it is called; empty: the largest decides."""
    scope: str
    """Whom it is for, in words."""
    synthetic: bool
    judged_on: str | None = None
    """test, external or validation (which flatters); null: on nothing."""
    unit: str | None = None
    """By what intervals count: patient, lesion, image."""
    per_class: dict[str, ClassFigures] = Field(default_factory=dict)
    use: str = RESEARCH_ONLY


class Saliency(BaseModel):
    """Where the model looked, not where disease is."""

    name: str
    png: str
    """RGBA, base64: to be laid over the whole upright image."""


class Answer(BaseModel):
    """What the model says about the image."""

    model: str
    fingerprint: str
    sha256: str
    """Of the file."""
    number: int
    """Which image of the file, from 1 …"""
    count: int
    """… of how many."""
    decision: str
    """A class, findings joined by `|`, or `no answer`."""
    reason: str
    """Why there is no answer; else empty."""
    code: str
    """Its code, such as OUT_OF_SCOPE; else empty."""
    because: str
    probabilities: dict[str, float] | None
    """Calibrated, per class; null without an answer."""
    thresholds: dict[str, float]
    prevalence: dict[str, float]
    """At which the probabilities hold, where that is known."""
    worth: list[str]
    notes: list[str]
    read_as: str
    scope: str
    synthetic: bool
    saliency: list[Saliency] | None = None
    use: str = RESEARCH_ONLY


class Refusal(Exception):
    """An answer that is none: status of HTTP, and :class:`Wrong` as `content`."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None):
        self.status, self.headers, self.content = status, headers, {"error": {"code": code, "message": message}}
        super().__init__(message)


ModelName = Annotated[str | None, Query(description="Which model answers; default the first.")]
Number = Annotated[int | None, Query(ge=1, description="Which image of a file that holds several, from 1.")]
Image = Annotated[UploadFile, File(description="One image: DICOM, NIfTI, PNG, JPEG, TIFF …")]
_WRONG: dict[int | str, dict[str, Any]] = {status: {"model": Wrong} for status in (400, 401, 404, 413, 415, 422, 429, 500, 503)}


class Counter:
    """Answers one image at a time; a line of :data:`WAITING` behind it."""

    def __init__(self, desk: Desk, folder: Path):
        self.desk, self.folder = desk, folder
        self.inside = 0
        self._turn: anyio.Lock | None = None

    async def case(self, image: UploadFile, model: str | None, number: int | None, longest: int = LARGEST_SHOWN) -> tuple[Case, bytes]:
        """The answer for an upload, with a picture of at most `longest` pixels, and the upload's bytes; its file is gone when this returns.
        Raises Refusal."""
        self._turn = self._turn or anyio.Lock()
        data = await image.read()
        ending = ".npz" if (image.filename or "").lower().endswith(".npz") else ""
        await image.close()
        async with self._turn:
            return await anyio.to_thread.run_sync(lambda: self.answer(data, ending, model, number, longest)), data

    def answer(self, data: bytes, ending: str, model: str | None, number: int | None, longest: int) -> Case:
        """Raises Refusal."""
        label = model or self.desk.labels[0]
        place = Path(tempfile.mkdtemp(dir=self.folder, prefix="answering-"))
        try:
            file = place / f"upload{ending}"
            file.write_bytes(data)
            return self.of_file(label, file, number, longest)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def of_file(self, label: str, file: Path, number: int | None, longest: int) -> Case:
        """Raises Refusal."""
        if label not in self.desk.folders:
            raise Refusal(404, "NO_SUCH_MODEL", f"no such model is open here; there are: {', '.join(self.desk.labels)}")
        try:
            return case_of(self.desk.answer(label, file, number, longest=longest), metrics_of(self.desk.folder(label)))
        except Unreadable as reason:
            raise Refusal(422, "UNREADABLE", f"no image can be read from it: {reason}") from None
        except MedtlError as reason:
            raise Refusal(400, "BAD_REQUEST", str(reason)) from None
        except Exception as error:
            raise defect(error) from None


def defect(error: Exception) -> Refusal:
    """Where it happened; never the error's own text, which may quote data."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
    return Refusal(500, "DEFECT", f"medtl has a defect ({where}); please report it")


def build(desk: Desk, folder: Path, answers: bool = True) -> Callable[..., Any]:
    """The API as an ASGI application. `folder`: the private one; `answers`: False where people read first, and nothing may answer."""
    counter = Counter(desk, folder)
    api = FastAPI(
        title="medtl", version="1", description=f"{RESEARCH_ONLY} Answers of the models that are open here, as `medtl predict` gives them.",
        docs_url=None, redoc_url=None,  # both would fetch scripts from elsewhere
    )  # fmt: skip
    _say_errors(api)

    @api.get("/health")
    async def health() -> dict[str, str]:
        """A sign of life; needs no login."""
        return {"status": "ok", "medtl": medtl.__version__}

    @api.get("/models", responses={401: _WRONG[401]})
    def models() -> list[Model]:
        """What answers here, and how good it was."""
        return [_model(desk, label) for label in desk.labels]

    if answers:
        _add_answers(api, counter)
    return Bounded(api, counter, LARGEST)


def _add_answers(api: FastAPI, counter: Counter) -> None:
    desk = counter.desk

    @api.post("/predict", responses=_WRONG)
    async def predict(
        image: Image, model: ModelName = None, number: Number = None,
        saliency: Annotated[bool, Query(description="With the saliency of each class.")] = False,
    ) -> Answer:  # fmt: skip
        """Answer for one image."""
        case, _ = await counter.case(image, model, number, LARGEST_MAP)  # no picture is sent back
        return answer_of(case, model or desk.labels[0], saliency)

    @api.post("/case.pdf", responses={**_WRONG, 200: {"content": {"application/pdf": {}}}}, response_class=Response)
    async def case_pdf(image: Image, model: ModelName = None, number: Number = None) -> Response:
        """The answer as one printed page."""
        case, _ = await counter.case(image, model, number)
        return Response(await _made(lambda: pdf_of(case)), media_type="application/pdf")

    @api.post("/dicom", responses={**_WRONG, 200: {"content": {"application/zip": {}}}}, response_class=Response)
    async def dicom(image: Image, model: ModelName = None, number: Number = None) -> Response:
        """The answer as DICOM objects of the image's study: a zip of a Structured Report and Secondary Captures."""
        case, data = await counter.case(image, model, number)
        return Response(await _made(lambda: zipped(dicom_objects(case, data))), media_type="application/zip")


async def _made(write: Callable[[], bytes]) -> bytes:
    try:
        return await anyio.to_thread.run_sync(write)
    except NoReference as reason:
        raise Refusal(415, "NOT_DICOM", str(reason)) from None
    except Exception as error:
        raise defect(error) from None


class Bounded:
    """Refuses what is too large, and whoever comes when the line is full, before a byte is read."""

    def __init__(self, app: Callable[..., Any], counter: Counter, largest: int):
        self.app, self.counter, self.largest = app, counter, largest

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.largest + (1 << 16):
            await problem(413, "TOO_LARGE", self._too_large())(scope, receive, send)
        elif self.counter.inside > WAITING:
            said = f"{WAITING} requests are waiting already; try again in a moment"
            await problem(503, "BUSY", said, ("retry-after", str(BUSY_SECONDS)))(scope, receive, send)
        else:
            self.counter.inside += 1
            try:
                await self.app(scope, self._counted(receive), send)
            finally:
                self.counter.inside -= 1

    def _counted(self, receive: Any) -> Any:
        taken = 0

        async def counted() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.largest + (1 << 16):
                raise HTTPException(413, self._too_large())
            return message

        return counted

    def _too_large(self) -> str:
        return f"the file is too large; allowed are {self.largest >> 20} MiB"


def _say_errors(api: FastAPI) -> None:
    """All errors as :class:`Wrong`; nothing that was sent is repeated."""

    @api.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse(refusal.content, refusal.status, dict(refusal.headers or {}))

    @api.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        code = {413: "TOO_LARGE", 404: "NOT_FOUND"}.get(error.status_code, "BAD_REQUEST")
        said = {413: str(error.detail), 404: "there is no such address"}.get(error.status_code, "the request cannot be read")
        return JSONResponse({"error": {"code": code, "message": said}}, error.status_code)

    @api.exception_handler(RequestValidationError)
    async def mistaken(_: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in error.errors())
        return JSONResponse({"error": {"code": "BAD_REQUEST", "message": said}}, 422)


def answer_of(case: Case, label: str, saliency: bool = False) -> Answer:
    """The case as the API says it."""
    answered = case.decision != NO_ANSWER
    code = _CODE.search(case.reason)
    return Answer(
        model=label, fingerprint=case.package.fingerprint, sha256=case.sha256, number=case.number, count=case.count,
        decision=case.decision, reason=_CODE.sub("", case.reason).strip(), code=code[1] if code else "", because=case.because,
        probabilities={name: float(p) for name, p in case.probabilities.items() if math.isfinite(p)} if answered else None,
        thresholds=case.thresholds, prevalence=dict(case.prevalence), worth=list(case.worth), notes=list(case.notes), read_as=case.read_as,
        scope=case.scope, synthetic=case.package.synthetic,
        saliency=_saliency(case) if saliency else None,
    )  # fmt: skip


def _saliency(case: Case) -> list[Saliency]:
    return [Saliency(name=name, png=base64.b64encode(heat_png(each)).decode()) for name, each in case.maps.items()]


def _model(desk: Desk, label: str) -> Model:
    package, metrics = desk.package(label), metrics_of(desk.folder(label)) or {}
    splits = metrics.get("splits", {})
    split = next((each for each in ("test", "external", "validation") if each in splits), None)
    per_class = splits[split].get("per_class", {}) if split else {}
    return Model(
        model=label, fingerprint=package.fingerprint, created=package.created, kind=package.task.kind, classes=list(package.task.names),
        thresholds=thresholds_of(package),
        scope=words.scope(package.scope), synthetic=package.synthetic, judged_on=split, unit=metrics.get("unit"),
        per_class={name: _figures(each) for name, each in per_class.items()},
    )  # fmt: skip


def _figures(stored: Mapping[str, Any]) -> ClassFigures:
    figures = {key: Figure.model_validate({k: v for k, v in (stored.get(key) or {}).items() if k in Figure.model_fields})
               for key in ("precision", "recall", "f1", "prevalence")}  # fmt: skip
    return ClassFigures(**figures, support=stored.get("support"))
