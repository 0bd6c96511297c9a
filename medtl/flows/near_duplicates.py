"""`split: {near_duplicates: together}`: nearly equal pictures stay on one side of every split, as the images of one patient do."""

from __future__ import annotations

import pandas as pd

from medtl.audit.remedy import groups
from medtl.cohorts.grouping import NEAR
from medtl.cohorts.joining import Plan
from medtl.cohorts.source_table import counted
from medtl.cohorts.splitting import external_records
from medtl.flows.agreements import remembered
from medtl.imaging.store import Store
from medtl.records import KEY
from medtl.terminal import Line


def tie_near_duplicates(table: pd.DataFrame, store: Store, plan: Plan, line: Line) -> tuple[pd.DataFrame, list[str]]:
    """`table` (of :func:`medtl.cohorts.joining.read_cohorts`, sorted, row for row as `store`) with a unit for each set of near duplicates,
    which :func:`medtl.cohorts.grouping.add_groups` takes for a tie; and what was tied, counted. As it is unless the setting asks for it."""
    if plan.split.near_duplicates != "together":
        return table, []
    from medtl.audit.duplicates import duplicates  # brings OpenCV with it

    line.show("looking for near duplicates …")
    rows = external_records(table, store.measurements, plan)
    with remembered(store) as comparisons:
        ties = groups(duplicates(rows, store.measurements, pictures=store.read, comparisons=comparisons))
    line.clear()
    unit = ties.set_index(KEY)["group"].reindex(pd.MultiIndex.from_frame(table[KEY])).fillna("")
    sizes = ties["group"].value_counts()
    said = f"split.near_duplicates ties {counted(len(ties), 'image')}, equal or nearly, into {counted(len(sizes), 'group')}"
    return table.assign(**{NEAR: unit.to_numpy()}), [said + (f", the largest of {sizes.iloc[0]:,}" if len(sizes) else "")]
