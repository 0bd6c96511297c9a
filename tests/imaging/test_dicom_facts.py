"""What a header says besides the pixels: held against the elements themselves; what is no proper value is left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID_dictionary

from medtl import read_image
from medtl.cohorts.headers import read_facts
from medtl.errors import ImageError
from medtl.imaging.dicom_facts import _VIEWS, circumstances_of, facts_of, no_picture


def item(**elements: Any) -> Dataset:
    made = Dataset()
    with pydicom.config.disable_value_validation():
        for keyword, value in elements.items():
            setattr(made, keyword, value)
    return made


def coded(code: Any) -> list[Dataset]:
    return [item(CodeValue=code.value, CodingSchemeDesignator=code.scheme_designator, CodeMeaning=code.meaning)]


def test_views_come_from_the_position_or_the_code() -> None:
    views = {
        "AP": codes.cid4010.AnteroPosterior,
        "PA": codes.cid4010.PosteroAnterior,
        "LL": codes.cid4010.LeftLateral,
        "RL": codes.cid4010.RightLateral,
        "CC": codes.cid4014.CranioCaudal,
        "MLO": codes.cid4014.MedioLateralObliqueProjection,
    }
    for name, code in views.items():
        assert facts_of(item(ViewCodeSequence=coded(code))).view == name
    assert facts_of(item(ViewPosition="PA", ViewCodeSequence=coded(codes.cid4010.LeftLateral))).view == "PA"
    assert facts_of(item(AnatomicRegionSequence=[item(CodeMeaning="Chest")])).body_part == "CHEST"
    assert facts_of(item(AnatomicRegionSequence=[item(CodeMeaning="left upper lobe of Ann's lung")])).body_part == ""


def test_older_codes_mean_what_the_newer_ones_mean() -> None:
    from pydicom.sr._snomed_dict import mapping

    older = {code: name for code, name in _VIEWS.items() if code.startswith("R-")}
    assert len(older) >= 10
    for code, name in older.items():
        assert _VIEWS[mapping["SRT"][code]] == name if code != "R-10214" else name == "PA"


def test_spacing_says_which_element_gave_it() -> None:
    region = item(RegionSpatialFormat=1, PhysicalUnitsXDirection=3, PhysicalUnitsYDirection=3, PhysicalDeltaX=0.02, PhysicalDeltaY=0.03)
    both = item(PixelSpacing=[0.2, 0.1], ImagerPixelSpacing=[0.4, 0.4])
    assert (facts_of(both).spacing, facts_of(both).spacing_from) == ((0.2, 0.1), "PixelSpacing")
    assert facts_of(item(PixelSpacing=[0, 0.1], ImagerPixelSpacing=[0.4, 0.3])).spacing_from == "ImagerPixelSpacing"
    ultrasound = facts_of(item(SequenceOfUltrasoundRegions=[region]))
    assert ultrasound.spacing == pytest.approx((0.3, 0.2))
    assert ultrasound.spacing_from == "SequenceOfUltrasoundRegions"
    assert facts_of(item(SequenceOfUltrasoundRegions=[region, region])).spacing is None, "two regions, two scales"
    assert facts_of(item(PixelSpacing=[0.2])).spacing is None


def test_ages_sexes_and_dates() -> None:
    assert circumstances_of(item(PatientAge="018M", PatientSex="f", StudyDate="20240131")) == {
        "age": "1.5", "sex": "F", "site": "", "date": "2024-01-31",
    }  # fmt: skip
    born = item(PatientBirthDate="19800615", AcquisitionDate="2020.06.14", StudyDate="20240101", InstitutionName="Clinic\nNord: <b>")
    assert circumstances_of(born) == {"age": "39", "sex": "", "site": "Clinic Nord b", "date": "2020-06-14"}
    for birth, day, age in (("19800615", "20200615", "40"), ("20150301", "20200229", "4"), ("20190930", "20200331", "0.5")):
        assert circumstances_of(item(PatientBirthDate=birth, StudyDate=day))["age"] == age
    for wrong in ({"PatientBirthDate": "11111111", "StudyDate": "20200101"}, {"PatientBirthDate": "20200102", "StudyDate": "20200101"}):
        assert circumstances_of(item(**wrong))["age"] == ""


def test_what_is_no_code_is_left_out() -> None:
    odd = item(Modality="Ann Smith, born 1980", ViewPosition="<script>", BodyPartExamined="chest", PatientSex="unknown")
    facts = facts_of(odd)
    assert (facts.modality, facts.view, facts.body_part) == ("", "", "CHEST")
    assert circumstances_of(odd)["sex"] == ""


def test_what_a_header_says_beside_the_picture_must_not_cost_the_picture(dicom: Callable[..., Path], marker: np.ndarray) -> None:
    path = dicom(marker, PixelSpacing=[0.5, 0.25])
    content = path.read_bytes()
    assert b"0.5\\0.25" in content
    path.write_bytes(content.replace(b"0.5\\0.25", b"odd\\0.25"))
    read = read_image(path)
    assert read.receipt.facts.spacing is None
    assert read.pixels.shape == (1, 40, 60)


def test_facts_of_records_are_those_of_the_pixels(shared: Callable[[str], Path]) -> None:
    """Two roads read a header: with the pixels, and without them for records."""
    compared = 0
    for path in sorted((shared("data/dicom")).rglob("*")):
        header = read_facts(path) if path.is_file() else None
        try:
            facts = read_image(path).receipt.facts if header else None
        except ImageError:
            facts = None
        if header is None or facts is None:
            continue
        compared += 1
        expected = {**asdict(facts), "spacing": "" if facts.spacing is None else "{:g} {:g}".format(*facts.spacing)}
        assert {name: header[name] for name in expected} == expected, path.name
    assert compared >= 25


def test_every_kind_of_object_without_a_picture_is_called_something() -> None:
    """All SOP classes of the standard: what holds pictures has no other name, what holds none is called something (or has no pixels)."""
    pictures, others = [], []
    for uid, (name, kind, *_) in UID_dictionary.items():
        if kind == "SOP Class" and "Storage" in name and "Commitment" not in name:
            (others if no_picture(item(SOPClassUID=uid)) else pictures).append(name)
    for word in ("Radiography", "X-Ray Image", "CT Image", "MR Image", "Ultrasound", "Photography", "Mammography", "Secondary Capture"):
        assert not [name for name in others if word in name and "Report" not in name and "SR" not in name and "Dose" not in name], word
        assert [name for name in pictures if word in name], word
    for word in ("SR Storage", "ECG", "Waveform", "Dose", "Presentation State", "PDF", "RT Plan", "Structure Set", "Segmentation Storage"):
        assert not [name for name in pictures if word in name], word
    dose = no_picture(item(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67"))
    assert dose == "a radiation dose report (X-Ray Radiation Dose SR Storage)"


def test_what_holds_no_picture_is_refused_in_words(shared: Callable[[str], Path]) -> None:
    said = {}
    for name in ("test-SR.dcm", "rtdose.dcm"):
        with pytest.raises(ImageError) as refusal:
            read_image(shared("data/dicom/transfer_syntaxes") / name)
        said[name] = (refusal.value.code, refusal.value.reason)
    assert said["test-SR.dcm"] == ("NO_PIXELS", "DICOM without an image: a structured report (Comprehensive SR Storage)")
    assert said["rtdose.dcm"] == ("NOT_AN_IMAGE", "is a radiotherapy dose grid (RT Dose Storage), no image")
