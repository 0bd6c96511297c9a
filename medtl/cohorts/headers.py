"""Facts of DICOM headers, read without pixels and without inflating anything.

`pydicom` inflates a deflated file whole before the first tag can be looked at (a file of 1 MB may become gigabytes, also with
`stop_before_pixels`), so the file meta information is read first and deflated files are left alone.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

FACTS = {
    "sop_instance_uid": "SOPInstanceUID",
    "accession_number": "AccessionNumber",
    "study_instance_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
    "age": "PatientAge",
    "sex": "PatientSex",
    "view": "ViewPosition",
    "modality": "Modality",
    "body_part": "BodyPartExamined",
    "laterality": "Laterality",
}
"""Our name → DICOM's keyword. Only these are read."""
KEPT = ("age", "sex", "view", "modality", "body_part", "laterality")
"""The facts that `keep` may take into records."""


def read_facts(path: Path) -> dict[str, str] | None:
    """The header's facts as strings (empty where absent, age in years), None where the file has no readable DICOM header."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of every value that breaks its VR, and quotes it
        try:
            header = _header(path)
            facts = {name: _text(header.get(keyword)) for name, keyword in FACTS.items()}
        except Exception:  # a broken header raises any of a dozen types; the image itself is judged when it is decoded
            return None
    facts["age"] = years(facts["age"])
    return facts if facts["sop_instance_uid"] or facts["modality"] else None


def _header(path: Path) -> pydicom.Dataset:
    tags = list(FACTS.values())
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
    except InvalidDicomError:  # no preamble: older files begin with the first tag
        with path.open("rb") as file:
            if DeflatedExplicitVRLittleEndian.encode() in file.read(65536):
                raise ValueError("deflated") from None
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise ValueError("deflated")
    return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip().strip("\0")


def years(age: str) -> str:
    """DICOM's age string, or a plain number of years, in years; empty where it is neither.

    >>> years("037Y"), years("018M"), years("62"), years("unknown")
    ('37', '1.5', '62', '')
    """
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)([DWMY]?)", age.strip().upper())
    if not match:
        return ""
    in_years = float(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1, "": 1}[match[2]]
    return f"{in_years:.2f}".rstrip("0").rstrip(".")
