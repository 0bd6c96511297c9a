"""The person reads first: every image is shown without the model's answer, a reading is given and stored, then the answer is asked for and
shown, and the reading is kept or changed. A setting of who serves the page, so that no reader skips it (docs/reader_study.md).

The model is not even asked before the first reading is stored: nothing that travels to the browser can tell its answer. Every function
gives what changes, as in `page_one`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from medtl.app.desk import Desk
from medtl.app.door.belongings import NAME
from medtl.app.page import markup, page_many, page_one
from medtl.app.page.held import Held, discard
from medtl.app.page.page_one import Changes
from medtl.app.page.readings import code_of, csv, opinion, rated
from medtl.app.page.saving import file_of
from medtl.app.page.sitting import Sitting, sitting
from medtl.app.page.study_folder import StudyFolder
from medtl.contracts import NONE, Task
from medtl.errors import MedtlError

SCRIPT = Path(__file__).with_name("reading_first.js")
STYLE = Path(__file__).with_name("reading_first.css")
LONGEST = 2 * 3600
"""Seconds after the last step for which the files of a sitting wait."""
_FIRST = "Choose images. You read each of them first; the model's answer is shown afterwards."
_SEVERAL = " For each that you think of, say how probable it is, 0 to 100; empty counts as 0."
_NOTHING: Changes = {"clock": None}
_SECONDS = "(...given) => [...given.slice(0, -1), window.medtlSeconds()]"
_FORM = ("reader", "begin", "called_one", "called_any", "show", "keep")


class ReadingFirst:
    """How the page is served. `study`: where readings are stored on the server; `logins`: readers are known by their logins."""

    def __init__(self, study: StudyFolder | None = None, logins: bool = False):
        self.study, self.logins = study, logins
        self._most = 0

    def form(self, desk: Desk) -> Callable[[], dict[str, Any]]:
        """Makes the parts in which a reading is given."""
        self._most = max(len(rated(desk.package(label).task)) for label in desk.labels)
        return lambda: _parts(self._most)

    def wire(self, parts: dict[str, Any], everything: list[Any], desk: Desk, by_part: Callable[[Changes], dict[Any, Any]]) -> None:
        """What happens when they are used."""
        parts["held"].time_to_live = LONGEST
        parts["said"].value, parts["go"].value = markup.waiting(_FIRST), "Go on"
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        said = [parts[name] for name in ("sitting", "held", "called_one", "called_any", *self._ratings, "clock")]

        def begin(now: Sitting | None, held: Held | None, code: str, table: list[dict[str, str]], request: gr.Request) -> dict[Any, Any]:
            return by_part(self.begin(desk, now, held, self._name(request) or code, table))

        given = [parts[name] for name in ("sitting", "held", "reader", "read")]
        gr.on([parts["begin"].click, parts["reader"].submit], begin, given, everything, **quiet)
        parts["show"].click(lambda *all: by_part(self.show(desk, *all)), said, everything, js=_SECONDS, **quiet)
        parts["keep"].click(lambda *all: by_part(self.keep(desk, *all)), said, everything, js=_SECONDS, **quiet)
        parts["readings"].click(lambda table: by_part(saved(table)), parts["read"], parts["save"], **quiet).then(
            None, parts["save"], None, js="(given) => window.medtlSave(given)", **quiet
        )

    def looked_at(self, desk: Desk, label: str, held: Held, asks: bool, number: int | None) -> Changes:
        """An upload: the cases to be read, or what has to be asked before; no image is shown yet."""
        asked = (
            page_many.looked_at(desk, label, held, asks, self.begun)
            if held.several
            else page_one.looked_at(desk, label, held, asks, number, self.begun)
        )
        return {**self.ended(), **asked, "shown": "", "facts": "", "many": gr.Column(visible=False), "batch": None, "job": None}

    def begun(self, desk: Desk, label: str, held: Held, given: dict[str, str], number: int | None) -> Changes:
        """The cases are there; the reader begins when ready."""
        now = sitting(label, held, given, number)
        count = len(now.cases)
        order = f"{count:,} cases, in random order. " if count > 1 else ""
        text = f"{order}You read each image first, and again with the model's answer. The time that each step takes is recorded."
        return {
            **page_one.blank(""), **self.ended(), "about": page_one.about_model(desk, label), "sitting": now, "held": held,
            "head": _head(now, "begin", "Before you begin", text), "reader": gr.Textbox(visible=not self.logins),
            "begin": gr.Button(visible=True),
        }  # fmt: skip

    def begin(self, desk: Desk, now: Sitting | None, held: Held | None, reader: str, table: list[dict[str, str]]) -> Changes:
        """The first case. `table`: what was read before in the same tab, for the file that the reader saves."""
        if now is None or now.place >= 0:
            return _NOTHING
        try:
            now.reader, now.table = code_of(reader) if not self.logins else reader, table
            return {**self._next(desk, now, held), "read": table}
        except MedtlError as error:
            return {"head": _head(now, "begin", "Before you begin", "", str(error))}

    def show(self, desk: Desk, now: Sitting | None, held: Held | None, *given: Any) -> Changes:
        """Store the reading, then ask the model."""
        if now is None or now.reading is None or now.first is not None:
            return _NOTHING
        try:
            now.read_first(desk, *self._said(desk, now, given), self.study)
        except Exception as error:
            if now.first is None:
                return {"head": _head(now, "first", _title(now), "", page_one.sentence(error))}
            answer = {"said": markup.refusal(page_one.sentence(error))}
        else:
            assert now.answer is not None
            map_of = page_one.first_map(now.answer)
            measurement, facts = now.reading.measurement, dict(now.given)
            answer = {
                **page_one.said(desk, now.label, now.answer, measurement, facts, map_of),
                **page_one.seen(now.reading, facts, _title(now), now.answer.maps, map_of),
                "answer": now.answer,
                "first": now.first,
            }
        text = "Keep your reading, or change it. Both stand in the table."
        return {
            **answer, "head": _head(now, "again", "Your reading, with the model's answer", text), "show": gr.Button(visible=False),
            "keep": gr.Button("Finish" if now.last else "Next case", visible=True), "readings": gr.Button(visible=True), "held": held,
        }  # fmt: skip

    def keep(self, desk: Desk, now: Sitting | None, held: Held | None, *given: Any) -> Changes:
        """Store the second reading, and go on."""
        if now is None or now.first is None:
            return _NOTHING
        try:
            if now.answer is not None:
                now.read_again(desk, *self._said(desk, now, given), self.study)
        except Exception as error:
            return {"head": _head(now, "again", "Your reading, with the model's answer", "", page_one.sentence(error))}
        try:
            return self._next(desk, now, held)
        except Exception as error:
            discard(held)
            return {**page_one.blank(markup.refusal(page_one.sentence(error))), **self.ended(), "held": None}

    def ended(self) -> Changes:
        """No reading is asked for."""
        hidden: Changes = {"called_one": gr.Radio(visible=False), "called_any": gr.CheckboxGroup(visible=False)}
        hidden |= {name: gr.Button(visible=False) for name in ("begin", "show", "keep")}
        hidden |= {name: gr.Number(visible=False) for name in self._ratings}
        return {**hidden, "reader": gr.Textbox(visible=False), "head": "", "sitting": None}

    def _next(self, desk: Desk, now: Sitting, held: Held | None) -> Changes:
        if held is None or not held.folder.is_dir():
            raise MedtlError("The images are not there any more; choose them again")
        if not now.next(desk, self.study):
            discard(held)
            return {
                **page_one.blank(markup.waiting(self._done(now))), **self.ended(), "held": None,
                "readings": gr.Button(visible=bool(now.table)),
            }  # fmt: skip
        assert now.reading is not None
        task = desk.package(now.label).task
        return {
            **self.ended(), **page_one.blank(""), **page_one.seen(now.reading, now.given, _title(now), {}, ""),
            **_asked(task, self._ratings),
            "head": _head(now, "first", _title(now), "Your reading, without the model." + (_SEVERAL if len(rated(task)) > 1 else "")),
            "show": gr.Button(visible=True), "sitting": now,
            "held": held,
        }  # fmt: skip

    def _done(self, now: Sitting) -> str:
        kept = "Your readings are stored." if self.study else "Save your readings (CSV) before you leave: they are kept nowhere else."
        parts = ("All done.", _notes(now), kept if now.table else "", "Choose further images whenever you like.")
        return " ".join(part for part in parts if part)

    @property
    def _ratings(self) -> list[str]:
        return [f"rating_{number}" for number in range(self._most)]

    def _said(self, desk: Desk, now: Sitting, given: Sequence[Any]) -> tuple[Any, float | None]:
        """The form's values as an opinion, and the seconds that the browser counted."""
        one, several, *ratings, seconds = given
        task = desk.package(now.label).task
        counted = float(seconds) if isinstance(seconds, int | float) else None
        return opinion(task, several if task.kind == "multi" else one, ratings), counted

    def _name(self, request: gr.Request) -> str:
        """Of the login; empty without one."""
        return str(request.request.scope.get(NAME, "")) if self.logins and request.request is not None else ""


