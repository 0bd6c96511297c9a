"""DICOM's codes of modality, view and body part, and which of them may mean the same. Codes that are not here are not judged.

Source: DICOM PS3.3, C.7.3.1.1.1 (Modality), C.8.1.1 and C.8.11.1 (View Position), PS3.16 Annex L (Body Part Examined).
"""

from __future__ import annotations

from collections.abc import Mapping

Codes = Mapping[str, frozenset[str]]
"""Code → all that it may stand for; two codes agree where they share something."""


def _by_meaning(meanings: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """`{"chest": "CHEST THORAX"}` the other way round."""
    codes = {code for spelt in meanings.values() for code in spelt.split()}
    return {code: frozenset(meaning for meaning, spelt in meanings.items() if code in spelt.split()) for code in codes}


KINDS: Codes = _by_meaning(
    {
        "a radiograph": "CR DX RG RF XA PX IO", "a mammogram": "MG", "a CT image": "CT", "an MR image": "MR",
        "an ultrasound image": "US IVUS BDUS", "a nuclear medicine image": "NM PT", "a photograph": "XC DMS GM ES",
        "an image of the eye": "OP OPT", "a microscope image": "SM",
    }
)  # fmt: skip
"""As people tell them apart: CR is a radiograph like DX. OT, SC … say nothing about the picture."""

VIEWS: Codes = _by_meaning(
    {
        "PA": "PA FRONTAL", "AP": "AP FRONTAL", "left lateral": "LL LATERAL LAT", "right lateral": "RL LATERAL LAT",
        "left decubitus": "LLD", "right decubitus": "RLD", "left oblique": "LLO", "right oblique": "RLO",
        "CC": "CC XCC XCCL XCCM FB", "MLO": "MLO LMO SIO", "ML": "ML LM",
    }
)  # fmt: skip
"""FRONTAL may be PA or AP."""

REGIONS: Codes = _by_meaning(
    {
        "chest": "CHEST THORAX LUNG CHESTABDOMEN CHESTABDPELVIS", "abdomen": "ABDOMEN ABDOMENPELVIS CHESTABDOMEN CHESTABDPELVIS",
        "pelvis": "PELVIS ABDOMENPELVIS CHESTABDPELVIS HIP", "breast": "BREAST", "head": "HEAD SKULL BRAIN",
        "jaw": "JAW MANDIBLE MAXILLA", "neck": "NECK CSPINE", "thoracic spine": "TSPINE", "lumbar spine": "LSPINE",
        "shoulder": "SHOULDER CLAVICLE SCAPULA", "arm": "ARM HUMERUS ELBOW FOREARM", "hand": "HAND WRIST FINGER THUMB",
        "thigh": "LEG THIGH FEMUR", "knee": "LEG KNEE", "calf": "LEG CALF", "foot": "ANKLE FOOT TOE CALCANEUS",
        "eye": "EYE", "skin": "SKIN",
    }
)  # fmt: skip
"""What says several parts agrees with each. SPINE, EXTREMITY, WHOLEBODY … are too wide to tell anything."""
