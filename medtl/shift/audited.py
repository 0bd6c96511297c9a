"""Domains of one audited cohort held against each other: is what a model learns in one of them likely to hold in the others?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.findings import Finding
from medtl.audit.joined import groups_of, joined, kept_columns
from medtl.audit.properties import with_derived
from medtl.contracts import EXCLUDED, TRAIN
from medtl.decisions import outlyingness
from medtl.errors import listed
from medtl.report.figures.style import svg
from medtl.shift import text
from medtl.shift.draws import FEW
from medtl.shift.examine import Sample, Shift, examine
from medtl.shift.figures import columns_drawn
from medtl.shift.measured import measured_of

CODE = "DOMAIN_SHIFT"
MOST_ROWS = 1000
"""Images of a domain whose features are compared: finding their directions takes seconds."""


def domain_shifts(records: pd.DataFrame, measurements: pd.DataFrame, features: NDArray[np.float32] | None) -> list[Finding]:
    """A finding DOMAIN_SHIFT for each domain but the source's: `notable` with an alarm. None where there is one domain.

    The source is the domain with most training images (of records without a split: with most images). Labels are not looked at.

    Arguments:
        features: (N, D) row for row as `records`, NaN rows where an image could not be read; None: what was measured decides alone.
    """
    rows = joined(records, measurements)
    used = ((rows["split"] != EXCLUDED) & (rows["quarantine"] == "")).to_numpy(bool)
    if features is not None:
        used = used & np.isfinite(features).all(axis=1)
        features = features[used]
    rows = with_derived(rows[used].reset_index(drop=True))
    if rows["domain"].nunique() < 2:
        return []
    trained = rows[rows["split"] == TRAIN] if (rows["split"] == TRAIN).any() else rows
    source = str(trained["domain"].value_counts().index[0])
    others = [domain for domain in sorted(rows["domain"].unique()) if domain != source]
    samples = {domain: _sample(records, rows, domain, features) for domain in (source, *others)}
    return [found for domain in others for found in _finding(source, domain, samples[source], samples[domain])]


def _sample(records: pd.DataFrame, rows: pd.DataFrame, domain: str, features: NDArray[np.float32] | None) -> Sample:
    own = (rows["domain"] == domain).to_numpy(bool)
    columns = measured_of(rows, kept_columns(records))[own].reset_index(drop=True)
    seen = None if features is None else features[own].astype(np.float64)
    return Sample(groups_of(rows)[own], columns, seen).at_most(MOST_ROWS, 0)


def _finding(source: str, domain: str, ours: Sample, theirs: Sample) -> Iterator[Finding]:
    found = examine(*_in_shared_coordinates(ours, theirs))
    if found is None:
        few = f"'{source}' or '{domain}' has fewer than {FEW} patients, or '{source}' too few to be halved"
        yield Finding(CODE, "note", f"Whether '{domain}' looks like '{source}' cannot be said: {few}")
        return
    told = text.looked_at(found)
    if not found.alarms:
        yield Finding(CODE, "note", f"'{domain}' against '{source}': no alarm, which is not proof of safety", " ".join(told), _table(found))
        return
    yield Finding(
        CODE, "notable", f"'{domain}' looks unlike '{source}', beyond what two halves of '{source}' differ: {listed(_words(found))}",
        " ".join([f"A model of '{source}' may fail on '{domain}' without being any less sure: report each by itself, and label some images "
                  f"of '{domain}' before it is used there.", *told]),
        _table(found), figure=svg(columns_drawn(found), f"shift-{domain}") if found.columns else "",
    )  # fmt: skip


def _words(found: Shift) -> list[str]:
    return [sign.words for sign in found.alarms]


def _table(found: Shift) -> pd.DataFrame:
    return pd.concat([text.signs_table(found), text.columns_table(found)], ignore_index=True)


def _in_shared_coordinates(ours: Sample, theirs: Sample) -> tuple[Sample, Sample]:
    """Features along the directions in which all images of both differ most: fitted on both alike, so that neither is the stranger."""
    if ours.features is None or theirs.features is None:
        return ours, theirs
    detector = outlyingness.fit(np.vstack([ours.features, theirs.features]), "mahalanobis")
    return ours.with_features(detector.coordinates(ours.features)), theirs.with_features(detector.coordinates(theirs.features))
