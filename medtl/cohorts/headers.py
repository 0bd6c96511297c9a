"""Facts of DICOM headers, read without pixels; of a deflated file only the beginning is inflated.

`pydicom` inflates a deflated file whole before the first tag can be looked at (a file of 1 MB may become gigabytes, also with
`stop_before_pixels`), so the file meta information is read first.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medtl.cohorts.files import file_of
from medtl.imaging.dicom import begins_like, deflated_beginning
from medtl.imaging.dicom_facts import TAGS, circumstances_of, facts_of

_IDS = {
    "sop_instance_uid": "SOPInstanceUID",
    "accession_number": "AccessionNumber",
    "study_instance_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
    "issuer": "IssuerOfPatientID",
}
"""Our name → DICOM's keyword."""
KEPT = ("age", "sex", "view", "modality", "body_part", "laterality", "spacing", "spacing_from", "device", "site", "date")
"""The facts that `keep` may take into records, and `only` may choose by."""


def read_facts(path: Path) -> dict[str, str] | None:
    """The header's ids and facts as strings (empty where absent), None where the file has no readable DICOM header.

    Age in years, date ISO, spacing in mm, "row column"; see :mod:`medtl.imaging.dicom_facts`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of every value that breaks its VR, and quotes it
        try:
            header = _header(path)
            ids = {name: _text(header.get(keyword)) for name, keyword in _IDS.items()}
            picture = asdict(facts_of(header))
            spacing = picture.pop("spacing")
            facts = {**ids, **picture, **circumstances_of(header), "spacing": "" if spacing is None else "{:g} {:g}".format(*spacing)}
        except Exception:  # a broken header raises any of a dozen types; the image itself is judged when it is decoded
            return None
    return facts if any(facts[name] for name in (*_IDS, "modality")) else None


def facts_of_files(root: Path, images: Iterable[str]) -> pd.DataFrame | None:
    """(N, :data:`KEPT`) facts of the images at these paths below `root`, empty where a file is no DICOM; None where none is one."""
    named = list(images)
    files = {image: root / file_of(root, image) for image in named}
    read = {image: read_facts(file) if _begins_like_dicom(file) else None for image, file in files.items()}
    if not any(read.values()):
        return None
    return pd.DataFrame([read[image] or {} for image in named], columns=list(KEPT)).fillna("")


def _begins_like_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return begins_like(file.read(132))
    except OSError:  # gone, or an address inside an archive
        return False


def _header(path: Path) -> pydicom.Dataset:
    tags = [*_IDS.values(), "SOPClassUID", *TAGS]
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
    except InvalidDicomError:  # no preamble: older files begin with the first tag
        with path.open("rb") as file:
            if DeflatedExplicitVRLittleEndian.encode() in file.read(65536):
                raise ValueError("deflated") from None
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags, force=True)
    if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        with path.open("rb") as file:
            return deflated_beginning(file)
    return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)


def _text(value: object) -> str:
    return "" if value is None else str(value).strip().strip("\0")
