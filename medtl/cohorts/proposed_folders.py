"""What a folder of class folders probably means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from medtl.cohorts.proposal import Proposal, patients_of_headers, read_headers_of, said


def of_folders(root: Path, images: list[str], classes: Mapping[str, int]) -> Proposal:
    """One folder per class (`classes`: name → images)."""
    found = [f"{len(images):,} images, one folder per class: {said(classes)}"]
    if of_headers := patients_of_headers(read_headers_of(root, images)):
        return Proposal({"name": "folders", "patient": {"from": "header"}}, dict(classes), "patient", found=[*found, of_headers])
    remark = "if file names hold the patient: patient: {from: filename, pattern: '(person\\d+)'}"
    return Proposal({"name": "folders"}, dict(classes), "image", remarks={"split": remark}, found=found)
