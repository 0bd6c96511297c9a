"""The page: its parts (`layout`) and what happens when a person uses them (`page_one`, `page_many`). Only these and `serve` know Gradio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from medtl.app import asking
from medtl.app.desk import Desk
from medtl.app.page import case_files, fold_cases, page_many, page_one, reading_first, viewer
from medtl.app.page.examples import Example, examples_for
from medtl.app.page.feedback import Feedback
from medtl.app.page.held import Held, discard, take
from medtl.app.page.layout import laid_out
from medtl.app.page.page_many import Job
from medtl.app.page.page_one import Changes
from medtl.app.page.reading_first import ReadingFirst
from medtl.errors import MedtlError

LARGEST_UPLOAD = 2 << 30
"""Bytes of one file: a zip of a thousand radiographs. What is no archive is bounded by the reader."""
WAITING = 16
"""Requests in the queue; further ones are told to come again."""
STYLES = (Path(__file__).with_name("page.css"), viewer.STYLE, reading_first.STYLE)
_SCRIPTS = (Path(__file__).with_name("page.js"), viewer.SCRIPT, reading_first.SCRIPT)
_ASKED = ["ask_model", *(f"ask_{fact}" for fact in asking.CODES), "ask_age", "ask_number"]


def build(
    models: Sequence[Path | str], desk: Desk | None = None, examples: Path | None = None, first: ReadingFirst | None = None,
    feedback: Feedback | None = None, logins: bool = False,
) -> gr.Blocks:  # fmt: skip
    """The page for these packages or run folders.

    examples: a folder of images to try the models with; without one, made images are offered where a model learned from such.
    first: the person reads every image before the model's answer is shown. feedback: the person may say whether an answer was right.
    logins: whether people log in.
    Raises MedtlError where a model is none. Launch it by :func:`medtl.app.serve.opened`, which keeps it on this machine and private.
    """
    desk = desk or Desk(models)
    desk.copies = feedback is not None
    offered = examples_for(desk, examples)
    forms = [*([first.form(desk)] if first else []), *([feedback.form] if feedback else [])]
    with gr.Blocks(title="medtl", analytics_enabled=False, delete_cache=(60, 300)) as page:
        parts = laid_out(desk.labels, [each.title for each in offered], forms, logins)
        _wire(page, parts, desk, offered, first, feedback)
        if first is None:  # its tables would tell a reader the model's answers
            fold_cases.fold(desk, parts["label"])
    return page


def _wire(
    page: gr.Blocks, parts: dict[str, Any], desk: Desk, offered: Sequence[Example], first: ReadingFirst | None, feedback: Feedback | None
) -> None:
    def by_part(changes: Changes) -> dict[Any, Any]:
        more = feedback.offered(changes["answer"], changes.get("first")) if feedback and "answer" in changes else {}
        return _by_part(parts, {**changes, **more})

    def into(function: Callable[..., Changes]) -> Callable[..., dict[Any, Any]]:
        return lambda *given: by_part(function(*given))

    # What an event leaves as it is, Gradio makes anew for the session, and a new upload would read as Gradio's own do (see `layout`)
    everything = [part for name, part in parts.items() if name != "upload"]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

    def then_many(event: Any) -> Any:
        return event.then(
            _each(parts, lambda held, job: _run(desk, held, job)), [parts["held"], parts["job"]], everything,
            concurrency_id="many", concurrency_limit=1, **quiet,
        )  # fmt: skip

    received = parts["upload"].upload(
        into(lambda *given: received_by(desk, *given, first=first)),
        [parts[name] for name in ("label", "upload", "number", "asks", "held")],
        [*everything, parts["upload"]],
        api_name="answer", show_progress="minimal", show_progress_on=parts["upload"],
    )  # fmt: skip
    told = parts["go"].click(
        into(lambda *given: _told(desk, *given, first=first)), [parts[name] for name in ("label", "held", *_ASKED)], everything, **quiet
    )
    tried = [
        parts[f"example_{number}"].click(
            into(lambda label, held, which=each: _tried(desk, which, label, held, first)),
            [parts["label"], parts["held"]], everything, **quiet,
        )
        for number, each in enumerate(offered)
    ]  # fmt: skip
    running = [then_many(event) for event in (received, told, *tried)]
    parts["stop"].click(
        into(lambda batch, held: _stopped(batch, held)), [parts["batch"], parts["held"]], everything, cancels=running, **quiet
    )
    parts["label"].change(
        into(lambda label, held: _changed(desk, label, held, first)), [parts["label"], parts["held"]], everything, **quiet
    )
    page.load(into(lambda label: {"about": page_one.about_model(desk, label)}), parts["label"], parts["about"], **quiet)
    for name in ("finding", "rarer"):
        parts[name].input(into(page_one.moved), [parts[each] for each in ("kept", "finding", "rarer")], parts["said"], **quiet)

    def opened_row(batch: Any, event: gr.EventData) -> dict[Any, Any]:
        return _by_part(parts, _row(desk, batch, event))

    parts["rows"].select(opened_row, parts["batch"], everything, **quiet)
    files = {"csv": (page_many.csv, "batch"), "pdf": (page_many.pdf, "batch")}
    files |= {"case_pdf": (case_files.pdf, "documents"), "case_dicom": (case_files.dicom, "documents")}
    for name, (made, source) in files.items():
        parts[name].click(into(made), parts[source], parts["save"], **quiet).then(
            None, parts["save"], None, js="(given) => window.medtlSave(given)", **quiet
        )
    if first is not None:
        first.wire(parts, everything, desk, by_part)
    if feedback is not None:
        feedback.wire(parts)
    page.load(None, None, None, js=f"() => {{ {''.join(path.read_text(encoding='utf-8') for path in _SCRIPTS)} }}", **quiet)


def _by_part(parts: dict[str, Any], changes: Changes) -> dict[Any, Any]:
    """What the page has no part for (feedback, where none is wanted) is left out."""
    return {parts[name]: value for name, value in changes.items() if name in parts}


def _each(parts: dict[str, Any], function: Callable[..., Iterator[Changes]]) -> Callable[..., Iterator[dict[Any, Any]]]:
    def generator(*given: Any) -> Iterator[dict[Any, Any]]:
        for changes in function(*given):
            yield _by_part(parts, changes)

    return generator


def received_by(
    desk: Desk, label: str, uploads: list[str], number: float | None, asks: bool, before: Held | None, first: ReadingFirst | None = None
) -> Changes:
    """What changes when files arrive; whatever happens, they are gone when they are answered."""
    discard(before)
    paths = [Path(each) for each in uploads]
    held = None
    try:
        if not paths or not all(path.is_file() for path in paths):
            raise MedtlError("The upload is not there any more; choose the image again.")
        held = take(paths)
        changes = _looked_at(desk, label, held, asks, int(number) if number else None, first)
    except Exception as error:
        discard(held)
        return {**page_one.refused(desk, label, error), **(first.ended() if first else {}), "upload": None, "job": None}
    if changes.get("held") is None:
        held.discard()
    return {**changes, "upload": None}


def _looked_at(desk: Desk, label: str, held: Held, asks: bool, number: int | None, first: ReadingFirst | None) -> Changes:
    if first is not None:
        return first.looked_at(desk, label, held, asks, number)
    if held.several:
        return page_many.looked_at(desk, label, held, asks)
    return {**page_one.looked_at(desk, label, held, asks, number), "many": gr.Column(visible=False), "batch": None, "job": None}


def _told(desk: Desk, label: str, held: Held | None, model: str | None, *answers: Any, first: ReadingFirst | None = None) -> Changes:
    """The person has answered what was asked."""
    try:
        if held is None or not held.folder.is_dir():
            raise MedtlError("The upload is not there any more; choose the image again.")
        chosen = model or label
        if not chosen:
            raise MedtlError("Choose a model first; the image has to be chosen again.")
        *said, number = answers
        given = asking.cleaned(dict(zip((*asking.CODES, "age"), said, strict=True)))
        if first is not None:
            return first.begun(desk, chosen, held, given, int(number) if number else None)
        if held.several:
            return {**page_many.begun(desk, chosen), "job": Job(chosen, given)}
        changes = page_one.answered(desk, chosen, held, given, int(number) if number else None)
    except Exception as error:
        changes = page_one.refused(desk, label, error)
    discard(held)
    return changes


def _run(desk: Desk, held: Held | None, job: Job | None) -> Iterator[Changes]:
    """The batch that was begun, if one was."""
    if held is not None and job is not None:
        yield from page_many.answered(desk, held, job)
    else:
        yield {"job": None}


def _stopped(batch: Any, held: Held | None) -> Changes:
    discard(held)
    return {**(page_many.ended(batch) if batch else {"many": gr.Column(visible=False)}), "job": None, "held": None}


def _changed(desk: Desk, label: str, held: Held | None, first: ReadingFirst | None) -> Changes:
    discard(held)
    return {
        **page_one.changed(desk, label),
        **(first.ended() if first else {}),
        "many": gr.Column(visible=False),
        "batch": None,
        "job": None,
    }


def _row(desk: Desk, batch: Any, event: gr.EventData) -> Changes:
    try:
        return page_many.row(desk, batch, int(event.index))
    except Exception as error:
        changes = page_one.refused(desk, batch.label if batch else "", error)
        return {name: value for name, value in changes.items() if name != "held"}


def _tried(desk: Desk, example: Example, label: str, before: Held | None, first: ReadingFirst | None) -> Changes:
    """An example goes the road of every upload."""
    discard(before)
    held = None
    try:
        held = example.held()
        changes = _looked_at(desk, label or example.label, held, False, None, first)
    except Exception as error:
        changes = page_one.refused(desk, label, error)
    if held is not None and changes.get("held") is None:
        held.discard()
    return changes
