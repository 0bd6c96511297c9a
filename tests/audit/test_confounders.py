"""Who and what the images of each class are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from medtl.audit.confounders import age_band, confounders
from medtl.audit.findings import Finding

Make = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]


def found(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


@pytest.mark.parametrize(
    ("years", "band"), [(0, "0-17"), (17.9, "0-17"), (18, "18-39"), (59.5, "40-59"), (60, "60-74"), (101, "75+"), (float("nan"), "unknown")]
)
def test_age_bands(years: float, band: str) -> None:
    assert age_band(years) == band


def test_the_cross_table_counts_every_image_once(cohort: Make) -> None:
    records, measured = cohort()
    chance = np.random.default_rng(0)
    records = records.assign(sex=chance.choice(["F", "M", ""], 400), age=chance.integers(1, 95, 400).astype(str))
    measured["view"] = chance.choice(["PA", "AP"], 400)
    table = found(confounders(records, measured))["CROSS_TABLE"].table
    assert list(table.columns) == ["label", "domain", "view", "sex", "age", "images", "groups"]
    assert table["images"].sum() == 400
    band = pd.to_numeric(records["age"]).between(40, 59)
    cell = (records["label"] == "normal") & (measured["view"] == "PA") & (records["sex"] == "F") & band
    row = table[(table["label"] == "normal") & (table["view"] == "PA") & (table["sex"] == "F") & (table["age"] == "40-59")]
    assert row[["images", "groups"]].to_numpy().tolist() == [[cell.sum(), records.loc[cell, "patient_id"].nunique()]]
    assert "unknown" in set(table["sex"])


def test_a_value_that_comes_with_one_class_only(cohort: Make) -> None:
    records, measured = cohort()
    sick = records["label"] == "pneumonia"
    records["site"] = np.where(sick & (np.arange(400) % 3 == 0), "clinic", "practice")
    finding = found(confounders(records, measured))["ONE_CLASS_ONLY"]
    clinic = records["site"] == "clinic"
    assert f"all {clinic.sum()} images with site 'clinic' are 'pneumonia'" in finding.title
    assert finding.table["value"].tolist() == ["clinic"]


def test_few_images_of_one_class_are_chance(cohort: Make) -> None:
    """Of ten images, all of the class that nine tenths have anyway."""
    records, measured = cohort(600, per_group=1)
    records["label"] = np.where(np.arange(600) % 10 == 0, "rare", "common")
    records["device"] = np.where((np.arange(600) % 60 < 2) & (records["label"] == "common"), "old", "new")
    assert (records["device"] == "old").sum() == 10
    assert "ONE_CLASS_ONLY" not in found(confounders(records, measured))


def test_what_tells_domains_apart(cohort: Make) -> None:
    records, measured = cohort()
    records["domain"] = np.where(pd.factorize(records["patient_id"])[0] % 2, "north", "south")
    assert "DOMAINS_DIFFER" not in found(confounders(records, measured))
    measured["padding_share"] = 0.2 * (records["domain"] == "north")
    records["label"] = records["label"].where(records["domain"] == "north", "")  # a target's labels may be hidden
    finding = found(confounders(records, measured))["DOMAINS_DIFFER"]
    assert finding.severity == "note"
    assert finding.table["property"].tolist() == ["border and padding"]
    assert "AUROC 1.000" in finding.title


def test_nothing_to_look_at(cohort: Make) -> None:
    records, measured = cohort(20)
    assert confounders(records.assign(label=""), measured) == []
