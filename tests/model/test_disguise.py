"""A cat and a phone's photograph get no class from a model of radiographs; a grey picture and a skin model are left alone."""

from __future__ import annotations

import json

import pytest

from medtl.experiment.schema import Scope
from medtl.model.disguise import disguised

CHEST, SKIN = Scope(modality=("CR", "DX")), Scope(modality=("XC", "DMS"))


def row(modality: str = "", **told: object) -> dict[str, str]:
    return {"modality": modality, "receipt": json.dumps(told)}


@pytest.mark.parametrize(
    ("measurement", "scope", "refused"),
    [
        (row(origin="camera"), CHEST, "its own data say that a camera took it, and the model is for CR or DX"),
        (row(coloured=0.8), CHEST, "most of it is in colour, and the model is for CR or DX, which are grey"),
        (row(coloured=0.2), CHEST, ""),
        (row(origin="screenshot"), CHEST, ""),
        (row(), CHEST, ""),
        (row("DX", coloured=0.8), CHEST, ""),
        (row(coloured=0.9, origin="camera"), SKIN, ""),
        (row(coloured=0.9), Scope(), ""),
        (row(coloured=0.9), Scope(modality=("US",)), ""),
        (row(coloured=0.9), Scope(modality=("OT",)), ""),
    ],
)
def test_only_strong_grounds_refuse(measurement, scope, refused):
    assert disguised(measurement, scope) == refused
