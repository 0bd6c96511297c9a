"""DICOM folders with a label table: three ways to match, patients from the header, little inflated."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from medtl.cohorts.headers import read_facts
from medtl.cohorts.ids import installation_key, keyed_hash, unit_of
from medtl.cohorts.joining import read_cohorts
from medtl.contracts import Task
from medtl.errors import Mistakes
from medtl.imaging.dicom_facts import years

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def write_dicom(path: Path, uid: str, **values: str) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID, meta.TransferSyntaxUID = DX, uid, ExplicitVRLittleEndian
    header = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID, header.Modality = DX, uid, "DX"
    for keyword, value in values.items():
        setattr(header, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Patient A of issuer X: two images of one study; patient A of issuer Y; one without a patient id."""
    write_dicom(
        tmp_path / "d/1.dcm", "1.1", PatientID="A", IssuerOfPatientID="X", StudyInstanceUID="9.1", AccessionNumber="S1", ViewPosition="PA"
    )
    write_dicom(
        tmp_path / "d/2", "1.2", PatientID="A", IssuerOfPatientID="X", StudyInstanceUID="9.1", AccessionNumber="S1", ViewPosition="LL"
    )
    write_dicom(
        tmp_path / "d/1.2.3", "1.3", PatientID="A", IssuerOfPatientID="Y", StudyInstanceUID="9.2", AccessionNumber="S2", PatientAge="018M"
    )
    write_dicom(tmp_path / "d/4.dcm", "1.4", StudyInstanceUID="9.3", AccessionNumber="S3", ViewPosition="AP", PatientSex="F")
    (tmp_path / "d/t.csv").write_text("uid,acc,file,label\n1.1,S1,1.dcm,NORMAL\n1.2,S1,2,NORMAL\n1.3,S2,1.2.3,PNA\n1.4,S3,4,PNA\n")
    return tmp_path


DICOM = {"name": "dicom", "folder": "d", "table": "t.csv", "key": "uid", "rows": "all"}


@pytest.mark.parametrize(("match", "key"), [("sop_instance_uid", "uid"), ("file_name", "file")])
def test_rows_find_their_images(study: Path, plan: Callable[..., Any], match: str, key: str) -> None:
    source = read_cohorts(plan({**DICOM, "match": match, "key": key}, keep=["age", "sex", "view", "modality"]), study)
    rows = source.table.set_index("image")
    assert rows["label"].to_dict() == {"d/1.dcm": "normal", "d/2": "normal", "d/1.2.3": "pneumonia", "d/4.dcm": "pneumonia"}
    assert rows.loc["d/1.2.3", ["age", "sex", "view", "modality"]].tolist() == ["1.5", "", "", "DX"]
    assert rows.loc["d/4.dcm", ["age", "sex", "view", "modality"]].tolist() == ["", "F", "AP", "DX"]
    words = {"sop_instance_uid": "SOPInstanceUID", "file_name": "file name"}[match]
    assert source.notes == [f"default: 4 of 4 rows matched by {words}"]


def test_patients_are_issuer_and_id_else_the_study(study: Path, plan: Callable[..., Any]) -> None:
    ids = read_cohorts(plan(DICOM), study).table.set_index("image")["patient_id"]
    assert ids["d/1.dcm"] == ids["d/2"]
    assert ids.nunique() == 3
    assert (ids != "").all()


