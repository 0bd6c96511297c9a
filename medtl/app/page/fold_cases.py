"""The fold of "Evaluate this model on your cases": its parts on the page, and which of them an event changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from medtl.app.desk import Desk
from medtl.app.page import cases_markup as markup
from medtl.app.page import page_cases
from medtl.app.page.page_one import Changes
from medtl.app.page.upload import in_place

_CHOOSE = "Table (.csv) and images"


def fold(desk: Desk, label: gr.Dropdown) -> None:
    """Adds the fold to the page that is being laid out, and wires it. `label`: where the model is chosen."""
    _wire(_laid_out(), desk, label)


def _laid_out() -> dict[str, Any]:
    parts: dict[str, Any] = {}
    with gr.Accordion("Evaluate this model on your cases", open=False, elem_id="medtl-cases"):
        gr.HTML(markup.first())
        parts["upload"] = in_place(gr.File(label=_CHOOSE, file_count="multiple", height=96, elem_id="medtl-cases-upload"))
        with gr.Row(equal_height=True):
            parts["progress"] = gr.HTML(elem_id="medtl-cases-progress")
            parts["stop"] = gr.Button("Stop", size="sm", scale=0, min_width=110, visible=False)
            parts["save"] = gr.Button("Save report (zip)", size="sm", scale=0, min_width=160, visible=False)
        parts["form"] = gr.HTML(elem_id="medtl-cases-form", js_on_load=markup.ON_LOAD)
        parts["said"] = gr.HTML(elem_id="medtl-cases-said")  # below the button, where one looks who pressed it
    parts["cases"] = gr.State(None, time_to_live=page_cases.WAITS, delete_callback=page_cases.discard)
    parts["job"] = gr.State(None, delete_callback=page_cases.discard)
    parts["outcome"] = gr.State(None, time_to_live=page_cases.KEPT)
    parts["file"] = gr.JSON(visible=False)
    return parts


def _wire(parts: dict[str, Any], desk: Desk, label: gr.Dropdown) -> None:
    def into(changes: Changes) -> dict[Any, Any]:
        return {parts[name]: value for name, value in changes.items()}

    # the upload is an output of its own event alone (see `medtl.app.page.building`)
    outputs = [part for name, part in parts.items() if name not in ("upload", "file")]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def received(chosen: str, uploads: list[str], before: Any, job: Any) -> dict[Any, Any]:
        page_cases.discard(job)
        return into(page_cases.received(desk, chosen, uploads, before))

    def chose(cases: Any, event: gr.EventData) -> dict[Any, Any]:
        return into(page_cases.chose(desk, cases, event))

    def begun(cases: Any, event: gr.EventData) -> dict[Any, Any]:
        return into(page_cases.begun(desk, cases, event))

    def run(job: Any) -> Any:
        for changes in page_cases.run(desk, job):
            yield into(changes)

    on: Callable[..., Any] = parts["upload"].upload
    on(
        received, [label, parts["upload"], parts["cases"], parts["job"]], [*outputs, parts["upload"]], api_visibility="private",
        show_progress="minimal", show_progress_on=parts["upload"],
    )  # fmt: skip
    label.change(lambda chosen, cases: into(page_cases.changed(desk, chosen, cases)), [label, parts["cases"]], outputs, **quiet)
    parts["form"].input(chose, parts["cases"], outputs, **quiet)
    parts["form"].submit(begun, parts["cases"], outputs, **quiet).then(
        run, parts["job"], outputs, concurrency_id="cases", concurrency_limit=1, **quiet
    )
    parts["stop"].click(lambda cases, job: into(page_cases.stopped(cases, job)), [parts["cases"], parts["job"]], outputs, **quiet)
    parts["save"].click(page_cases.saved, parts["outcome"], parts["file"], **quiet).then(
        None, parts["file"], None, js="(given) => window.medtlSave(given)", **quiet
    )
