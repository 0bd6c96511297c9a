"""Groups: the images that must stay on one side of a split, and that count as one case in every interval.

A group is a connected component: rows that share a patient (study, lesion) id, a file, the same pixels, a group of `split.groups` or (if
`split.near_duplicates` says so) nearly the same picture hang together, and so do the rows that hang on those. Its kind is the widest
id that any of its rows has; without ids, every distinct image is a group.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

JOINED: dict[str, tuple[str, ...]] = {
    "patient": ("patient", "study", "lesion"),  # a study and a lesion belong to one patient: they stand in where his id is unknown
    "study": ("patient", "study"),
    "lesion": ("patient", "lesion"),
    "image": (),
}
"""`split.by` → the ids that tie rows together, the widest first."""
TIED, NEAR = "tied_unit", "near_unit"
"""Transient columns that tie as an id does, but give no group its name: groups of `split.groups`, and near duplicates."""


def components(tokens: Sequence[pd.Series[str]]) -> NDArray[np.intp]:
    """(N,) the component of each row, where rows are tied by an equal non-empty value in any of the columns (each of length N)."""
    rows, nodes, used = [], [], 0
    number = len(tokens[0])
    for column in tokens:
        codes, values = pd.factorize(column.where(column != ""))
        known = np.flatnonzero(codes >= 0)
        rows.append(known)
        nodes.append(codes[known] + number + used)
        used += len(values)
    edges = (np.ones(sum(map(len, rows)), np.int8), (np.concatenate(rows), np.concatenate(nodes)))
    graph = coo_array(edges, shape=(number + used, number + used))
    return connected_components(graph, directed=False)[1][:number].astype(np.intp)


def add_groups(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """A copy with `group_id`, `group_kind` and the transient `group_unit`, which decides the split.

    `table` needs `pixel_hash` and `sha256` (empty where the image could not be read), `image`, `frame`, and for the ids `<kind>_id` and
    `<kind>_unit`; :data:`TIED` and :data:`NEAR` may be there. The smallest unit of the widest kind stands for its group, so a
    group keeps its name and its place in the split when rows come or go, as long as that id stays; when new rows tie two groups
    together, one of them takes the other's.
    """
    table = table.copy()
    own = "unread " + table["image"] + "#" + table["frame"].astype(str)
    table["image_unit"] = table["pixel_hash"].where(table["pixel_hash"] != "", own)
    content = [unit if unit[:6] != "unread" else hashlib.sha256(unit.encode()).hexdigest() for unit in table["image_unit"]]
    table["image_id"] = [digest[:16] for digest in content]  # of the content: no secret
    kinds = (*JOINED[by], "image")
    ties = [table[column] for column in (TIED, NEAR) if column in table.columns]
    table["component"] = components([*(table[f"{kind}_unit"] for kind in kinds), table["sha256"], *ties])
    table[["group_unit", "group_id", "group_kind"]] = ""
    for kind in kinds:
        known = table[table[f"{kind}_unit"] != ""]
        first = known.sort_values(f"{kind}_unit").drop_duplicates("component").set_index("component")
        chosen = (table["group_kind"] == "") & table["component"].isin(first.index)
        table.loc[chosen, "group_unit"] = table.loc[chosen, "component"].map(first[f"{kind}_unit"])
        table.loc[chosen, "group_id"] = table.loc[chosen, "component"].map(first[f"{kind}_id"])
        table.loc[chosen, "group_kind"] = kind
    return table
