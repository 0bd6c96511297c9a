"""An answer as DICOM objects: in the image's study, with the patient's attributes there and nowhere else."""

from __future__ import annotations

import hashlib
import traceback

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid
from typer.testing import CliRunner

from medtl.app.documents import write_case
from medtl.cli.commands import app
from medtl.errors import MedtlError

UIDS = {keyword: generate_uid() for keyword in ("StudyInstanceUID", "SeriesInstanceUID")}


@pytest.fixture
def radiograph(tmp_path, marker):
    """`radiograph(**elements)`: a computed radiograph; None empties an element."""

    def make(name: str = "image.dcm", **elements: object):
        dataset = Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = ComputedRadiographyImageStorage, generate_uid(), "DX"
        dataset.PatientName, dataset.PatientID, dataset.PatientSex, dataset.PatientBirthDate = "Müller^Jörg", "ZZ1", "M", "19500131"
        dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber, dataset.PatientOrientation = "20200101", "1200", "A1", ["R", "F"]
        dataset.Rows, dataset.Columns = marker.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8
        dataset.HighBit, dataset.PixelRepresentation, dataset.PixelData = 7, 0, marker.tobytes()
        for keyword, value in {**UIDS, **elements}.items():
            setattr(dataset, keyword, value or "")
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return make


def written(folder):
    """{modality: dataset}"""
    return {each.Modality: each for each in map(dcmread, sorted(folder.iterdir()))}


def items(dataset, depth=0):
    """All content items of a report, flat."""
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from items(item)


def name_of(item):
    return item.ConceptNameCodeSequence[0].CodeMeaning


def test_a_report_holds_answer_numbers_and_what_they_hold_for(package, radiograph, tmp_path):
    file = radiograph()
    case = write_case(package(tmp_path / "model"), file, dicom=tmp_path / "out")
    made = written(tmp_path / "out")
    assert set(made) == {"SR", "OT"}
    report = made["SR"]
    numbers = {name_of(item): item.MeasuredValueSequence[0] for item in items(report) if item.ValueType == "NUM"}
    assert float(numbers["Calibrated probability of ill"].NumericValue) == pytest.approx(case.probabilities["ill"], abs=1e-9)
    assert float(numbers["Threshold of ill"].NumericValue) == 0.4
    assert float(numbers["Prevalence assumed of ill"].NumericValue) == 0.25
    assert {each.MeasurementUnitsCodeSequence[0].CodeValue for each in numbers.values()} == {"1"}
    (answer,) = [item for item in items(report) if item.ValueType == "CODE" and name_of(item) == "Finding"]
    assert answer.ConceptCodeSequence[0].CodeMeaning == case.decision
    texts = [item.TextValue for item in items(report) if item.ValueType == "TEXT"]
    assert any("Research use only" in each for each in texts)
    assert f"fingerprint: {case.package.fingerprint}" in texts
    assert hashlib.sha256(file.read_bytes()).hexdigest() in texts
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")


def test_both_belong_to_the_image_s_study_and_patient(package, radiograph, tmp_path):
    file = radiograph()
    write_case(package(tmp_path / "model"), file, dicom=tmp_path / "out")
    source = dcmread(file)
    for made in written(tmp_path / "out").values():
        assert made.StudyInstanceUID == source.StudyInstanceUID
        assert made.SeriesInstanceUID != source.SeriesInstanceUID
        assert (str(made.PatientName), made.PatientID, made.AccessionNumber) == ("Müller^Jörg", "ZZ1", "A1")
        assert made.SpecificCharacterSet == "ISO_IR 192"
    made = written(tmp_path / "out")
    (image,) = [item for item in items(made["SR"]) if item.ValueType == "IMAGE"]
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert made["OT"].SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_the_overlay_says_burnt_in_what_it_is(package, radiograph, tmp_path):
    write_case(package(tmp_path / "model"), radiograph(), dicom=tmp_path / "out")
    capture = written(tmp_path / "out")["OT"]
    assert capture.BurnedInAnnotation == "YES"
    assert "not where disease is" in capture.DerivationDescription
    assert "Research use only" in capture.ImageComments
    assert list(capture.PatientOrientation) == ["R", "F"]
    pixels = capture.pixel_array
    strip = pixels[int(pixels.shape[1] * 40 / 60) + 2 :]
    assert len(strip) > 40
    assert strip.min() == 0
    assert strip.max() == 255  # white letters on black
    assert 0.02 < (strip > 128).mean() < 0.3


def test_no_answer_is_a_report_with_its_reason_and_without_numbers_or_picture(package, radiograph, tmp_path):
    write_case(package(tmp_path / "model"), radiograph(Modality="CT"), dicom=tmp_path / "out")
    made = written(tmp_path / "out")
    assert set(made) == {"SR"}
    assert not [item for item in items(made["SR"]) if item.ValueType == "NUM"]
    (said,) = [item for item in items(made["SR"]) if item.ValueType == "CODE" and name_of(item) == "Decision of the model"]
    assert said.ConceptCodeSequence[0].CodeMeaning == "No answer"
    texts = " ".join(item.TextValue for item in items(made["SR"]) if item.ValueType == "TEXT")
    assert "its header says that it is a CT image" in texts


