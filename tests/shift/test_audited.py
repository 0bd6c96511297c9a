"""Domains of an audited cohort against each other, and what is measured of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from medtl import measurements
from medtl.audit import kept
from medtl.audit.findings import Finding
from medtl.audit.page import write_page
from medtl.shift.audited import domain_shifts


def _cohort(domains: dict[str, float], images: int = 60, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """A patient per image; each domain with its mean brightness, and features that follow it."""
    rng, rows, records = np.random.default_rng(seed), [], []
    for domain, brightness in domains.items():
        for number in range(images):
            name = f"{domain}/{number:03d}.png"
            given = {column: float(rng.uniform(0.2, 0.6)) for column in measurements.NUMBERS}
            given |= {"brightness": brightness + 0.1 * rng.normal(), "height": 256.0, "width": 256.0}
            words = {"format": "PNG", "bits": "8", "encoding": "PNG"}
            rows.append({**measurements.row({**given, **words}), "image": name, "frame": 0})
            records.append({"image": name, "frame": 0, "sha256": "", "label": "a" if number % 2 else "b", "patient_id": name,
                            "group_id": name, "group_kind": "patient", "domain": domain, "split": "train", "fold": ""})  # fmt: skip
    measured = measurements.table(rows)
    features = rng.normal(size=(len(rows), 8)) + 20 * (measured[["brightness"]].to_numpy() - 0.5)
    return pd.DataFrame(records), measured, features.astype(np.float32)


def _by_domain(found: list[Finding]) -> dict[str, Finding]:
    return {each.title.split("'")[1]: each for each in found}


def test_one_domain_is_not_held_against_itself() -> None:
    assert domain_shifts(*_cohort({"here": 0.5})) == []


def test_the_other_domains_are_held_against_the_largest_one() -> None:
    records, measured, features = _cohort({"dark": 0.2, "here": 0.5, "alike": 0.5})
    rest = np.flatnonzero((records["domain"] == "dark") & (records.index % 3 > 0))  # 20 patients: as few as can be judged
    keep = np.setdiff1d(np.arange(len(records)), rest)
    features[keep[-1]] = np.nan  # could not be read
    found = _by_domain(domain_shifts(records.iloc[keep], measured.iloc[keep], features[keep]))
    assert set(found) == {"dark", "alike"}
    assert found["dark"].severity == "notable"
    assert "brightness" in found["dark"].title
    assert "brightness is lower" in found["dark"].advice
    assert found["dark"].figure.startswith("<svg")
    assert found["alike"].severity == "note"
    assert "not proof of safety" in found["alike"].title
    assert {"what", "found", "p", "alarm"} <= set(found["dark"].table.columns)


def test_the_audit_shows_and_keeps_it(tmp_path) -> None:
    records, measured, features = _cohort({"here": 0.5, "there <b>": 0.8})
    found = domain_shifts(records, measured, features)
    done = kept.summed_up("both", records, ("a", "b"), [], found)
    page = write_page(done, records, {}, [], tmp_path).read_text()
    assert "<figure><svg" in page
    assert "there &lt;b&gt;" in page
    assert "there <b>" not in page
    kept.write(done, tmp_path)
    again = kept.read(tmp_path)
    assert again is not None
    assert [each.title for each in again.findings] == [each.title for each in found]
    assert len(again.findings[0].table) == len(found[0].table)


def test_without_features_what_was_measured_decides() -> None:
    records, measured, _ = _cohort({"here": 0.5, "there": 0.8})
    found = domain_shifts(records, measured, None)
    assert [each.severity for each in found] == ["notable"]
    assert "probe" not in found[0].title


def test_few_patients_are_said_to_be_few() -> None:
    records, measured, features = _cohort({"here": 0.5, "there": 0.8}, images=15)
    found = domain_shifts(records, measured, features)
    assert found[0].severity == "note"
    assert "cannot be said" in found[0].title
