"""What a DICOM header says besides the pixels: which kind of object, which view, which spacing, which machine; age, sex, site, date.

Everything is either a code, a number or a cleaned name: header fields may hold anything, a person's name included.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.uid import UID_dictionary

from medtl.imaging.image import Facts, device_of

TAGS = (
    "Modality", "BodyPartExamined", "AnatomicRegionSequence", "ViewPosition", "ViewCodeSequence", "ImageLaterality", "FrameLaterality",
    "Laterality", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "SequenceOfUltrasoundRegions", "Manufacturer",
    "ManufacturerModelName", "PatientAge", "PatientBirthDate", "PatientSex", "InstitutionName", "AcquisitionDate", "ContentDate",
    "SeriesDate", "StudyDate",
)  # fmt: skip
"""Header elements that :func:`facts_of` and :func:`circumstances_of` look at."""

_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_LATERALITIES = ("ImageLaterality", "FrameLaterality", "Laterality")
_DATES = ("AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate")
_CENTIMETRES = 3
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
_VIEWS = {
    "399348003": "AP", "R-10206": "AP", "272479007": "PA", "R-10214": "PA", "R-40888": "PA", "399173006": "LL", "R-10236": "LL",
    "399198007": "RL", "R-10232": "RL", "399067008": "LATERAL", "R-102CD": "LATERAL", "399033003": "FRONTAL", "R-10202": "FRONTAL",
    "399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO", "399260004": "ML", "R-10224": "ML", "399352003": "LM",
    "R-10228": "LM", "399099002": "LMO", "R-10230": "LMO",
}  # fmt: skip
"""SNOMED codes of DICOM PS3.16, CID 4010 (projection radiography) and 4014 (mammography), as `ViewPosition` writes them."""
_NO_PICTURES = {
    "Radiation Dose": "a radiation dose report", "ECG": "an electrocardiogram", "Waveform": "a waveform", "Audio": "a sound recording",
    "Presentation State": "a presentation state", "Key Object": "a list of chosen images", "Report": "a structured report",
    "SR Storage": "a structured report", "Encapsulated": "a document", "Media Storage Directory":
    "a directory of other files (DICOMDIR)", "RT Dose": "a radiotherapy dose grid", "RT Structure": "outlines of radiotherapy",
    "RT Plan": "a radiotherapy plan", "RT Ion Plan": "a radiotherapy plan", "Segmentation": "a segmentation, not what was segmented",
    "Parametric Map": "a parametric map", "Spatial Registration": "a registration", "Spatial Fiducials": "a list of points",
    "Measurements": "a list of measurements", "Raw Data": "raw data of a machine", "Real World Value": "a scale for other images",
    "Surface": "a surface", "Spectroscopy": "spectra",
}  # fmt: skip
"""What stands in the name of a SOP class → what it is, in words."""


def no_picture(dataset: Dataset) -> str:
    """What an object is that holds no picture, in words; empty for images, whatever their pixels are.

    >>> from pydicom.uid import ComprehensiveSRStorage, DigitalXRayImageStorageForPresentation
    >>> sr, dx = Dataset(), Dataset()
    >>> sr.SOPClassUID, dx.SOPClassUID = ComprehensiveSRStorage, DigitalXRayImageStorageForPresentation
    >>> no_picture(sr), no_picture(dx)
    ('a structured report (Comprehensive SR Storage)', '')
    """
    name = registered_name(_value(dataset, "SOPClassUID"))
    words = next((words for part, words in _NO_PICTURES.items() if part in name), "")
    return f"{words} ({name})" if words else ""


def registered_name(uid: object) -> str:
    """What DICOM calls a UID; empty where it is none of DICOM's own, since anything, also a person's name, may stand in its place."""
    return UID_dictionary[str(uid)][0] if str(uid) in UID_dictionary else ""


def facts_of(dataset: Dataset) -> Facts:
    """What the header says about the picture, and the age. Whatever is no proper value is left out."""
    spacing, source = _spacing(dataset)
    return Facts(
        modality=_code(_value(dataset, "Modality")),
        body_part=_code(_value(dataset, "BodyPartExamined")) or _code(_coded(dataset, "AnatomicRegionSequence", "CodeMeaning")),
        view=_code(_value(dataset, "ViewPosition")) or _VIEWS.get(_coded(dataset, "ViewCodeSequence", "CodeValue"), ""),
        laterality=next((code for tag in _LATERALITIES if (code := _code(_value(dataset, tag)))), ""),
        spacing=spacing,
        spacing_from=source,
        device=device_of(_value(dataset, "Manufacturer"), _value(dataset, "ManufacturerModelName")),
        age=age_of(dataset),
    )


def circumstances_of(dataset: Dataset) -> dict[str, str]:
    """`age` in years, `sex` (M, F, O), `site` (the institution), `date` (ISO, of the acquisition); empty where not said.

    For records only, and there only where they are asked for. An age that is not stated is counted from birth and date; the birth date
    itself goes nowhere.
    """
    taken = _taken(dataset)
    sex = _code(_value(dataset, "PatientSex"))
    return {
        "age": age_of(dataset),
        "sex": sex if sex in ("M", "F", "O") else "",
        "site": device_of(_value(dataset, "InstitutionName"), ""),
        "date": taken.isoformat() if taken else "",
    }


def age_of(dataset: Dataset) -> str:
    """In years, as stated, else counted from birth and acquisition; empty where not said."""
    born, taken = _date(_value(dataset, "PatientBirthDate")), _taken(dataset)
    stated = years(str(_value(dataset, "PatientAge") or ""))
    return stated or (_counted(born, taken) if born and taken else "")


def years(age: str) -> str:
    """DICOM's age string, or a plain number of years, in years; empty where it is neither.

    >>> years("037Y"), years("018M"), years("62"), years("unknown")
    ('37', '1.5', '62', '')
    """
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)([DWMY]?)", age.strip().upper())
    if not match:
        return ""
    return _short(float(match[1]) / {"D": 365.25, "W": 52.18, "M": 12, "Y": 1, "": 1}[match[2]])


def _taken(dataset: Dataset) -> date | None:
    return next((day for tag in _DATES if (day := _date(_value(dataset, tag)))), None)


def _counted(born: date, taken: date) -> str:
    """Completed years, below two completed months: finer, and with the date it would give the birth date away."""
    months = 12 * (taken.year - born.year) + taken.month - born.month - (taken.day < born.day)
    if not 0 <= months < 130 * 12:
        return ""
    return _short(months / 12) if months < 24 else str(months // 12)


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _spacing(dataset: Dataset) -> tuple[tuple[float, float] | None, str]:
    """Millimetres (row, column), and the element that gave them."""
    for keyword in _SPACINGS:
        if found := _millimetres(_value(dataset, keyword)):
            return found, keyword
    regions = [region for region in _items(dataset, "SequenceOfUltrasoundRegions") if _value(region, "RegionSpatialFormat") == 1]
    in_centimetres = len(regions) == 1 and all(_value(regions[0], f"PhysicalUnits{axis}Direction") == _CENTIMETRES for axis in "XY")
    if in_centimetres and (found := _millimetres((_value(regions[0], "PhysicalDeltaY"), _value(regions[0], "PhysicalDeltaX")), 10)):
        return found, "SequenceOfUltrasoundRegions"
    return None, ""


def _millimetres(values: Iterable[Any] | None, scale: float = 1) -> tuple[float, float] | None:
    try:
        row, column = (scale * float(value) for value in values or ())
    except (TypeError, ValueError):
        return None
    return (row, column) if 0 < row < float("inf") and 0 < column < float("inf") else None


def _date(value: object) -> date | None:
    text = re.sub(r"[.\-]", "", str(value or "").strip())[:8]  # 1993.08.22 is the form of the standard before 1993
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])) if len(text) == 8 and text.isdigit() else None
    except ValueError:
        return None


def _coded(dataset: Dataset, sequence: str, part: str) -> str:
    items = _items(dataset, sequence)
    return str(_value(items[0], part) or "") if items else ""


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    items = _value(dataset, keyword)
    return list(items) if isinstance(items, Sequence) else []


def _value(dataset: Dataset, keyword: str) -> Any:
    """An element's value, None where it cannot be read: what a header says beside the picture must not cost the picture."""
    try:
        return dataset.get(keyword)
    except Exception:
        return None


def _code(value: object) -> str:
    """A code string such as CR or CHEST; what is no code (and might be anything) is left out."""
    text = str(value or "").strip().upper()
    return text if _CODE.fullmatch(text) else ""
