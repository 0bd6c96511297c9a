"""The addresses of the API, and how it says that something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, File, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import medtl
from medtl.app.api.bounds import LARGEST, Bounded
from medtl.app.api.counter import Counter, Refusal, defect
from medtl.app.api.schema import Answer, Model, Wrong, answer_of, model_of
from medtl.app.desk import LARGEST_MAP, Desk
from medtl.app.documents import dicom_objects, pdf_of, zipped
from medtl.card import RESEARCH_ONLY
from medtl.errors import MedtlError
from medtl.interop.dicom_source import NoReference

ModelName = Annotated[str | None, Query(description="Which model answers; default the first.")]
Number = Annotated[int | None, Query(ge=1, description="Which image, from 1; needed where the file holds several.")]
Image = Annotated[UploadFile, File(description="One image: DICOM, NIfTI, PNG, JPEG, TIFF …")]
_WRONG: dict[int | str, dict[str, Any]] = {status: {"model": Wrong} for status in (400, 401, 404, 413, 415, 422, 429, 500, 503)}


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

    @api.get("/models", responses={status: _WRONG[status] for status in (400, 401, 500)})
    def models() -> list[Model]:
        """What answers here, and how good it was."""
        return [model_of(desk, label) for label in desk.labels]

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


class _Defects:
    """What nobody foresaw, as :class:`Wrong`. No exception handler: after one for `Exception` the server logs the error's own text."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as error:
            if begun:
                raise
            refusal = defect(error)
            await JSONResponse(refusal.content, refusal.status)(scope, receive, send)


def _say_errors(api: FastAPI) -> None:
    """All errors as :class:`Wrong`; nothing that was sent is repeated."""
    api.add_middleware(_Defects)

    @api.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> JSONResponse:
        return JSONResponse(refusal.content, refusal.status, dict(refusal.headers or {}))

    @api.exception_handler(MedtlError)
    async def mistake(_: Request, error: MedtlError) -> JSONResponse:
        return JSONResponse({"error": {"code": "BAD_REQUEST", "message": str(error)}}, 400)

    @api.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        code = {413: "TOO_LARGE", 404: "NOT_FOUND"}.get(error.status_code, "BAD_REQUEST")
        said = {413: str(error.detail), 404: "there is no such address"}.get(error.status_code, "the request cannot be read")
        return JSONResponse({"error": {"code": code, "message": said}}, error.status_code)

    @api.exception_handler(RequestValidationError)
    async def mistaken(_: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{'.'.join(str(part) for part in each['loc'][1:])}: {each['msg']}" for each in error.errors())
        return JSONResponse({"error": {"code": "BAD_REQUEST", "message": said}}, 422)
