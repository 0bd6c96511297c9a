"""An audit on disk: what is written is read again, and the remedy is what the findings say."""

from __future__ import annotations

import json
from pathlib import Path

import networkx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.audit import kept, remedy
from medtl.audit.findings import Finding
from medtl.audit.kept import Audit
from medtl.errors import MedtlError

TORN = Finding(
    code="PATIENT_ACROSS_SPLITS",
    severity="grave",
    title="1 patient stands in several splits",
    advice="Split by patient.",
    table=pd.DataFrame({"image": ["a.png", "b.png"], "frame": [0, 3], "share": [0.25, float("nan")]}),
    pairs=[(("a.png", 0), ("b.png", 3))],
    join=[(("a.png", 0), ("b.png", 3))],
)
BLANK = Finding(code="BLANK", severity="notable", title="1 image is blank", images=[("c.png", 0)], exclude=[("c.png", 0)])


def audit(*findings: Finding) -> Audit:
    return Audit("made", {"images": 3, "groups": 2, "train": 3}, ["no", "yes"], ["here"], ["Looked at."], findings)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    kept.write(audit(TORN, BLANK), tmp_path)
    again = kept.read(tmp_path)
    assert again is not None
    assert [finding.code for finding in again.findings] == ["PATIENT_ACROSS_SPLITS", "BLANK"]
    assert (again.findings[0].pairs, again.findings[0].join) == (TORN.pairs, TORN.join)
    assert (again.findings[1].images, again.findings[1].exclude) == (BLANK.images, BLANK.exclude)
    assert again.findings[0].table["share"].tolist() == ["0.25", ""]
    assert again.findings[1].table.empty
    assert (again.counts, again.classes, again.looked) == ({"images": 3, "groups": 2, "train": 3}, ["no", "yes"], ["Looked at."])
    content = json.loads((tmp_path / "audit.json").read_text())
    assert content["format"] == 1
    assert content["severities"] == {"grave": 1, "notable": 1, "note": 0}
    assert content["findings"][0]["table"] == "audit/01-patient-across-splits.csv"


def test_tables_of_an_earlier_audit_go(tmp_path: Path) -> None:
    kept.write(audit(TORN), tmp_path)
    kept.write(audit(BLANK), tmp_path)
    assert not list((tmp_path / "audit").glob("*.csv"))


def test_no_audit_is_none_and_a_damaged_or_newer_one_says_so(tmp_path: Path) -> None:
    assert kept.read(tmp_path) is None
    (tmp_path / "audit.json").write_text('{"format": 1, "name"')
    with pytest.raises(MedtlError, match="cut or damaged"):
        kept.read(tmp_path)
    (tmp_path / "audit.json").write_text('{"format": 2}')
    with pytest.raises(MedtlError, match="newer medtl"):
        kept.read(tmp_path)


def test_an_image_is_excluded_once_with_all_reasons() -> None:
    other = Finding(code="SAME_PIXELS", severity="notable", title="", exclude=[("c.png", 0), ("a.png", 0), ("a.png", 0)])
    table = remedy.exclusions([BLANK, other])
    assert table.to_numpy().tolist() == [["a.png", 0, "SAME_PIXELS"], ["c.png", 0, "BLANK|SAME_PIXELS"]]


KEYS = st.tuples(st.sampled_from("abcdef"), st.integers(0, 2))


@given(st.lists(st.tuples(KEYS, KEYS), max_size=15))
def test_groups_are_the_connected_components(pairs: list[tuple[tuple[str, int], tuple[str, int]]]) -> None:
    table = remedy.groups([Finding(code="NEAR", severity="grave", title="", join=pairs)])
    found = {frozenset(zip(own["image"], own["frame"], strict=True)) for _, own in table.groupby("group")}
    assert found == {frozenset(part) for part in networkx.connected_components(networkx.Graph(pairs))}


def test_the_remedy_names_the_settings_that_take_it(tmp_path: Path) -> None:
    assert remedy.write([TORN, BLANK], tmp_path) == [
        ("split.exclude", tmp_path / "exclude.csv"),
        ("split.groups", tmp_path / "groups.csv"),
    ]
    assert remedy.write([BLANK], tmp_path) == [("split.exclude", tmp_path / "exclude.csv")]
    assert not (tmp_path / "groups.csv").exists()
