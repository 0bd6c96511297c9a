"""An answer of the desk as what leaves the page: a printed page, DICOM objects. The same for page, API and `medtl case`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medtl.app import words
from medtl.app.desk import Answer, Desk
from medtl.app.reading import Unreadable
from medtl.errors import MedtlError
from medtl.files import check_place, write_atomically
from medtl.interop.case import Case
from medtl.model.prevalence import calibrated_at, elsewhere, metrics_of

if TYPE_CHECKING:
    from pydicom import Dataset

LONGEST_UID = 64
"""Letters (DICOM PS3.5, 9.1)."""


def case_of(answer: Answer, metrics: Mapping[str, Any] | None) -> Case:
    """Everything that is said of an answer; probabilities are those of the prevalence that the package was calibrated at."""
    package, reading = answer.package, answer.reading
    known = {} if answer.reason else calibrated_at(package, metrics)
    places = elsewhere(package, metrics, known) if known else []
    return Case(
        package=package,
        metrics=metrics,
        probabilities=answer.probabilities,
        decision=answer.decision,
        reason=answer.reason,
        picture=reading.picture,
        maps=answer.maps,
        sha256=str(reading.measurement["sha256"]),
        number=reading.number,
        count=reading.count,
        because=words.because(package, answer.probabilities, answer.decision, answer.reason),
        read_as=words.how_read(reading.measurement, reading.number, reading.count),
        scope=words.scope(package.scope),
        operating_point="" if answer.reason else words.operating_point(package),
        notes=[*_said(answer), *([] if answer.reason else words.out_of_scope(reading.measurement, package.scope, answer.given))],
        worth=[sentence for place in places for sentence in place.sentences()],
        prevalence=known,
    )


def _said(answer: Answer) -> list[str]:
    """What a person added to the header, which the documents would else seem to have out of it."""
    facts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in answer.given.items() if value)
    return [f"Not in the file, said by the person who asked: {facts}."] if facts else []


def dicom_objects(case: Case, data: bytes) -> list[Dataset]:
    """The Structured Report, and with an answer a Secondary Capture for each class that it names.

    `data`: the bytes of the DICOM file that the case is about. Raises :class:`medtl.interop.dicom_source.NoReference`.
    """
    from medtl.interop.dicom_source import source_of

    return objects_of(case, source_of(data))


def objects_of(case: Case, source: Dataset) -> list[Dataset]:
    """The same of what :func:`medtl.interop.dicom_source.source_of` took from the file."""
    from medtl.imaging.dicom import quietly

    with quietly():  # highdicom's remarks quote names too
        from medtl.interop.dicom_picture import secondary_captures
        from medtl.interop.dicom_report import structured_report

        try:
            return [structured_report(case, source), *secondary_captures(case, source)]
        except MedtlError:
            raise
        except Exception as error:  # a defect's details are written down, and the error's text may quote the header
            told = RuntimeError(f"{type(error).__name__}, whose text may quote the header")
            raise told.with_traceback(error.__traceback__) from None


def zipped(objects: Sequence[Dataset]) -> bytes:
    """DICOM objects as one zip, each file named by its UID."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in objects:
            written = io.BytesIO()
            each.save_as(written, enforce_file_format=True)
            archive.writestr(f"{each.SOPInstanceUID}.dcm", written.getvalue())
    return held.getvalue()


def pdf_of(case: Case) -> bytes:
    """The printed page."""
    from medtl.interop.case_pdf import pdf

    return pdf(case)


def write_case(model: Path | str, image: Path, pdf: Path | None = None, dicom: Path | None = None, number: int | None = None) -> Case:
    """`medtl case`: answer for one image and write the answer as documents.

    Arguments:
        model: a package, or a run.
        image: one file of any kind that medtl reads; for `dicom` a DICOM file.
        pdf: the file to write, which must not be there yet. dicom: the folder for DICOM objects, each named by its UID.
        number: which image of the file, from 1; of several none is chosen for the person who asks, as `medtl predict` chooses none.
    Raises:
        MedtlError: nothing is asked for, no model, no image, several without a number, no DICOM file where DICOM is wanted, a place
            where nothing can be written, a file that is there already.
    """
    if pdf is None and dicom is None:
        raise MedtlError("nothing is asked for; give --pdf FILE, --dicom FOLDER or both")
    if not image.is_file():
        raise MedtlError(f"{image}: there is no such file; give one image")
    _check_places(pdf, dicom)
    desk = Desk([model])
    label = desk.labels[0]
    try:
        answer = desk.answer(label, image, number)
    except Unreadable as reason:
        raise MedtlError(f"{image}: {reason}") from None
    if number is None and answer.reading.count > 1:
        count = f"{answer.reading.count:,}"
        raise MedtlError(f"{image}: holds {count} images; say which one by --number, 1 to {count}")
    case = case_of(answer, metrics_of(desk.folder(label)))
    print(f"{case.headline}. {case.because}")
    if dicom is not None:
        for each in dicom_objects(case, image.read_bytes()):
            file = dicom / f"{each.SOPInstanceUID}.dcm"
            write_atomically(file, lambda temporary, made=each: made.save_as(temporary, enforce_file_format=True))  # type: ignore[misc]
            print(f"{each.Modality}: {file}")
    if pdf is not None:
        write_atomically(pdf, lambda temporary: temporary.write_bytes(pdf_of(case)))  # type: ignore[arg-type, return-value]
        print(f"page: {pdf}")
    return case


def _check_places(pdf: Path | None, dicom: Path | None) -> None:
    """Before the work: what is there already, the image itself among it, is left alone."""
    if pdf is not None:
        check_place("--pdf", pdf, "page.pdf")
        if pdf.exists() and (not pdf.is_file() or pdf.stat().st_size):
            raise MedtlError(f"--pdf {pdf}: exists, so it is left alone; choose another name")
    if dicom is not None and not dicom.is_dir() and dicom.exists():
        raise MedtlError(f"--dicom {dicom}: is a file; the objects are written into a folder, so choose another name")
    if dicom is not None:
        check_place("--dicom", dicom / f"{'0' * LONGEST_UID}.dcm", "objects")
