"""The gate before training: patients, studies, lesions and pictures on both sides of the split are refused, or named in the log."""

from __future__ import annotations

import pandas as pd

from medtl.audit.gate import refuse_leaks
from medtl.audit.leaks import leaks
from medtl.cohorts.source_table import ID_KINDS
from medtl.experiment.schema import Experiment
from medtl.flows.agreements import remembered
from medtl.imaging.store import Store
from medtl.records import KEY
from medtl.terminal import Line
from medtl.training.log import Log


def refuse_leaking(
    experiment: Experiment, rows: pd.DataFrame, source: pd.DataFrame, store: Store, line: Line, log: Log | None = None
) -> None:
    """Raise GateRefusal (exit code 3) unless nothing leaks, or `audit.allow` names every leak there is; then
    they are said, and kept in the log.

    `rows`: the records, row for row as the store. `source`: of `read_cohorts`, whose ids of studies and lesions records do not hold.
    """
    from medtl.audit.duplicates import duplicates  # brings OpenCV with it

    line.show("looking for leaks between the splits …")
    ids = [f"{kind}_id" for kind in ID_KINDS if f"{kind}_id" not in rows.columns]
    known = rows.merge(source[[*KEY, *ids]], on=KEY, how="left", validate="one_to_one")
    tied = experiment.split.near_duplicates == "together"  # then all pairs are known, and judged as when they were tied
    with remembered(store) as comparisons:
        near = duplicates(rows, store.measurements, pictures=store.read, across_only=not tied, comparisons=comparisons)
    found = [*leaks(known), *near]
    allowed = refuse_leaks(found, experiment.audit.allow)
    line.clear()
    for leak in allowed:
        line.keep(f"WARNING: {leak.title} [{leak.code}, allowed by the config]; the figures are too good.")
    if allowed and log is not None:
        log.event("leaks allowed", **{leak.code: leak.title for leak in allowed})