def test_an_id_without_an_issuer_is_that_of_the_only_issuer_who_has_it(tmp_path: Path, plan: Callable[..., Any]) -> None:
    with_issuer = {"a/NORMAL/1.dcm": "X", "a/NORMAL/2.dcm": "", "b/PNA/3.dcm": "", "b/PNA/4.dcm": "X"}
    for n, (name, issuer) in enumerate(with_issuer.items()):
        write_dicom(tmp_path / name, f"1.{n}", PatientID="A", **({"IssuerOfPatientID": issuer} if issuer else {}))
    write_dicom(tmp_path / "b/NORMAL/5.dcm", "1.9", PatientID="B")
    cohorts = [{"name": "folders", "folder": folder, "domain": folder, "patient": {"from": "header"}} for folder in "ab"]
    source = read_cohorts(plan(*cohorts), tmp_path)
    ids = source.table.set_index("image")["patient_id"]
    assert ids[list(with_issuer)].nunique() == 1
    assert ids["b/NORMAL/5.dcm"] == keyed_hash(installation_key(), unit_of("patient", "", "B")), "elsewhere the id stays as it was"
    assert ids["a/NORMAL/1.dcm"] == keyed_hash(installation_key(), unit_of("patient", "", "X\0A"))
    assert "2 images without an issuer of the patient id: taken for the patient whom the only issuer gave it" in source.notes
    apart = read_cohorts(plan(cohorts[0], {**cohorts[1], "issuer": "elsewhere"}), tmp_path)
    assert apart.table.set_index("image")["patient_id"][["a/NORMAL/1.dcm", "b/PNA/3.dcm"]].nunique() == 2
    write_dicom(tmp_path / "b/PNA/6.dcm", "1.8", PatientID="A", IssuerOfPatientID="Y")
    source = read_cohorts(plan(*cohorts), tmp_path)
    assert source.table.set_index("image")["patient_id"][[*with_issuer, "b/PNA/6.dcm"]].nunique() == 3
    assert "1 patient id stands without an issuer, and with several: taken for different people" in source.notes


def test_one_label_per_study_by_accession_number(study: Path, plan: Callable[..., Any]) -> None:
    (study / "d/t.csv").write_text("acc;label\nS1;NORMAL\nS2;PNA\nS3;PNA\nS4;PNA\n")
    cohort = {**DICOM, "match": "accession_number", "key": "acc"}
    with pytest.raises(Mistakes, match=r"1 row without an image \(3 of 4 rows matched by AccessionNumber\): lines 5;"):
        read_cohorts(plan(cohort), study)
    cohort["missing"] = "exclude"
    assert len(read_cohorts(plan(cohort), study).table) == 4
    with pytest.raises(Mistakes, match="1 study has several images: line 2"):
        read_cohorts(plan({**cohort, "rows": "refuse"}), study)
    frontal = read_cohorts(plan({**cohort, "rows": "frontal"}), study)
    assert sorted(frontal.table["image"]) == ["d/1.dcm", "d/4.dcm"]


def test_images_without_a_row_and_repeated_keys_are_refused(study: Path, plan: Callable[..., Any]) -> None:
    (study / "d/t.csv").write_text("uid,label\n1.1,NORMAL\n1.1,PNA\n1.3,PNA\n")
    with pytest.raises(Mistakes) as refusal:
        read_cohorts(plan(DICOM), study)
    assert "2 images without a row in the table: d/2, d/4.dcm" in str(refusal.value)
    assert "2 rows repeat a value of 'uid': lines 2, 3" in str(refusal.value)


@pytest.fixture
def two_patients(tmp_path: Path) -> Path:
    """Two folders, in each the same two file names."""
    for place, patient in enumerate("AB"):
        for n in range(2):
            write_dicom(tmp_path / f"d/pat{patient}/IM{n}.dcm", f"1.{place}.{n}", PatientID=patient, StudyInstanceUID=f"9.{place}")
    return tmp_path


FILES = {**DICOM, "match": "file_name", "key": "file"}


def test_a_name_that_several_patients_files_have_labels_none_of_them(two_patients: Path, plan: Callable[..., Any]) -> None:
    for written in ("IM0.dcm", "IM0"):
        (two_patients / "d/t.csv").write_text(f"file,label\n{written},NORMAL\npatA/IM1.dcm,PNA\n")
        with pytest.raises(Mistakes, match=rf"1 name stands for several files below 'd': {written}; write their paths"):
            read_cohorts(plan({**FILES, "unlisted": "exclude"}), two_patients)


