"""Images that a model was never meant for by their kind: a CT slice is no radiograph, whatever the network would say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from medtl.experiment.schema import Scope

if TYPE_CHECKING:
    from medtl.imaging.store import Store

OUT_OF_SCOPE = "OUT_OF_SCOPE"

_KINDS = {
    "a radiograph": ("CR", "DX", "RG", "RF", "XA", "PX", "IO"), "a mammogram": ("MG",), "a CT image": ("CT",), "an MR image": ("MR",),
    "an ultrasound image": ("US", "IVUS", "BDUS"), "a nuclear medicine image": ("NM", "PT"),
    "a photograph": ("XC", "DMS", "GM", "ES"), "an image of the eye": ("OP", "OPT"), "a microscope image": ("SM",),
}  # fmt: skip
_KIND_OF = {code: kind for kind, codes in _KINDS.items() for code in codes}
"""DICOM modality → kind, as people tell them apart. Others (OT, SC …) say nothing about the picture."""


def other_kind(measurement: Mapping[str, Any], scope: Scope) -> str:
    """Why the model does not answer for this image, by the kind that the header states; empty where it may.

    Only another kind is refused: CR where DX is meant, and a header that says nothing, are the reader's to judge.

    >>> other_kind({"modality": "CT"}, Scope(modality=("CR", "DX")))
    'its header says that it is a CT image, and the model is for CR or DX'
    >>> other_kind({"modality": "CR"}, Scope(modality="DX")), other_kind({"modality": ""}, Scope(modality="DX"))
    ('', '')
    """
    meant = {_KIND_OF.get(code.upper(), "") for code in scope.modality}
    kind = _KIND_OF.get(str(measurement["modality"]), "")
    if not kind or not meant or "" in meant or kind in meant:
        return ""
    return f"its header says that it is {kind}, and the model is for {' or '.join(scope.modality)}"


def set_aside(store: Store, scope: Scope) -> None:
    """Quarantine the images of another kind, so that a model does not learn from what it will not answer for."""
    measured = store.measurements
    reasons = np.asarray([other_kind({"modality": modality}, scope) for modality in measured["modality"]], object)
    other = store.usable & (reasons != "")
    measured.loc[other, "quarantine"] = OUT_OF_SCOPE
    measured.loc[other, "reason"] = reasons[other]
    store.usable = store.usable & ~other
