"""The saliency over its image as a DICOM Secondary Capture (PS3.3, A.8.1), in the study of the image, its meaning burnt in."""

from __future__ import annotations

import highdicom as hd
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medtl.card import RESEARCH_ONLY
from medtl.interop.case import SALIENCY, Case
from medtl.interop.dicom_report import equipment
from medtl.interop.overlay_picture import labelled

SERIES = 9902


def secondary_captures(case: Case, source: Dataset) -> list[hd.sc.SCImage]:
    """One for each class that the answer names; none without an answer. `source`: of :func:`medtl.interop.dicom_source.source_of`."""
    series = generate_uid(prefix=None)
    return [_capture(case, source, name, series, number) for number, name in enumerate(case.shown, start=1)]


def _capture(case: Case, source: Dataset, name: str, series: str, number: int) -> hd.sc.SCImage:
    patient = {
        argument: source.get(keyword) or None
        for argument, keyword in {
            "patient_id": "PatientID", "patient_name": "PatientName", "patient_birth_date": "PatientBirthDate", "patient_sex": "PatientSex",
            "accession_number": "AccessionNumber", "study_id": "StudyID", "study_date": "StudyDate", "study_time": "StudyTime",
            "referring_physician_name": "ReferringPhysicianName",
        }.items()
    }  # fmt: skip
    made = hd.sc.SCImage(
        pixel_array=labelled(case, name), photometric_interpretation="RGB", bits_allocated=8, coordinate_system="PATIENT",
        study_instance_uid=source.StudyInstanceUID, series_instance_uid=series, series_number=SERIES,
        sop_instance_uid=generate_uid(prefix=None), instance_number=number, patient_orientation=("L", "F"),
        transfer_syntax_uid=ExplicitVRLittleEndian, specific_character_set="ISO_IR 192", series_description=f"{SALIENCY}"[:64],
        **equipment(case), **patient,
    )  # fmt: skip
    made.PatientOrientation = source.get("PatientOrientation") or ""
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES"
    made.DerivationDescription = f"Saliency of {case.package.name} for {name}, painted over the image. {SALIENCY}."[:1024]
    made.ImageComments = RESEARCH_ONLY
    for keyword in ("StudyDescription", "PatientAge", "IssuerOfPatientID"):
        if keyword in source:
            made[keyword] = source[keyword]
    made.SourceImageSequence = [_reference(case, source)]
    return made


def _reference(case: Case, source: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    if case.count > 1:
        item.ReferencedFrameNumber = case.number
    return item
