"""The documents of one answered image: a printed page, and DICOM objects where the upload was DICOM.

The upload is gone with its answer. What the documents are made of (the answer, the picture, of a header the attributes that a DICOM object
of the same study takes over) is kept in memory, for the person who sent it, for :data:`KEPT` seconds, until the next image, or until
:data:`MOST` later answers came; they are made when they are asked for, and never written to disk.
"""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

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
MOST = 12
"""Answers whose documents are kept at once: a picture and its maps are megabytes, and nobody says when a page is left."""
GONE = "What the documents are made of is not kept any more: choose the image again."


@dataclass(frozen=True)
class Documents:
    """What the documents of one answer are made of."""

    case: Case
    source: Dataset | None
    """None: the upload was no DICOM file that an object could refer to."""


class Kept:
    """The documents as a page holds them; empty as soon as :data:`MOST` later ones came."""

    _latest: ClassVar[deque[weakref.ref[Kept]]] = deque()

    def __init__(self, documents: Documents):
        self.documents: Documents | None = documents
        self._latest.append(weakref.ref(self))
        while len(self._latest) > MOST:
            oldest = self._latest.popleft()()
            if oldest is not None:
                oldest.documents = None


def of(desk: Desk, label: str, answer: Answer, file: Path) -> Changes:
    """The buttons of this answer. `file`: the upload, which is still there."""
    try:
        source = source_of(file.read_bytes())
    except NoReference:
        source = None
    documents = Documents(case_of(answer, metrics_of(desk.folder(label))), source)
    return {"documents": Kept(documents), "case_pdf": gr.Button(visible=True), "case_dicom": gr.Button(visible=source is not None)}


def none() -> Changes:
    """No answer, no documents."""
    return {"documents": None, "case_pdf": gr.Button(visible=False), "case_dicom": gr.Button(visible=False)}


def pdf(kept: Kept | None) -> Changes:
    """The printed page for the browser to save."""
    documents = _still(kept)
    return {"save": file_of("medtl-case.pdf", "application/pdf", pdf_of(documents.case)) if documents else None}


def dicom(kept: Kept | None) -> Changes:
    """The Structured Report, and the overlay of each class that is answered, as a zip for the browser to save."""
    documents = _still(kept)
    if documents is None or documents.source is None:
        return {"save": None}
    return {"save": file_of("medtl-case-dicom.zip", "application/zip", zipped(objects_of(documents.case, documents.source)))}


def _still(kept: Kept | None) -> Documents | None:
    if kept is None or kept.documents is None:
        gr.Warning(GONE)
        return None
    return kept.documents
