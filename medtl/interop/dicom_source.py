"""The image that a DICOM object is about: what has to be carried over of its patient and study, and nothing else.

Values come from strangers. What the standard does not allow in its place is left out, text is written as UTF-8, and no value is ever
quoted in a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydicom import Dataset
from pydicom.uid import UID
from pydicom.valuerep import DA, TM

from medtl.errors import MedtlError
from medtl.imaging.dicom import header, quietly

_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_TEXTS = {
    "PatientName": 324, "PatientID": 64, "IssuerOfPatientID": 64, "AccessionNumber": 16, "StudyID": 16, "StudyDescription": 64,
    "ReferringPhysicianName": 324,
}  # fmt: skip
"""Keyword → letters at most."""
_PATTERNS = {
    "PatientBirthDate": r"\d{8}", "StudyDate": r"\d{8}", "StudyTime": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", "PatientSex": "[MFO]",
    "PatientAge": r"\d{3}[DWMY]",
}  # fmt: skip
_MOMENTS: dict[str, Callable[[str], object]] = {"PatientBirthDate": DA, "StudyDate": DA, "StudyTime": TM}
"""What of these has to be in the calendar or on the clock too."""
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime",
    "ReferringPhysicianName",
)  # fmt: skip
"""May be empty, but has to be there."""
_ORIENTATION = r"[LRAPHF]{1,3}"


class NoReference(MedtlError):
    """The file cannot be referred to by a DICOM object; the sentence says why, without its values."""


def source_of(data: bytes) -> Dataset:
    """Identity, patient and study of a DICOM file whose image was read before (which bounds what a header may cost).

    Returns a dataset with the four UIDs, the patient's and the study's attributes, and PatientOrientation and Laterality where they are
    sound; its SpecificCharacterSet is UTF-8. Raises NoReference: no DICOM file, or a UID is missing.
    """
    with quietly():
        try:
            given = header(data)
        except MedtlError:
            raise NoReference("it is no DICOM file: there is no study that a DICOM object could belong to") from None
        found = Dataset()
        found.SpecificCharacterSet = "ISO_IR 192"
        for keyword in _UIDS:
            value = _text(given, keyword)
            if not UID(value).is_valid:
                raise NoReference(f"its header has no valid {keyword}, so no DICOM object can refer to it")
            setattr(found, keyword, value)
        for keyword, most in _TEXTS.items():
            _keep(found, keyword, _text(given, keyword)[:most])
        for keyword, pattern in _PATTERNS.items():
            value = _text(given, keyword)
            _keep(found, keyword, value if re.fullmatch(pattern, value) and _possible(keyword, value) else "")
        orientation = [each for each in _text(given, "PatientOrientation").split("\\") if re.fullmatch(_ORIENTATION, each)]
        if len(orientation) == 2:
            found.PatientOrientation = orientation
        return found


def _keep(found: Dataset, keyword: str, value: str) -> None:
    if value or keyword in _TYPE_2:
        setattr(found, keyword, value)


def _possible(keyword: str, value: str) -> bool:
    """Whether a date or time is one: some write 19600000 where only the year is known."""
    try:
        if keyword in _MOMENTS:
            _MOMENTS[keyword](value)
    except ValueError:
        return False
    return True


def _text(given: Dataset, keyword: str) -> str:
    """An element's value on one line, several joined as DICOM does; empty where there is none, or it cannot be read."""
    try:
        value = given.get(keyword)
        parts = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
        text = "\\".join(str(part) for part in parts if part is not None)
    except Exception:
        return ""
    return "".join(letter for letter in text if letter.isprintable()).strip()
