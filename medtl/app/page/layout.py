"""Where everything stands on the page. Makes the parts and gives them names; what they do stands in `building`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from medtl.app.asking import CODES, TITLES
from medtl.app.page import case_files, markup
from medtl.app.page.held import LONGEST, discard
from medtl.app.page.page_one import FIRST, UNSAID
from medtl.app.page.upload import in_place
from medtl.card import RESEARCH_ONLY
from medtl.measurements import AGE

CHOOSE = "Images: DICOM, NIfTI, PNG, JPEG, TIFF …"
_LOG_OUT = '<form method="post" action="logout"><button class="medtl-logout">Log out</button></form>'
PROPOSE = "Let the file tell"
_BATCH_SECONDS = 3600
_CLICKED = """element.addEventListener('click', (event) => {
  const row = event.target.closest('button[data-row]');
  if (row) trigger('select', { index: Number(row.dataset.row) });
});"""

Parts = dict[str, Any]


def laid_out(labels: list[str], examples: list[str], forms: Sequence[Callable[[], Parts]] = (), logins: bool = False) -> Parts:
    """Every part of the page by its name; called inside the page's block.

    examples: what is written on their buttons. forms: each makes further parts, below the answer. logins: whether people log in, who then
    can log out.
    """
    parts: Parts = {}
    gr.HTML(
        f'<header class="medtl-head"><h1>medtl</h1><p>{RESEARCH_ONLY}</p>'
        f'<button type="button" class="medtl-theme" aria-pressed="false">Dark</button>{_LOG_OUT if logins else ""}</header>'
    )
    with gr.Row(elem_id="medtl-in", equal_height=True):
        with gr.Column(scale=2, min_width=220):
            choices = [(each, each) for each in labels]
            parts["label"] = gr.Dropdown(
                [(PROPOSE, ""), *choices] if len(labels) > 1 else choices, value="" if len(labels) > 1 else labels[0], label="Model",
                filterable=False, interactive=True,
            )  # fmt: skip
            parts["asks"] = gr.Checkbox(value=True, label="Ask me what a file does not say", container=False)
        with gr.Column(scale=5, min_width=260):
            parts["upload"] = in_place(gr.File(label=CHOOSE, file_count="multiple", height=96, elem_id="medtl-upload"))
            with gr.Row(visible=bool(examples), elem_id="medtl-examples"):
                for number, each in enumerate(examples):
                    parts[f"example_{number}"] = gr.Button(each, size="sm")
    parts |= _questions()
    parts |= _many()
    with gr.Row(equal_height=False, elem_id="medtl-main"):
        with gr.Column(scale=6, min_width=280, elem_id="medtl-seen"):
            parts["shown"] = gr.HTML(elem_id="medtl-shown")
            parts["facts"] = gr.HTML(elem_id="medtl-facts")
        with gr.Column(scale=7, min_width=280, elem_id="medtl-told"):
            parts["said"] = gr.HTML(markup.waiting(FIRST), elem_id="medtl-said")
            parts["finding"] = gr.Dropdown([], label="Finding", visible=False, filterable=False, interactive=True)
            parts["rarer"] = gr.Number(label="Prevalence", visible=False, interactive=True, elem_id="medtl-prevalence")
            with gr.Row():
                parts["case_pdf"] = gr.Button("Save PDF", size="sm", scale=0, min_width=110, visible=False)
                parts["case_dicom"] = gr.Button("Save DICOM", size="sm", scale=0, min_width=110, visible=False)
            for form in forms:
                parts |= form()
            parts["why"] = gr.HTML(elem_id="medtl-why")
            parts["about"] = gr.HTML(elem_id="medtl-about")
    parts["held"] = gr.State(None, time_to_live=LONGEST, delete_callback=discard)
    parts["job"] = gr.State(None)
    parts["kept"] = gr.State(None)
    parts["documents"] = gr.State(None, time_to_live=case_files.KEPT)
    parts["batch"] = gr.State(None, time_to_live=_BATCH_SECONDS)
    parts["number"] = gr.Number(visible=False, precision=0)
    parts["save"] = gr.JSON(visible=False)
    return parts


def _questions() -> Parts:
    """What is asked before an answer."""
    parts: Parts = {}
    with gr.Group(visible=False, elem_id="medtl-ask") as parts["ask"]:
        parts["ask_model"] = gr.Radio([], label="Which model?", interactive=True)
        with gr.Row():
            for fact in CODES:
                parts[f"ask_{fact}"] = gr.Dropdown(
                    [UNSAID], value="", label=TITLES[fact], filterable=False, interactive=True, min_width=200
                )
            parts["ask_age"] = gr.Number(
                label=f"{TITLES[AGE]} (empty: I do not know)", minimum=0, maximum=130, min_width=200, interactive=True
            )
            parts["ask_number"] = gr.Number(label="Which image of the file", precision=0, minimum=1, min_width=200, interactive=True)
        parts["go"] = gr.Button("Answer", variant="primary", elem_id="medtl-go")
    return parts


def _many() -> Parts:
    """A batch."""
    parts: Parts = {}
    with gr.Column(visible=False, elem_id="medtl-many") as parts["many"]:
        with gr.Row(equal_height=True):
            parts["progress"] = gr.HTML(elem_id="medtl-progress")
            parts["stop"] = gr.Button("Stop", size="sm", scale=0, min_width=110, visible=False)
            parts["csv"] = gr.Button("Save CSV", size="sm", scale=0, min_width=110, visible=False)
            parts["pdf"] = gr.Button("Save PDF", size="sm", scale=0, min_width=110, visible=False)
        parts["rows"] = gr.HTML(elem_id="medtl-rows", js_on_load=_CLICKED)
    return parts
