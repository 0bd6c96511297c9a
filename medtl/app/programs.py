"""The page's own endpoint for `gradio_client`, beside the HTTP API: one image in, the typed answer out, through the page's queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from medtl.app.api.counter import Counter, Refusal
from medtl.app.api.schema import answer_of
from medtl.app.desk import LARGEST_MAP, Desk
from medtl.app.door.private import taken
from medtl.errors import MedtlError


def for_programs(page: gr.Blocks, desk: Desk, folder: Path) -> gr.Blocks:
    """Adds `/predict` to the page; see docs/serving.md. `folder`: the private one, of which alone files are taken."""
    counter = Counter(desk, folder)

    def predict(image: FileData, model: str = "", number: int = 0) -> dict[str, Any]:
        """Answer for one image. model: one of those that are open (empty: the first). number: which image of the file, from 1 (0: its
        only one). Gives what POST /api/v1/predict gives, or its `error`."""
        label = model or desk.labels[0]
        try:
            with taken(_own(image, folder)) as file:
                return answer_of(counter.of_file(label, file, number or None, LARGEST_MAP), label).model_dump()
        except Refusal as refusal:
            return refusal.content
        except MedtlError as refusal:
            return {"error": {"code": "BAD_REQUEST", "message": str(refusal)}}

    with page:
        gr.api(predict, api_name="predict")
    return page


def _own(image: Any, folder: Path) -> Path:
    path = Path(image["path"] if isinstance(image, dict) else image.path)
    if folder.resolve() not in path.resolve().parents or not path.is_file():
        raise MedtlError("the upload is not there any more; send it again")
    return path
