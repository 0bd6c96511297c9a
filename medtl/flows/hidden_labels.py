"""The labels of a domain that training hid, opened on purpose, once everything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings
from medtl.cohorts.joining import read_cohorts
from medtl.experiment.schema import Experiment
from medtl.records import KEY


def opened(experiment: Experiment, rows: pd.DataFrame, root: Path, domain: str, split: str) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Records of the domain's images in `split` with their labels, as the cohort gives them, and where they stand in `rows`.

    Images without a label are left out. Raises MedtlError where the cohort cannot be read.
    """
    shown = [each.model_copy(update={"labels": "given"}) for each in experiment.cohorts if each.domain == domain]
    source = read_cohorts(experiment.model_copy(update={"cohorts": tuple(shown)}), root, every_class=False)
    own = findings.columns_of(source.table)
    given = source.table.loc[source.table["label"] != "", [*KEY, "label", *own]]
    asked = np.flatnonzero((rows["domain"] == domain) & (rows["split"] == split))
    found = rows.iloc[asked].drop(columns=["label", *own], errors="ignore").assign(place=asked).merge(given, on=KEY, how="inner")
    return found.drop(columns="place"), found["place"].to_numpy(np.int64)
