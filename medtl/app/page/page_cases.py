"""The fold "Evaluate this model on your cases": its parts, and what happens when a person uses them. What is handed over waits in its
private folder until it is judged, or :data:`WAITS` seconds, so that a mistake can be mended without another upload."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import gradio as gr

from medtl.app.desk import Desk
from medtl.app.here.columns import FIELDS, LEAVE_OUT, Choice, proposed, wrong
from medtl.app.here.labelled import Labelled, labelled
from medtl.app.here.manifest import Ready, ready
from medtl.app.here.outcome import Outcome, named, outcome, refusal
from medtl.app.here.running import Running
from medtl.app.page import cases_markup as markup
from medtl.app.page.held import Held, take
from medtl.app.page.page_one import Changes, sentence
from medtl.app.page.saving import file_of
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.model.format import PackageFile

WAITS = 1800
"""Seconds."""
KEPT = 3600
"""Seconds for which a finished report can be saved."""
_NO_MODEL = "Choose the model first, at the top of the page."
_GONE = "The files are not there any more; choose them again."


@dataclass(frozen=True)
class Cases:
    """What one person handed over, and what they chose so far."""

    given: Labelled
    label: str = ""
    choice: Choice = field(default_factory=lambda: Choice({}))


@dataclass(frozen=True)
class Job:
    """An evaluation that may begin, or has begun."""

    cases: Cases
    stopped: threading.Event = field(default_factory=threading.Event)


def discard(owner: Cases | Job | None) -> None:
    """The files of something handed over go."""
    if isinstance(owner, Job):
        owner.stopped.set()
        owner = owner.cases
    if owner is not None:
        owner.given.held.discard()


def received(desk: Desk, label: str, uploads: list[str], before: Cases | None) -> Changes:
    """Files arrive: what stands in the table, to be confirmed."""
    discard(before)
    held = None
    try:
        paths = [Path(each) for each in uploads]
        if not paths or not all(path.is_file() for path in paths):
            raise MedtlError(_GONE)
        held = take(paths)
        return {**_asked(desk, label, Cases(labelled(held))), "upload": None}
    except Exception as error:
        if isinstance(held, Held):
            held.discard()
        return {**_blank(), "said": markup.refused([sentence(error)]), "upload": None}


def changed(desk: Desk, label: str, cases: Cases | None) -> Changes:
    """Another model is chosen: its classes are other ones."""
    return _nothing() if cases is None or not label or label == cases.label else _asked(desk, label, cases)


def _asked(desk: Desk, label: str, cases: Cases) -> Changes:
    if not label:
        return {**_blank(), "said": markup.said(_NO_MODEL), "cases": cases}
    task = desk.package(label).task
    chosen = replace(cases, label=label, choice=proposed(cases.given, task, cases.choice.columns or None))
    return {**_blank(), "form": markup.form(chosen.given, label, task, chosen.choice), "cases": chosen}


def chose(desk: Desk, cases: Cases | None, event: Any) -> Changes:
    """A column was changed: the labels are proposed anew."""
    if cases is None or not cases.label:
        return {**_blank(), "said": markup.refused([_GONE])}
    task = desk.package(cases.label).task
    sent = _sent(event, cases, task)
    choice = replace(proposed(cases.given, task, sent.columns), without_absent=sent.without_absent)
    return {"form": markup.form(cases.given, cases.label, task, choice), "said": "", "cases": replace(cases, choice=choice)}


def begun(desk: Desk, cases: Cases | None, event: Any) -> Changes:
    """The person confirms: a job, or what has to be mended before."""
    if cases is None or not cases.label or not cases.given.held.folder.is_dir():
        return {**_blank(), "said": markup.refused([_GONE])}
    task = desk.package(cases.label).task
    chosen = replace(cases, choice=_sent(event, cases, task))
    found = wrong(cases.given, task, chosen.choice)
    if found:
        return _to_mend(chosen, task, found)
    return {
        **_blank(),
        "progress": markup.progress("Waiting for its turn", 0, 0),
        "stop": gr.Button(visible=True),
        "job": Job(chosen),
    }


def _sent(event: Any, cases: Cases, task: Task) -> Choice:
    """What the browser says, held against what there is to choose from."""
    columns = {str(name): str(column) for name, column in event.columns if name in FIELDS and column in cases.given.cells.columns}
    classes = {str(label): str(name) for label, name in event.classes if name in (*task.names, LEAVE_OUT)}
    return Choice(columns, classes, bool(event.without_absent))


def run(desk: Desk, job: Job | None) -> Iterator[Changes]:
    """The evaluation that was begun, if one was; at its end the files are gone, but after a mistake that can be mended."""
    if job is None:
        yield _nothing()
        return
    cases, mended = job.cases, False
    try:
        for each in _run(desk, job):
            mended = each.get("cases") is not None
            yield each
    except Exception as error:  # of files that went under it, where it was stopped
        yield _over() if job.stopped.is_set() else {**_blank(), "said": markup.refused([sentence(error)])}
    finally:
        if not mended:
            discard(cases)


def _run(desk: Desk, job: Job) -> Iterator[Changes]:
    cases, folder = job.cases, job.cases.given.held.folder
    if job.stopped.is_set() or not folder.is_dir():  # while it waited for its turn
        yield _over()
        return
    package, place = desk.package(cases.label), Path(tempfile.mkdtemp(dir=folder))
    running = None
    try:
        yield {"progress": markup.progress("Unpacking", 0, 0)}
        prepared = ready(cases.given, package.task, cases.choice, place)
        yield {"progress": markup.progress("Starting", 0, 0)}
        running = Running(desk.folder(cases.label), prepared.file, cases.choice.classes, place)
        yield from _heard(running, job, package, prepared, place)
    except MedtlError as mistake:  # such as an image that the zip does not give
        yield _to_mend(cases, package.task, [sentence(mistake)])
    finally:
        if running is not None:
            running.end()
        shutil.rmtree(place, ignore_errors=True)


def _heard(running: Running, job: Job, package: PackageFile, prepared: Ready, place: Path) -> Iterator[Changes]:
    """What the process says, until its outcome, or until it is stopped."""
    notes: list[str] = []
    for event in running.events():
        if job.stopped.is_set():
            yield _over()
            return
        if "progress" in event:
            yield {"progress": markup.progress(*event["progress"])}
        elif "said" in event:
            notes += [] if event["said"].startswith("report: ") else [named(event["said"], prepared).replace(f"{place}/", "")]
        elif "done" in event:
            told = [event["done"], package.unverified, package.not_promised, *notes]
            found = outcome(place / "out", job.cases.label, prepared, told)
            yield {**_blank(), "said": markup.outcome(found), "save": gr.Button(visible=True), "outcome": found}
        elif event:
            yield _to_mend(job.cases, package.task, [refusal(event, prepared, place)])


def stopped(cases: Cases | None, job: Job | None) -> Changes:
    """Everything goes."""
    discard(job)
    discard(cases)
    return {**_blank(), "said": markup.said("Stopped; everything is deleted.")}


def _to_mend(cases: Cases, task: Task, sentences: list[str]) -> Changes:
    """What is wrong, over what the person chose; nothing is lost."""
    form = markup.form(cases.given, cases.label, task, cases.choice)
    return {**_blank(), "form": form, "cases": cases, "said": markup.refused(sentences)}


def _blank() -> Changes:
    """Nothing of an earlier evaluation, nothing handed over."""
    hidden = gr.Button(visible=False)
    return {"form": "", "said": "", "progress": "", "stop": hidden, "save": hidden, "cases": None, "job": None, "outcome": None}


def _over() -> Changes:
    """A run was stopped: what else stands on the page is of who stopped it, perhaps a new upload."""
    return {"progress": "", "stop": gr.Button(visible=False)}


def _nothing() -> Changes:
    """Everything stays as it is."""
    return {"progress": gr.skip()}


def saved(found: Outcome | None) -> dict[str, Any] | None:
    """The zip as a file for the browser to save."""
    if found is None:
        return None
    return file_of("medtl-evaluation.zip", "application/zip", found.archive)
