"""Where requests are answered, one image at a time."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

import anyio
from fastapi import UploadFile

from medtl.app.desk import Desk
from medtl.app.documents import case_of
from medtl.app.reading import LARGEST_SHOWN, Unreadable, read
from medtl.errors import MedtlError
from medtl.interop.case import Case
from medtl.model.prevalence import metrics_of


class Refusal(Exception):
    """An answer that is none: status of HTTP, and :class:`Wrong` as `content`."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None):
        self.status, self.headers, self.content = status, headers, {"error": {"code": code, "message": message}}
        super().__init__(message)


class Counter:
    """Answers one image at a time; the line behind it is bounded (:mod:`medtl.app.api.bounds`)."""

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
        """Of several images none is chosen for the person who asks, as `medtl predict` chooses none: `number` has to say which. Raises
        Refusal."""
        if label not in self.desk.folders:
            raise Refusal(404, "NO_SUCH_MODEL", f"no such model is open here; there are: {', '.join(self.desk.labels)}")
        try:
            reading = read(file, number, self.desk.model(label).image, longest)
            if number is None and reading.count > 1:
                several = f"the file holds {reading.count:,} images; say which one by its number, 1 to {reading.count:,}"
                raise Refusal(422, "SEVERAL_IMAGES", several)
            return case_of(self.desk.answer_read(label, reading), metrics_of(self.desk.folder(label)))
        except Refusal:
            raise
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