def saved(table: list[dict[str, str]]) -> Changes:
    """This tab's readings as a file for the browser to save."""
    return {"save": file_of("medtl-readings.csv", "text/csv", csv(table).encode()) if table else None}


def _parts(most: int) -> dict[str, Any]:
    with gr.Column(elem_id="medtl-reading"):
        parts: dict[str, Any] = {"head": gr.HTML()}
        parts["reader"] = gr.Textbox(label="Your reader code (as the study gave it to you; no patient's name)", max_lines=1, visible=False)
        parts["begin"] = gr.Button("Begin", variant="primary", visible=False, elem_id="medtl-begin")
        parts["called_one"] = gr.Radio([], label="What you see", visible=False, interactive=True, elem_id="medtl-called")
        parts["called_any"] = gr.CheckboxGroup([], label="What you see", visible=False, interactive=True, elem_id="medtl-findings")
        with gr.Row():
            for number in range(most):
                parts[f"rating_{number}"] = gr.Number(value=None, visible=False, interactive=True, min_width=150)
        parts["show"] = gr.Button("Show the model's answer", variant="primary", visible=False, elem_id="medtl-show")
        parts["keep"] = gr.Button("Next case", variant="primary", visible=False, elem_id="medtl-keep")
        parts["readings"] = gr.Button("Save readings (CSV)", size="sm", visible=False)
    parts["sitting"] = gr.State(None, time_to_live=LONGEST)
    parts["read"] = gr.State([])
    parts["clock"] = gr.Number(visible=False)
    return parts


