"""A cohort whose labels are hidden: whatever its table says, its images have none, and are split as all others."""

from __future__ import annotations

import pandas as pd
import pytest
from pydantic import ValidationError

from medtl.cohorts import parse_cohort
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records
from medtl.contracts import Task


@pytest.fixture
def tables(tmp_path, touch):
    """`here/` with right labels, and `there/`, whose table is given: 60 images of 60 patients each."""

    def make(**there: list[str]) -> None:
        for domain in ("here", "there"):
            names = [f"{domain}/{number:02d}.png" for number in range(60)]
            touch(*names)
            labels = {"label": ["NORMAL", "PNEUMONIA"] * 30} if domain == "here" else there
            pd.DataFrame({"image": names, "patient_id": [f"{domain}{n}" for n in range(60)], **labels}).to_csv(
                tmp_path / f"{domain}.csv", index=False
            )

    return make


HERE = {"name": "csv", "domain": "here", "table": "here.csv"}
THERE = {"name": "csv", "domain": "there", "table": "there.csv", "labels": "hidden"}


@pytest.mark.parametrize("label", [None, ["NORMAL", "PNEUMONIA"] * 30, ["a cell", "that no task knows"] * 30, ["junk"] * 60])
def test_nothing_that_is_written_reaches_records(tmp_path, tables, plan, measured, label):
    tables(**({"label": label} if label else {}))
    asked = plan(HERE, THERE, ignore=["junk"])
    source = read_cohorts(asked, tmp_path)
    made = make_records(source.table, measured(source.table), asked, tmp_path)
    there = made[made["domain"] == "there"]
    assert len(there) == 60
    assert (there["label"] == "").all()
    assert set(there["split"]) == {"train", "validation", "test"}
    assert set(made.loc[made["domain"] == "here", "label"]) == {"normal", "pneumonia"}
    assert any("60 images whose labels are hidden" in note for note in source.notes)


def test_a_fraction_of_the_labels_leaves_the_target_whole(tmp_path, tables, plan, measured):
    tables()
    whole, part = (plan(HERE, THERE, fraction=fraction) for fraction in (1.0, 0.3))
    source = read_cohorts(whole, tmp_path)
    split = [make_records(source.table, measured(source.table), asked, tmp_path) for asked in (whole, part)]
    there = split[0]["domain"] == "there"
    assert split[0].loc[there, "split"].equals(split[1].loc[there, "split"])
    assert (split[1].loc[~there, "split"] == "excluded").any()


def test_findings_are_hidden_column_by_column(tmp_path, tables, plan):
    tables(normal=["1", "0"] * 30)
    asked = plan(THERE)
    task = Task(kind="multi", classes={"normal": ("normal",), "pneumonia": ("pneumonia",)})
    table = read_cohorts(type(asked)(task, asked.cohorts), tmp_path, every_class=False).table
    assert (table[["label", "y_normal", "y_pneumonia"]] == "").all(axis=None)


def test_a_class_must_be_found_where_labels_are_shown(tmp_path, tables, plan):
    tables(label=["NORMAL", "PNEUMONIA"] * 30)
    with pytest.raises(Exception, match="has no image"):
        read_cohorts(plan(THERE), tmp_path)


def test_made_images_can_hide_their_labels_and_are_the_same_images():
    shown, hidden = (parse_cohort({"name": "phantom", "kind": "chest", **more}) for more in ({}, {"labels": "hidden"}))
    assert shown.phantom() == hidden.phantom()
    with pytest.raises(ValidationError):
        parse_cohort({"name": "phantom", "kind": "chest", "labels": "secret"})
