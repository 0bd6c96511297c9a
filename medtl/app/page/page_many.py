"""Many images on the page: progress, a table, its rows. Every function gives what changes, as in `page_one`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from medtl.app import asking
from medtl.app.desk import Desk
from medtl.app.page import case_files, facts, markup, page_one, table, viewer
from medtl.app.page.held import Held
from medtl.app.page.many import LONGEST, Batch, answers, images, opened
from medtl.app.page.page_one import Changes, Then
from medtl.app.page.saving import file_of
from medtl.errors import MedtlError
from medtl.findings import BETWEEN
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings
from medtl.measurements import AGE

_OPEN = "Choose a row of the table to see its image."


@dataclass(frozen=True)
class Job:
    """A batch that may begin."""

    label: str
    given: dict[str, str]


def looked_at(desk: Desk, label: str, held: Held, asks: bool, then: Then | None = None) -> Changes:
    """An upload of many images: it begins, or what has to be asked before, by the header of the first image."""
    measurement = _first(held)
    chosen, why = (label, "") if label else asking.proposed(measurement, {each: desk.package(each).scope for each in desk.labels})
    wanted = asking.questions(measurement, desk.package(chosen).scope) if chosen else []
    wanted = [each for each in wanted if each.fact != AGE]  # one age for all of them would be a guess
    if asks and (wanted or not label):
        return {**page_one.question(desk, held, chosen, why, wanted, None), "many": gr.Column(visible=False)}
    if not chosen:
        raise MedtlError(f"Choose a model: {why}.")
    if then is not None:
        return then(desk, chosen, held, {}, None)
    return {**begun(desk, chosen), "held": held, "job": Job(chosen, {})}


def begun(desk: Desk, label: str) -> Changes:
    """An empty table."""
    return {
        **page_one.blank(markup.waiting("Answering …")), "about": page_one.about_model(desk, label), "many": gr.Column(visible=True),
        "progress": "", "rows": "", "stop": gr.Button(visible=True), "csv": gr.Button(visible=False), "pdf": gr.Button(visible=False),
    }  # fmt: skip


def answered(desk: Desk, held: Held, job: Job) -> Iterator[Changes]:
    """The table as it grows, whatever happens; the files are gone at the end."""
    batch = None
    try:
        for batch in answers(desk, job.label, held, job.given):
            yield {"progress": table.progress(batch), "batch": batch}
        assert batch is not None
        yield {**ended(batch), "job": None, "held": None}
    except Exception as error:
        yield {**page_one.refused(desk, job.label, error), **(ended(batch) if batch else {"many": gr.Column(visible=False)}), "job": None}
    finally:
        held.discard()


def ended(batch: Batch) -> Changes:
    """The whole table, or what there is of it."""
    return {
        "progress": table.progress(batch, ended=True), "rows": table.table(batch), "stop": gr.Button(visible=False),
        "csv": gr.Button(visible=bool(batch.rows)), "pdf": gr.Button(visible=bool(batch.rows)), "said": markup.waiting(_OPEN),
    }  # fmt: skip


def row(desk: Desk, batch: Batch | None, place: int) -> Changes:
    """One image of the table."""
    if batch is None or not 0 <= place < len(batch.rows):
        raise MedtlError("The table is not there any more; choose the images again.")
    chosen = batch.rows[place]
    model = desk.model(batch.label)
    if model.fingerprint != chosen.verdict.package.fingerprint:
        raise MedtlError("The model has changed since this table was made; choose the images again.")
    view, maps = opened(model, chosen)
    called = [name for name in chosen.verdict.decision.split(BETWEEN) if name in maps]
    first = next(iter(called or maps), "")
    spacing = str(chosen.measurement["spacing"]).split()
    across = float(spacing[1]) * float(chosen.measurement["width"]) if len(spacing) == 2 else None
    caption = f"{chosen.name} · a picture of {LONGEST} pixels is kept of each image of a table; choose the file alone to see all of it"
    shown = viewer.viewer(view, maps, first, caption, across) if view is not None else ""
    return {
        **page_one.said(desk, batch.label, chosen.verdict, chosen.measurement, dict(batch.given), first), "shown": shown,
        "facts": facts.markup(chosen.measurement, batch.given, 1, 1) if view is not None else "", **case_files.none(),
    }  # fmt: skip


def csv(batch: Batch | None) -> Changes:
    """The table as a file for the browser to save."""
    return {"save": file_of("medtl-answers.csv", "text/csv", batch.csv().encode()) if batch else None}


def pdf(batch: Batch | None) -> Changes:
    """The table as pages to print."""
    if batch is None:
        return {"save": None}
    from medtl.app.page.printed import printed

    return {"save": file_of("medtl-answers.pdf", "application/pdf", printed(batch))}


def _first(held: Held) -> dict[str, Any]:
    """The measurements of the first image, for its header."""
    source = images(held)
    given = next((each for each in source if each.file is not None), None)
    source.close()  # type: ignore[attr-defined]
    if given is None:
        return {"modality": "", "body_part": "", "view": "", AGE: ""}
    _, _, measurement = next(decode_many([(given.path, given.frame)], ImageSettings(size=64), processes=1))
    if given.file is not None and given.file.parent != held.folder:
        given.file.unlink(missing_ok=True)
    return dict(measurement)
