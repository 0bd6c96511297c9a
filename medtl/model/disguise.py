"""Pictures that are evidently not what a model is for, though no header says it: a phone's photograph, or a colourful picture, where
radiographs or slices are meant. Torch-free.

Only strong grounds refuse: what a camera has written into the file, and colour over most of the picture. All else is the gate's, which
knows what the training images look like, or the reader's (docs/gate.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from medtl.experiment.schema import Scope
from medtl.imaging.origins import CAMERA
from medtl.model.codes import KINDS

_GREY = frozenset({"a radiograph", "a mammogram", "a CT image", "an MR image"})
"""Kinds that are grey by nature and that no camera makes."""
MOSTLY = 0.5
"""From this share of strongly coloured pixels on a picture is colourful; ink, a marker or a coloured caption is far below."""


def disguised(measurement: Mapping[str, Any], scope: Scope) -> str:
    """Why a picture is not what the scope names, or empty; for files without a modality of their own.

    >>> row = {"modality": "", "receipt": '{"origin": "camera Apple iPhone 12"}'}
    >>> disguised(row, Scope(modality=("CR", "DX")))
    'its own data say that a camera took it (Apple iPhone 12), and the model is for CR or DX'
    >>> disguised(row, Scope(modality=("XC",))), disguised(row, Scope())
    ('', '')
    """
    meant = [KINDS.get(code.upper(), frozenset()) for code in scope.modality]
    if measurement.get("modality") or not meant or not all(kinds and kinds <= _GREY for kinds in meant):
        return ""
    told = json.loads(str(measurement.get("receipt") or "{}"))
    codes = " or ".join(scope.modality)
    origin = str(told.get("origin", ""))
    if origin.startswith(CAMERA):
        device = origin.removeprefix(CAMERA).strip()
        return f"its own data say that a camera took it{f' ({device})' if device else ''}, and the model is for {codes}"
    if float(told.get("coloured", 0)) >= MOSTLY:
        return f"most of it is in colour, and the model is for {codes}, which are grey"
    return ""
