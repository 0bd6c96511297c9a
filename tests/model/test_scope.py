"""Another kind of image than the scope names is set aside; what a header leaves open is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from medtl import measurements
from medtl.experiment.schema import Scope
from medtl.model.scope import other_kind, set_aside


@pytest.mark.parametrize(
    ("modality", "scope", "refused"),
    [
        ("CT", ["CR", "DX"], True), ("MR", ["DX"], True), ("XC", ["US"], True), ("DX", ["MG"], True), ("CR", ["DX"], False),
        ("OT", ["DX"], False), ("", ["DX"], False), ("CT", [], False), ("CT", ["CT", "MR"], False), ("CT", ["CR", "OT"], False),
    ],
)  # fmt: skip
def test_only_another_kind_is_refused(modality: str, scope: list[str], refused: bool) -> None:
    assert bool(other_kind({"modality": modality}, Scope.model_validate({"modality": scope}))) == refused


def test_what_is_set_aside_is_quarantined_with_its_reason() -> None:
    rows = [
        {**measurements.row({"modality": modality, "quarantine": code, "reason": code}), "image": f"{place}.dcm", "frame": 0}
        for place, (modality, code) in enumerate([("CR", ""), ("CT", ""), ("CT", "DECODE_FAILED"), ("", "")])
    ]
    table = measurements.table(rows).set_index(np.array([7, 8, 9, 10]))
    store = SimpleNamespace(measurements=table, usable=(table["quarantine"] == "").to_numpy())
    set_aside(store, Scope.model_validate({"modality": ["CR", "DX"]}))  # type: ignore[arg-type]
    assert store.usable.tolist() == [True, False, False, True]
    assert table["quarantine"].tolist() == ["", "OUT_OF_SCOPE", "DECODE_FAILED", ""]
    assert table["reason"].iloc[1] == "its header says that it is a CT image, and the model is for CR or DX"
