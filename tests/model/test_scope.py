"""What is stated to be outside of the scope is set aside; what header and table leave open is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl import measurements
from medtl.experiment.schema import Scope
from medtl.model.codes import KINDS, REGIONS, VIEWS
from medtl.model.scope import outside, refusals, set_aside

CHEST = {"modality": ["CR", "DX"], "body_part": "CHEST", "view": ["PA", "AP"], "age": [0, 18]}


@pytest.mark.parametrize(
    ("modality", "scope", "refused"),
    [
        ("CT", ["CR", "DX"], True), ("MR", ["DX"], True), ("XC", ["US"], True), ("DX", ["MG"], True), ("CR", ["DX"], False),
        ("OT", ["DX"], False), ("", ["DX"], False), ("CT", [], False), ("CT", ["CT", "MR"], False), ("CT", ["CR", "OT"], False),
    ],
)  # fmt: skip
def test_only_another_kind_is_refused(modality: str, scope: list[str], refused: bool) -> None:
    assert bool(outside({"modality": modality}, Scope.model_validate({"modality": scope}))) == refused


@pytest.mark.parametrize(
    ("fact", "stated", "meant", "refused"),
    [
        ("view", "LL", ["PA", "AP"], True), ("view", "AP", ["PA"], True), ("view", "FRONTAL", ["PA"], False),
        ("view", "lateral", "LL", False),
        ("view", "ERECT", ["PA"], False), ("view", "LL", ["PA", "ERECT"], False), ("view", "", ["PA"], False), ("view", "LL", [], False),
        ("body_part", "KNEE", "CHEST", True), ("body_part", "thorax", "chest", False), ("body_part", "CHESTABDOMEN", "CHEST", False),
        ("body_part", "WHOLEBODY", "CHEST", False), ("body_part", "KNEE", ["CHEST", "SOMEWHERE"], False),
        ("body_part", "LEG", "KNEE", False),
        ("age", "64", [0, 18], True), ("age", "18", [0, 18], False), ("age", "0.25", [0.5, 18], True), ("age", "", [0, 18], False),
        ("age", "unknown", [0, 18], False), ("age", "045Y", [0, 18], True), ("age", "18", [18, 130], False), ("age", "17", [18, 130], True),
    ],
)  # fmt: skip
def test_view_body_part_and_age(fact: str, stated: str, meant: object, refused: bool) -> None:
    assert bool(outside({fact: stated}, Scope.model_validate({fact: meant}))) == refused


@given(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(REGIONS)), st.sampled_from(sorted(VIEWS)), st.integers(0, 129))
def test_what_is_stated_as_declared_is_never_refused(modality: str, part: str, view: str, age: int) -> None:
    scope = Scope.model_validate({"modality": modality, "body_part": part, "view": view, "age": [age, age + 1]})
    facts = {"modality": modality, "body_part": part, "view": view, "age": str(age)}
    assert outside(facts, scope) == ""
    assert outside(facts, Scope()) == ""
    assert outside({}, scope) == ""


def test_the_words_name_fact_and_scope_and_no_age_that_points_at_a_person() -> None:
    scope = Scope.model_validate(CHEST)
    assert outside({"body_part": "KNEE"}, scope) == "its header says body part KNEE, and the model is for CHEST"
    assert outside({"age": "64.7"}, scope) == "its header says that the patient is 64 years old, and the model is for 0 to 18 years"
    assert "is 90 years old or older" in outside({"age": "101"}, scope)
    assert "101" not in outside({"age": "101"}, scope)


def test_the_table_speaks_where_the_header_is_silent() -> None:
    rows = [{**measurements.row({"view": view}), "image": f"{place}.png", "frame": 0} for place, view in enumerate(["", "PA", ""])]
    table = pd.DataFrame({"image": ["2.png", "1.png", "0.png"], "frame": 0, "view": ["", "LL", "LL"], "age": ["40", "", ""]})
    found = refusals(measurements.table(rows), ["", "", "3"], Scope.model_validate(CHEST), table)
    assert found[:2] == ["its row of the table says view LL, and the model is for PA or AP", ""]
    assert found[2] == ""  # three years by the header, which goes before the table
    assert refusals(measurements.table(rows), ["", "", ""], Scope.model_validate(CHEST), table)[2].startswith(
        "its row of the table says that"
    )


def test_what_is_set_aside_is_quarantined_with_its_reason() -> None:
    rows = [
        {**measurements.row({"modality": modality, "quarantine": code, "reason": code}), "image": f"{place}.dcm", "frame": 0}
        for place, (modality, code) in enumerate([("CR", ""), ("CT", ""), ("CT", "DECODE_FAILED"), ("", "")])
    ]
    table = measurements.table(rows).set_index(np.array([7, 8, 9, 10]))
    store = SimpleNamespace(measurements=table, usable=(table["quarantine"] == "").to_numpy(), ages=np.array([""] * 4, object))
    set_aside(store, Scope.model_validate({"modality": ["CR", "DX"]}))  # type: ignore[arg-type]
    assert store.usable.tolist() == [True, False, False, True]
    assert table["quarantine"].tolist() == ["", "OUT_OF_SCOPE", "DECODE_FAILED", ""]
    assert table["reason"].iloc[1] == "its header says that it is a CT image, and the model is for CR or DX"