def _asked(task: Task, ratings: Sequence[str]) -> Changes:
    """An empty form for this task: nothing stands there that could lead."""
    several, names = task.kind == "multi", rated(task)
    asked: Changes = {
        "called_one": gr.Radio(choices=list(task.names), value=None, visible=not several),
        "called_any": gr.CheckboxGroup(choices=[*task.names, ("none of these", NONE)], value=[], visible=several),
    }
    for place, part in enumerate(ratings):
        label = names[place] if place < len(names) else ""
        label = f"How probable is {label}, 0 to 100?" if len(names) == 1 else label
        asked[part] = gr.Number(label=label, value=None, visible=place < len(names))
    return asked


def _head(now: Sitting, step: str, title: str, text: str, alert: str = "") -> str:
    """What is to be done now. `data-step` is what the browser's clock goes by."""
    told = "".join(f"<p>{escape(each)}</p>" for each in (text, _notes(now)) if each)
    wrong = f'<p role="alert">{escape(alert)}{"" if alert.endswith(".") else "."}</p>' if alert else ""
    return (
        f'<section class="medtl-reading" data-step="{escape(f"{now.session} {now.place} {step}")}"><h2>{escape(title)}</h2>{told}{wrong}'
        "</section>"
    )


def _title(now: Sitting) -> str:
    """Never the file's name, which often says what the image shows."""
    return f"Case {now.place + 1:,} of {len(now.cases):,}" if len(now.cases) > 1 else "Your image"


def _notes(now: Sitting) -> str:
    parts = [f"{now.before:,} you had read before" if now.before else "", f"{now.left_out:,} cannot be read" if now.left_out else ""]
    told = " and ".join(part for part in parts if part)
    return f"Left out: {told}." if told else ""
