"""What medtl writes as DICOM, as dcmtk reads it: another implementation, and a strict one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from medtl.app.documents import write_case

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def written(models: list[Path], files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{modality: file} of an answer."""
    place = tmp_path_factory.mktemp("objects")
    source = dcmread(files["dicom"])
    source.StudyInstanceUID, source.SeriesInstanceUID = generate_uid(), generate_uid()
    source.save_as(place / "image.dcm")
    write_case(models[0], place / "image.dcm", dicom=place / "out")
    return {dcmread(file).Modality: file for file in (place / "out").iterdir()}


def run(tool: str, *arguments: Any) -> subprocess.CompletedProcess[str]:
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool} on this machine (apt-get install dcmtk dicom3tools)")
    return subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_the_report_is_a_valid_comprehensive_sr(written: dict[str, Path]) -> None:
    read = run("dsrdump", "--print-all-codes", "--no-color", "--print-long-values", written["SR"])
    assert read.returncode == 0, read.stderr
    assert "E:" not in read.stderr
    for part in (
        "Comprehensive SR Document", '(126000,DCM,"Imaging Measurement Report")', "Preliminary Flag    : PRELIMINARY",
        'NUM:(P_', '(1,UCUM,"no units")', '(121071,DCM,"Finding")', "Research use only", "fingerprint: ",
    ):  # fmt: skip
        assert part in read.stdout, part


def test_both_objects_are_read_without_a_complaint(written: dict[str, Path]) -> None:
    for modality, file in written.items():
        read = run("dcmdump", file)
        assert read.returncode == 0, (modality, read.stderr)
        assert not read.stderr.strip()
    assert "(0028,0301) CS [YES]" in run("dcmdump", written["OT"]).stdout


def test_the_overlay_can_be_shown(written: dict[str, Path], tmp_path: Path) -> None:
    shown = run("dcmj2pnm", "--write-png", written["OT"], tmp_path / "overlay.png")
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "overlay.png").stat().st_size > 1000


@pytest.mark.parametrize("modality", ["SR", "OT"])
def test_no_rule_of_the_standard_is_broken(written: dict[str, Path], modality: str) -> None:
    """dicom3tools, where it is there."""
    found = run("dciodvfy", written[modality])
    assert not [line for line in found.stderr.splitlines() if line.startswith("Error")]
