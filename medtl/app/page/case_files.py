"""The documents of one answered image: a printed page, and DICOM objects where the upload was DICOM.

The upload is gone with its answer. What the documents are made of (the answer, the picture, of a header the attributes that a DICOM object
of the same study takes over) is kept in memory, for the person who sent it, for :data:`KEPT` seconds or until the next image; they are made
when they are asked for, and never written to disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from medtl.app.desk import Answer, Desk
from medtl.app.documents import case_of, objects_of, pdf_of, zipped
from medtl.app.page.saving import file_of
from medtl.interop.case import Case
from medtl.interop.dicom_source import NoReference, source_of
from medtl.model.prevalence import metrics_of

if TYPE_CHECKING:
    from pydicom import Dataset

    from medtl.app.page.page_one import Changes

KEPT = 600
"""Seconds."""


@dataclass(frozen=True)
class Documents:
    """What the documents of one answer are made of."""

    case: Case
    source: Dataset | None
    """None: the upload was no DICOM file that an object could refer to."""


def of(desk: Desk, label: str, answer: Answer, file: Path) -> Changes:
    """The buttons of this answer. `file`: the upload, which is still there."""
    try:
        source = source_of(file.read_bytes())
    except NoReference:
        source = None
    documents = Documents(case_of(answer, metrics_of(desk.folder(label))), source)
    return {"documents": documents, "case_pdf": gr.Button(visible=True), "case_dicom": gr.Button(visible=source is not None)}


def none() -> Changes:
    """No answer, no documents."""
    return {"documents": None, "case_pdf": gr.Button(visible=False), "case_dicom": gr.Button(visible=False)}


def pdf(documents: Documents | None) -> Changes:
    """The printed page for the browser to save."""
    return {"save": file_of("medtl-case.pdf", "application/pdf", pdf_of(documents.case)) if documents else None}


def dicom(documents: Documents | None) -> Changes:
    """The Structured Report, and the overlay of each class that is answered, as a zip for the browser to save."""
    if documents is None or documents.source is None:
        return {"save": None}
    return {"save": file_of("medtl-case-dicom.zip", "application/zip", zipped(objects_of(documents.case, documents.source)))}
