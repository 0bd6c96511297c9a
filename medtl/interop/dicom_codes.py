"""Coded concepts of the DICOM objects: DICOM's and SNOMED's where they have one, medtl's own private scheme for the rest.

A class's name is the hospital's word; that it means what a SNOMED code of the same name means is not known, so none is claimed.
"""

from __future__ import annotations

import hashlib

from highdicom.sr import CodedConcept

SCHEME = "99MEDTL"

TITLE = CodedConcept("126000", "DCM", "Imaging Measurement Report")
IMAGING = CodedConcept("363679005", "SCT", "Imaging")
DEVICE = CodedConcept("121007", "DCM", "Device")
FINDING = CodedConcept("121071", "DCM", "Finding")
COMMENT = CodedConcept("121106", "DCM", "Comment")
ENGLISH = CodedConcept("en", "RFC5646", "English")
NO_UNITS = CodedConcept("1", "UCUM", "no units")
FAMILY = CodedConcept("123110", "DCM", "Artificial Intelligence")

DECISION = CodedConcept("DECISION", SCHEME, "Decision of the model")
NO_ANSWER = CodedConcept("NO_ANSWER", SCHEME, "No answer")
NONE_FOUND = CodedConcept("NONE_FOUND", SCHEME, "None of the findings")
IMAGE_HASH = CodedConcept("FILE_SHA256", SCHEME, "SHA-256 of the image file")
RESEARCH_USE = CodedConcept("RESEARCH_USE", SCHEME, "Intended use")


def of_class(name: str) -> CodedConcept:
    """The class itself, as an answer."""
    return _own("C", name, name)


def probability_of(name: str) -> CodedConcept:
    """The name of a number: the calibrated probability of a class."""
    return _own("P", name, f"Calibrated probability of {name}")


def threshold_of(name: str) -> CodedConcept:
    """The name of a number: from which probability on the class is called."""
    return _own("T", name, f"Threshold of {name}")


def prevalence_of(name: str) -> CodedConcept:
    """The name of a number: how frequent the class is where the probability holds."""
    return _own("V", name, f"Prevalence assumed of {name}")


def _own(kind: str, name: str, meaning: str) -> CodedConcept:
    """The same code for the same name always; a code value holds 16 letters, a meaning 64."""
    return CodedConcept(f"{kind}_{hashlib.sha256(name.encode()).hexdigest()[:12]}".upper(), SCHEME, meaning[:64])