def test_unsound_values_are_left_out_and_never_quoted(package, radiograph, tmp_path, capfd, recwarn):
    wrong = {"PatientSex": "ZZCANARY", "StudyTime": None, "PatientOrientation": ["ZZ", "CANARY"], "ReferringPhysicianName": "ZZCANARY"}
    write_case(package(tmp_path / "model"), radiograph(**wrong), dicom=tmp_path / "out")
    for made in written(tmp_path / "out").values():
        assert made.PatientSex in (None, "")
        assert made.StudyTime in (None, "")
    assert "ZZCANARY" not in "".join(capfd.readouterr())
    assert "ZZCANARY" not in "".join(str(each.message) for each in recwarn)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_without_an_identity_nothing_can_refer_to_it(package, radiograph, tmp_path, keyword):
    with pytest.raises(MedtlError, match=f"its header has no valid {keyword}, so no DICOM object can refer to it"):
        write_case(package(tmp_path / "model"), radiograph(**{keyword: None}), dicom=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_frame_is_named(package, radiograph, tmp_path, marker):
    file = radiograph(NumberOfFrames=3, PixelData=np.stack([marker] * 3).tobytes())
    with pytest.raises(MedtlError, match="holds 3 images; say which one by --number, 1 to 3"):
        write_case(package(tmp_path / "model"), file, dicom=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    write_case(package(tmp_path / "model2"), file, dicom=tmp_path / "out", number=2)
    made = written(tmp_path / "out")
    (image,) = [item for item in items(made["SR"]) if item.ValueType == "IMAGE"]
    assert image.ReferencedSOPSequence[0].ReferencedFrameNumber == 2
    assert made["OT"].SourceImageSequence[0].ReferencedFrameNumber == 2


def test_mistakes_are_one_sentence(package, files, tmp_path):
    folder = str(package(tmp_path / "model"))
    for arguments, sentence in (
        ([str(files["png"])], "nothing is asked for; give --pdf FILE, --dicom FOLDER or both"),
        ([str(files["png"]), "--dicom", str(tmp_path / "out")], "it is no DICOM file"),
        ([str(files["text"]), "--pdf", str(tmp_path / "a.pdf")], "is neither DICOM, NIfTI nor a picture"),
        ([str(tmp_path / "nowhere.dcm"), "--pdf", str(tmp_path / "a.pdf")], "there is no such file"),
    ):
        said = CliRunner().invoke(app, ["case", folder, *arguments])
        assert said.exit_code == 2, said.output
        assert sentence in " ".join(said.output.split())
    assert not (tmp_path / "a.pdf").exists()


def test_nothing_that_is_there_is_written_over(package, radiograph, tmp_path):
    folder, image = str(package(tmp_path / "model")), radiograph()
    (tmp_path / "thesis.pdf").write_text("mine")
    (tmp_path / "link.pdf").symlink_to(image)
    before = image.read_bytes()
    for arguments, sentence in (
        (["--pdf", str(image)], "exists, so it is left alone; choose another name"),
        (["--pdf", str(tmp_path / "link.pdf")], "exists, so it is left alone"),
        (["--pdf", str(tmp_path / "thesis.pdf")], "exists, so it is left alone"),
        (["--pdf", str(tmp_path / "model")], "is a folder; give the file's own name"),
        (["--pdf", str(tmp_path / "thesis.pdf" / "a.pdf")], "is a file, so nothing can be written below it"),
        (["--dicom", str(tmp_path / "thesis.pdf")], "is a file; the objects are written into a folder"),
    ):
        said = CliRunner().invoke(app, ["case", folder, str(image), *arguments])
        assert said.exit_code == 2, said.output
        assert sentence in " ".join(said.output.split())
    assert (image.read_bytes(), (tmp_path / "thesis.pdf").read_text()) == (before, "mine")


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PatientBirthDate", "19600000"), ("StudyDate", "20230230"), ("StudyTime", "250000"), ("StudyTime", "126100")],
)
def test_a_date_or_time_that_is_none_is_left_out(package, radiograph, tmp_path, keyword, value):
    file = radiograph()
    stored, length = file.read_bytes(), len(value)
    honest = {"PatientBirthDate": b"19500131", "StudyDate": b"20200101", "StudyTime": b"120000"}[keyword]
    if keyword == "StudyTime":
        stored = radiograph(StudyTime="120000").read_bytes()
    assert stored.count(honest) == 1
    assert len(honest) == length
    file.write_bytes(stored.replace(honest, value.encode()))
    write_case(package(tmp_path / "model"), file, dicom=tmp_path / "out")
    for made in written(tmp_path / "out").values():
        assert str(made[keyword].value or "") == ""


def test_a_defect_does_not_quote_the_header(package, radiograph, tmp_path, monkeypatch):
    from medtl.interop import dicom_report

    def fails(*_: object) -> None:
        raise ValueError("cannot read Müller^Jörg")

    monkeypatch.setattr(dicom_report, "structured_report", fails)
    with pytest.raises(RuntimeError) as told:
        write_case(package(tmp_path / "model"), radiograph(), dicom=tmp_path / "out")
    details = "".join(traceback.format_exception(told.value))
    assert "Müller" not in details.replace('raise ValueError("cannot read Müller^Jörg")', "")
    assert "in fails" in details, "where it happened stays"
