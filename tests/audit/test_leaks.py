"""Ids on both sides of a split, and the gate that refuses them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtl.audit.findings import Finding
from medtl.audit.gate import refuse_leaks
from medtl.audit.leaks import leaks
from medtl.audit.settings import LEAKS, AuditSettings
from medtl.errors import GateRefusal


def records(patients: Sequence[str], splits: Sequence[str], **columns: object) -> pd.DataFrame:
    """A records table with a row for each patient given."""
    table = pd.DataFrame({"image": [f"{number}.png" for number in range(len(patients))], "frame": 0, "sha256": "", "label": "ill"})
    table = table.assign(patient_id=patients, group_id=patients, group_kind="patient", domain="here", split=splits, fold="")
    return table.assign(**columns)


def codes(found: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in found]


def test_patients_on_both_sides_are_counted_shown_and_tied() -> None:
    (found,) = leaks(records(["a", "a", "a", "b", "b", "c", ""], ["train", "train", "test", "validation", "train", "test", "train"]))
    assert (found.code, found.severity) == ("PATIENT_ACROSS_SPLITS", "grave")
    assert found.title.startswith("2 patients of 3 stand in several splits (5 images)")
    assert list(found.table["image"]) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert list(found.join) == [(("0.png", 0), ("1.png", 0)), (("1.png", 0), ("2.png", 0)), (("3.png", 0), ("4.png", 0))]
    assert list(found.pairs) == [(("0.png", 0), ("2.png", 0)), (("3.png", 0), ("4.png", 0))]


def test_what_is_excluded_or_unknown_leaks_nothing() -> None:
    assert leaks(records(["a", "a", "", ""], ["train", "excluded", "train", "test"])) == []


def test_folds_are_sides_too() -> None:
    (found,) = leaks(records(["a", "a", "b"], ["", "", ""], fold=["0", "1", "1"]))
    assert "1 patient of 2 stands in several folds (2 images): 1 in fold 0 and fold 1" in found.title
    assert leaks(records(["a", "a", "b"], ["", "", ""], fold=["1", "1", "0"])) == []


def test_studies_and_lesions_leak_where_patients_are_unknown() -> None:
    table = records(["", "", ""], ["train", "test", "test"], group_id=["l", "l", "m"], group_kind="lesion")
    assert codes(leaks(table)) == ["LESION_ACROSS_SPLITS"]
    assert codes(leaks(table.assign(group_kind="image", study_id=["s", "", "s"]))) == ["STUDY_ACROSS_SPLITS"]
    assert codes(leaks(table.assign(group_kind="image"))) == []


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["train", "test", "excluded"])), max_size=12))
def test_a_leak_is_found_exactly_where_an_id_has_two_sides(rows: list[tuple[str, str]]) -> None:
    sides: dict[str, set[str]] = {}
    for patient, split in rows:
        sides.setdefault(patient, set()).update({split} - {"excluded"})
    torn = {patient for patient, own in sides.items() if len(own) > 1}
    found = leaks(records([patient for patient, _ in rows], [split for _, split in rows]))
    assert {patient for finding in found for patient in finding.table["patient_id"]} == torn


def test_the_gate_refuses_what_the_config_does_not_name() -> None:
    table = records(["a", "a"], ["train", "test"], lesion_id=["l", "l"])
    found = leaks(table)
    with pytest.raises(
        GateRefusal, match=r"1 patient of 1 .*\[PATIENT_ACROSS_SPLITS\](.|\n)*allow: \[PATIENT_ACROSS_SPLITS, LESION"
    ) as refusal:
        refuse_leaks(found)
    assert refusal.value.exit_code == 3
    with pytest.raises(GateRefusal, match=r"allow: \[LESION_ACROSS_SPLITS\]"):
        refuse_leaks(found, AuditSettings(allow="PATIENT_ACROSS_SPLITS").allow)
    assert refuse_leaks(found, LEAKS) == found
    assert refuse_leaks([Finding("RARE_CLASS", "grave", "few")]) == []


def test_only_leaks_can_be_allowed() -> None:
    with pytest.raises(ValueError, match="PATIENT_ACROSS_SPLITS"):
        AuditSettings(allow=["RARE_CLASS"])
