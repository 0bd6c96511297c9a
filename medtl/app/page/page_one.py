"""One image on the page: what is asked first, the answer, the same answer at another prevalence. Every function gives what changes, by the
name of the part of the page (:mod:`medtl.app.page.layout`) that it belongs to; `answer` is no part, but what feedback may be about."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from medtl.app import asking, words
from medtl.app.desk import Answer, Desk, Verdict
from medtl.app.page import case_files, elsewhere, facts, markup, viewer
from medtl.app.page.elsewhere import Given
from medtl.app.page.held import Held
from medtl.app.reading import Reading, read
from medtl.errors import MedtlError
from medtl.findings import BETWEEN
from medtl.measurements import AGE
from medtl.model.prevalence import metrics_of

Changes = dict[str, Any]
FIRST = "The answer appears here as soon as an image is chosen."
AGAIN = "Another model answers from here on. Choose the image again: the last one is already deleted."
_RARER = "Prevalence where you are, in % (empty: as where the model was calibrated)"
UNSAID = ("I do not know", "")


Then = Callable[[Desk, str, Held, dict[str, str], int | None], Changes]
"""What comes once nothing has to be asked any more: :func:`answered`, or a reading (`reading_first`)."""


def looked_at(desk: Desk, label: str, held: Held, asks: bool, number: int | None, then: Then | None = None) -> Changes:
    """A single upload: its answer, or what has to be asked before."""
    reader = label or desk.labels[0]
    reading = read(held.uploads[0].file, number, desk.model(reader).image, copy=desk.copies)
    held = replace(held, label=reader, reading=reading)
    chosen, why = (label, "") if label else asking.proposed(reading.measurement, {each: desk.package(each).scope for each in desk.labels})
    if asks:
        wanted = asking.questions(reading.measurement, desk.package(chosen).scope) if chosen else []
        if wanted or not label or (reading.count > 1 and number is None):
            return question(desk, held, chosen, why, wanted, reading)
    if not chosen:
        raise MedtlError(f"Choose a model: {why}.")
    return (then or answered)(desk, chosen, held, {}, number)


def question(desk: Desk, held: Held, chosen: str | None, why: str, wanted: list[asking.Question], reading: Reading | None) -> Changes:
    """What is asked before an answer; the upload waits."""
    by_fact = {each.fact: each for each in wanted}
    several = len(desk.labels) > 1 and bool(why)
    choices = {
        f"ask_{fact}": gr.Dropdown(choices=[UNSAID, *(by_fact[fact].choices if fact in by_fact else ())], value="", visible=fact in by_fact)
        for fact in asking.CODES
    }
    count, number = (reading.count, reading.number) if reading else (1, None)
    there = seen(reading, {}, held.uploads[0].name, {}, "") if reading else {}
    return {
        **blank(markup.asking(why if several else "", bool(wanted), count)),
        **there,
        "ask": gr.Group(visible=True),
        "ask_model": gr.Radio(choices=desk.labels, value=chosen, visible=several),
        **choices,
        "ask_age": gr.Number(value=None, visible=AGE in by_fact),
        "ask_number": gr.Number(label=f"Which image of the file, 1 to {count:,}", value=number, visible=count > 1, maximum=count),
        "held": held,
    }


def answered(desk: Desk, label: str, held: Held, given: dict[str, str], number: int | None) -> Changes:
    """The answer for the one image that is held."""
    reading = held.reading
    settings = desk.model(label).image
    if reading is None or (number or reading.number) != reading.number or desk.model(held.label).image != settings:
        reading = read(held.uploads[0].file, number, settings, copy=desk.copies)
    answer = desk.answer_read(label, reading, given)
    first = first_map(answer)
    return {
        **said(desk, label, answer, reading.measurement, given, first),
        **seen(reading, given, held.uploads[0].name, answer.maps, first),
        "ask": gr.Group(visible=False),
        "held": None,
        "answer": answer,
        **case_files.of(desk, label, answer, held.uploads[0].file),
    }


def seen(reading: Reading, given: Mapping[str, str], name: str, maps: Mapping[str, Any], first: str) -> Changes:
    """The image with what its header says. `name`: what it is called below; `maps`, `first`: saliency, and which is shown first."""
    at_detector = reading.measurement["spacing_from"] == "ImagerPixelSpacing"
    caption = f"{name} · {words.how_read(reading.measurement, reading.number, reading.count)}"
    return {
        "shown": viewer.viewer(reading.view, maps, first, caption, reading.across, at_detector),
        "facts": facts.markup(reading.measurement, given, reading.number, reading.count),
    }


def said(desk: Desk, label: str, verdict: Verdict, measurement: Any, given: dict[str, str], first: str) -> Changes:
    """Everything about the answer but the image; also of a row of a table."""
    package = verdict.package
    notes = words.looks_like(measurement) + ([] if verdict.reason else words.out_of_scope(measurement, package.scope, given))
    notes += _better(desk, label, measurement, given)
    kept = Given(package, metrics_of(desk.folder(label)), verdict.probabilities, verdict.decision, verdict.reason, notes)
    movable = list(kept.movable)
    wanted = first if first in movable else next(iter(movable), None)
    known = dict(facts.stated(measurement, given)) if not measurement["quarantine"] else {}
    checks = words.checks(verdict, package.scope, "yes", {title: text for title, text in known.items() if title in facts.JUDGED})
    return {
        "said": elsewhere.said(kept, wanted),
        "why": markup.why(package, verdict.decision, checks),
        "about": about_model(desk, label),
        "finding": gr.Dropdown(choices=movable, value=wanted, visible=len(movable) > 1),
        "rarer": gr.Number(label=_RARER, value=None, visible=bool(movable)),
        "kept": kept,
        **_no_feedback(),
    }


def moved(given: Given | None, finding: str | None, percent: float | None) -> Changes:
    """The last answer at another prevalence."""
    return {"said": markup.waiting(FIRST) if given is None else elsewhere.said(given, finding, percent)}


def refused(desk: Desk, label: str, error: Exception) -> Changes:
    """In place of an answer, one sentence."""
    return {**blank(markup.refusal(sentence(error))), "about": about_model(desk, label), "held": None}


def changed(desk: Desk, label: str) -> Changes:
    """Another model was chosen."""
    return {**blank(markup.waiting(AGAIN if label else FIRST)), "about": about_model(desk, label), "held": None}


def blank(text: str) -> Changes:
    """Nothing of an earlier answer."""
    return {
        "said": text, "shown": "", "facts": "", "why": "", "kept": None, "ask": gr.Group(visible=False),
        "finding": gr.Dropdown(choices=[], value=None, visible=False), "rarer": gr.Number(value=None, visible=False),
        **_no_feedback(), **case_files.none(),
    }  # fmt: skip


def _no_feedback() -> Changes:
    return {"feedback": gr.Accordion(visible=False), "owed": None}


def about_model(desk: Desk, label: str) -> str:
    """What is known of a model, read from its package at this moment; of all that are open where none is chosen."""
    try:
        if not label:
            return markup.models({each: desk.package(each) for each in desk.labels})
        return markup.model(desk.package(label), metrics_of(desk.folder(label)))
    except Exception as error:
        return markup.refusal(str(error) if isinstance(error, MedtlError) else _defect(error))


def first_map(answer: Answer) -> str:
    """Of the class that is answered; of several findings, the most probable of those that are there."""
    called = [name for name in answer.decision.split(BETWEEN) if name in answer.maps]
    return max(called, key=lambda name: answer.probabilities[name], default=next(iter(answer.maps), ""))


def _better(desk: Desk, label: str, measurement: Any, given: dict[str, str]) -> list[str]:
    """That another open model is meant for such an image, where this one is not."""
    known = {fact: measurement[fact] or given.get(fact, "") for fact in (*asking.CODES, AGE)}
    scopes = {each: desk.package(each).scope for each in desk.labels}
    if asking.fit(known, scopes[label]) >= 0:
        return []
    other, _ = asking.proposed(known, scopes)
    return [f"The model {other} is meant for such images: choose it, and the image again."] if other else []


def sentence(error: Exception) -> str:
    """An error for a person; of a defect where it happened, never its own text, which may quote data."""
    return _sentence(str(error)) if isinstance(error, MedtlError) else _defect(error)


def _sentence(reason: str) -> str:
    """A reason as `medtl.errors.ImageError` words it (`is empty`, `the decoder crashed on it`) as a sentence of its own."""
    verbs = ("is", "holds", "has", "was", "does", "claims", "ends", "cannot")
    text = f"The file {reason}" if reason.split(" ", 1)[0] in verbs else reason[:1].upper() + reason[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _defect(error: Exception) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"medtl has a defect ({type(error).__name__} in {Path(last.filename).name}, line {last.lineno}); please report it."