@pytest.mark.parametrize("form", ["{0}/{1}.dcm", "{0}\\{1}.dcm", "./{0}/{1}.dcm", "{0}/../{0}/{1}", "d/{0}/{1}.dcm"])
def test_paths_find_their_file_however_they_are_written(two_patients: Path, plan: Callable[..., Any], form: str) -> None:
    labels = {("A", 0): "NORMAL", ("A", 1): "PNA", ("B", 0): "PNA", ("B", 1): "NORMAL"}
    rows = "".join(f"{form.format(f'pat{who}', f'IM{n}')},{label}\n" for (who, n), label in labels.items())
    (two_patients / "d/t.csv").write_text(f"file,label\n{rows}")
    found = read_cohorts(plan(FILES), two_patients).table.set_index("image")["label"].to_dict()
    assert found == {f"d/pat{who}/IM{n}.dcm": {"PNA": "pneumonia"}.get(label, "normal") for (who, n), label in labels.items()}
    (two_patients / "d/t.csv").write_text(f"file,label\n{rows}patA/IM0.dcm,PNA\n")
    with pytest.raises(Mistakes, match="2 rows repeat a value of 'file': lines 2, 6"):
        read_cohorts(plan(FILES), two_patients)


@pytest.mark.parametrize("written", ["Mu\u0308/IM.dcm", "Mu\u0308/IM", "M\u00fc\\IM"])
def test_paths_with_marks_find_their_file(tmp_path: Path, plan: Callable[..., Any], written: str) -> None:
    write_dicom(tmp_path / "d/Mu\u0308/IM.dcm", "1.1", PatientID="A")
    write_dicom(tmp_path / "d/B\u00e4.dcm", "1.2", PatientID="B")
    (tmp_path / "d/t.csv").write_text(f"file,label\n{written},NORMAL\nBa\u0308,PNA\n", encoding="utf-8")
    assert read_cohorts(plan(FILES), tmp_path).table["label"].tolist() == ["pneumonia", "normal"]


def test_no_match_at_all_is_refused(study: Path, plan: Callable[..., Any]) -> None:
    (study / "d/t.csv").write_text("uid,label\n7.1,NORMAL\n7.2,PNA\n")
    with pytest.raises(Mistakes, match="0 of 2 rows matched by SOPInstanceUID"):
        read_cohorts(plan({**DICOM, "missing": "exclude"}), study)


def test_messages_hold_no_header_values(study: Path, plan: Callable[..., Any]) -> None:
    write_dicom(study / "d/5.dcm", "1.5", PatientID="ZZCANARY", PatientName="ZZCANARY", StudyInstanceUID="9.1")
    with pytest.raises(Mistakes) as refusal:
        read_cohorts(plan({**DICOM, "rows": "refuse"}), study)
    assert "ZZCANARY" not in str(refusal.value)
    source = read_cohorts(plan({**DICOM, "unlisted": "exclude"}), study)
    assert "ZZCANARY" not in source.table.to_csv() + str(source.notes)


def deflate(path: Path, more: bytes = b"") -> None:
    """The same file in the deflated transfer syntax, with `more` behind its elements."""
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    data = path.read_bytes()
    start = 144 + struct.unpack("<I", data[140:144])[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    path.write_bytes(data[:start] + packer.compress(zlib.decompress(data[start:], -15) + more) + packer.flush())


PIXELS = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 2**24)


def test_deflated_files_have_their_ids_and_facts(tmp_path: Path) -> None:
    for name, more in (("plain.dcm", b""), ("deflated.dcm", PIXELS + bytes(2**24))):
        write_dicom(
            tmp_path / name, "1.1", PatientID="A", IssuerOfPatientID="X", StudyInstanceUID="9.1", PatientAge="062Y", ViewPosition="PA"
        )
        if more:
            deflate(tmp_path / name, more)
    assert (tmp_path / "deflated.dcm").stat().st_size < 20_000
    facts = read_facts(tmp_path / "deflated.dcm")
    assert facts == read_facts(tmp_path / "plain.dcm")
    assert facts is not None
    assert (facts["patient_id"], facts["issuer"], facts["age"], facts["view"]) == ("A", "X", "62", "PA")


