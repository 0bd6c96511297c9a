"""The page's layout and what its controls do. Gradio is known here and in `serve` only."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from medtl.app import elsewhere, markup, words
from medtl.app.desk import Answer, Desk
from medtl.app.elsewhere import Given
from medtl.app.pictures import picture
from medtl.app.private import taken
from medtl.app.uploads import NAMES
from medtl.errors import MedtlError
from medtl.findings import BETWEEN
from medtl.model.format import PackageFile
from medtl.model.prevalence import metrics_of

LARGEST_UPLOAD = 256 << 20
"""Bytes; the largest radiographs and most volumes are well below."""
WAITING = 16
"""Requests in the queue; further ones are told to come again."""

_CHOOSE = "Image: DICOM, NIfTI, PNG, JPEG, TIFF"
_FIRST = "The answer appears here as soon as an image is chosen."
_AGAIN = "Another model answers from here on. Choose the image again: the last one is already deleted."
_RARER = "How frequent it is where you are, in % (empty: as where the model was calibrated)"
_OPACITY = "(share) => { document.documentElement.style.setProperty('--medtl-heat', share); }"
_LAYER = "(name) => { document.querySelectorAll('img.heat').forEach((layer) => { layer.hidden = layer.dataset.class !== name; }); }"


def build(models: Sequence[Path | str], desk: Desk | None = None) -> gr.Blocks:
    """The page for these packages or run folders.

    Raises MedtlError where one is neither. Launch it by :func:`medtl.app.serve.opened`, which keeps it on this machine and private.
    """
    desk = desk or Desk(models)
    with gr.Blocks(title="medtl", analytics_enabled=False, delete_cache=(60, 300)) as page:
        gr.HTML(f'<header class="medtl-head"><h1>medtl</h1><p>{words.RESEARCH_ONLY}</p></header>')
        with gr.Row(equal_height=False):
            with gr.Column(scale=6, min_width=280):
                label = gr.Dropdown(desk.labels, value=desk.labels[0], label="Model", filterable=False, interactive=True)
                upload = _in_place(gr.File(label=_CHOOSE, height=150, elem_id="medtl-upload"))
                number = gr.Number(label="Image in the file", precision=0, minimum=1, visible=False)
                shown = gr.HTML(elem_id="medtl-shown")
                layer = gr.Dropdown([], label="Saliency: where the image speaks for", visible=False, filterable=False, interactive=True)
                opacity = gr.Slider(0, 1, value=0.6, step=0.05, label="Saliency", visible=False, buttons=[])
            with gr.Column(scale=7, min_width=280):
                said = gr.HTML(markup.waiting(_FIRST), elem_id="medtl-said")
                finding = gr.Dropdown([], label="Finding", visible=False, filterable=False, interactive=True)
                rarer = gr.Number(label=_RARER, visible=False, interactive=True, elem_id="medtl-prevalence")
                kept = gr.State()
                about = gr.HTML(elem_id="medtl-about")
        outputs = [shown, said, about, upload, number, opacity, layer, finding, rarer, kept]
        upload.upload(lambda *given: _respond(desk, *given), [label, upload, number], outputs, api_name="answer", show_progress_on=upload)
        label.change(lambda name: _changed(desk, name), label, outputs, api_visibility="private", show_progress="hidden")
        page.load(lambda name: about_model(desk, name), label, about, api_visibility="private", show_progress="hidden")
        for control in (finding, rarer):
            control.input(_elsewhere, [kept, finding, rarer], said, api_visibility="private", show_progress="hidden")
        opacity.change(None, opacity, None, js=_OPACITY, api_visibility="private")
        layer.change(None, layer, None, js=_LAYER, api_visibility="private")
    return page


def _in_place(upload: gr.File) -> gr.File:
    """The component gives the path of what was uploaded; Gradio's own way leaves an empty temporary file behind for each.

    (A subclass would be the plain way, but Gradio writes a .pyi file beside the source of every subclass.)
    """
    upload.preprocess = lambda payload: None if payload is None else str(payload.path)  # type: ignore[method-assign, union-attr]
    return upload


def about_model(desk: Desk, label: str) -> str:
    """What is known of a model, read from its package at this moment."""
    try:
        return markup.model(desk.package(label), metrics_of(desk.folder(label)))
    except MedtlError as refusal:
        return markup.refusal(str(refusal))
    except Exception as error:
        return markup.refusal(_defect(error))


def _respond(desk: Desk, label: str, upload: str | None, number: float | None) -> list[Any]:
    """The values of all outputs, whatever happens; the upload is gone when this returns."""
    try:
        if upload is None or not Path(upload).is_file():
            raise MedtlError("The upload is not there any more; choose the image again.")
        name = NAMES.of(Path(upload))
        with taken(Path(upload)) as file:
            answer = desk.answer(label, file, int(number) if number else None)
        return _answered(desk, label, name, answer)
    except MedtlError as refusal:
        return _blank(desk, label, markup.refusal(_sentence(str(refusal))))
    except Exception as error:
        return _blank(desk, label, markup.refusal(_defect(error)))


def _answered(desk: Desk, label: str, name: str, answer: Answer) -> list[Any]:
    reading, package = answer.reading, answer.package
    first = _first_map(answer)
    caption = f"{name} · {words.how_read(reading.measurement, reading.number, reading.count)}"
    notes = [] if answer.reason else words.out_of_scope(reading.measurement, package.scope)
    classes = list(answer.maps)
    chosen = gr.Number(
        label=f"Image in the file, 1 to {reading.count:,} (then choose the file again)", value=reading.number, visible=reading.count > 1
    )
    given = Given(package, metrics_of(desk.folder(label)), answer.probabilities, answer.decision, answer.reason, notes)
    movable = list(given.movable)
    wanted = first if first in movable else next(iter(movable), None)
    return [
        picture(reading.picture, answer.maps, first, caption),
        elsewhere.said(given, wanted),
        about_model(desk, label),
        None,
        chosen,
        gr.Slider(label=_saliency_label(package, answer), visible=bool(classes)),
        gr.Dropdown(choices=classes, value=first or None, visible=len(classes) > 1),
        gr.Dropdown(choices=movable, value=wanted, visible=len(movable) > 1),
        gr.Number(value=None, visible=bool(movable)),
        given,
    ]  # fmt: skip


def _elsewhere(given: Given | None, finding: str | None, percent: float | None) -> str:
    """The last answer at another prevalence."""
    return markup.waiting(_FIRST) if given is None else elsewhere.said(given, finding, percent)


def _first_map(answer: Answer) -> str:
    """Of the class that is answered; of several findings, the most probable of those that are there."""
    called = [name for name in answer.decision.split(BETWEEN) if name in answer.maps]
    return max(called, key=lambda name: answer.probabilities[name], default=next(iter(answer.maps), ""))


def _saliency_label(package: PackageFile, answer: Answer) -> str:
    if len(answer.maps) == 1:
        return f"Saliency: where the image speaks for {next(iter(answer.maps))}"
    return "Opacity of the saliency"


def _changed(desk: Desk, label: str) -> list[Any]:
    return _blank(desk, label, markup.waiting(_AGAIN))


def _blank(desk: Desk, label: str, said: str) -> list[Any]:
    return ["", said, about_model(desk, label), None, gr.Number(value=None, visible=False), gr.Slider(visible=False),
            gr.Dropdown(choices=[], value=None, visible=False), gr.Dropdown(choices=[], value=None, visible=False),
            gr.Number(value=None, visible=False), None]  # fmt: skip


def _sentence(reason: str) -> str:
    """A reason as `medtl.errors.ImageError` words it (`is empty`, `the decoder crashed on it`) as a sentence of its own."""
    verbs = ("is", "holds", "has", "was", "does", "claims", "ends", "cannot")
    text = f"The file {reason}" if reason.split(" ", 1)[0] in verbs else reason[:1].upper() + reason[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _defect(error: Exception) -> str:
    """Where it happened; never the error's own text, which may quote data."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"medtl has a defect ({type(error).__name__} in {Path(last.filename).name}, line {last.lineno}); please report it."