@pytest.mark.parametrize(
    ("more", "known"),
    [(PIXELS, True), (b"", True), (struct.pack("<HH2sHI", 0x0009, 0x1010, b"OB", 0, 2**24), False)],
    ids=["pixels", "nothing", "element"],
)
def test_only_the_beginning_of_a_deflated_file_is_inflated(tmp_path: Path, more: bytes, known: bool) -> None:
    """64 MiB of zeros in 64 KB: pydicom would inflate them all before the first tag."""
    path = tmp_path / "bomb.dcm"
    write_dicom(path, "1.1")
    deflate(path, more + bytes(2**26))
    with_preamble = path.read_bytes()
    for content in (with_preamble, with_preamble[132:]):
        path.write_bytes(content)
        tracemalloc.start()
        facts = read_facts(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
        tracemalloc.stop()
        assert (facts is not None) == (known and content is with_preamble)


def test_a_deflated_file_that_is_cut_has_no_half_ids(tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    write_dicom(path, "1.1", PatientID="A" * 64)
    deflate(path)
    whole = path.read_bytes()
    for cut in range(1, 40):
        path.write_bytes(whole[:-cut])
        facts = read_facts(path)
        assert facts is None or facts["patient_id"] in ("A" * 64, "")


def test_files_without_uid_and_modality_have_their_other_ids(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    for name in ("PatientID", "StudyInstanceUID", "AccessionNumber"):
        write_dicom(path, "1.1", **{name: "9.1"})
        dataset = pydicom.dcmread(path)
        del dataset.SOPInstanceUID, dataset.Modality
        dataset.save_as(path)
        assert [value for value in (read_facts(path) or {}).values() if value == "9.1"] == ["9.1"]


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 200, b"\0" * 128 + b"DICM", b"hello " * 100])
def test_what_has_no_header_says_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.dcm").write_bytes(content)
    assert read_facts(tmp_path / "x.dcm") is None


def test_headers_without_preamble_are_read(tmp_path: Path) -> None:
    write_dicom(tmp_path / "x.dcm", "1.1", PatientAge="062Y")
    (tmp_path / "x.dcm").write_bytes((tmp_path / "x.dcm").read_bytes()[132:])
    facts = read_facts(tmp_path / "x.dcm")
    assert facts is not None
    assert (facts["sop_instance_uid"], facts["age"]) == ("1.1", "62")


@pytest.mark.parametrize(("age", "expected"), [("000Y", "0"), ("010D", "0.03"), ("004W", "0.08"), ("999", "999"), ("", ""), ("Y", "")])
def test_ages(age: str, expected: str) -> None:
    assert years(age) == expected


def test_several_findings_of_an_image_are_columns_of_the_table(study: Path, plan: Callable[..., Any]) -> None:
    (study / "d/t.csv").write_text("uid,Edema,nodule\n1.1,1,0\n1.2,1,\n1.3,-1,1\n1.4,0,0\n")
    made = plan({**DICOM, "uncertain": [-1]})
    task = Task(kind="multi", classes={"edema": ["Edema"], "nodule": []})
    rows = read_cohorts(made.__class__(task, made.cohorts), study).table.set_index("image")
    assert rows["label"].to_dict() == {"d/1.dcm": "edema", "d/2": "edema", "d/1.2.3": "nodule", "d/4.dcm": "none"}
    assert rows["y_nodule"].to_dict() == {"d/1.dcm": "0", "d/2": "", "d/1.2.3": "1", "d/4.dcm": "0"}
