"""Patients, studies and lesions that stand on two sides of a split: what a model has learned there it is asked again."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from medtl.audit.findings import Finding, Key
from medtl.audit.places import place_of, places
from medtl.records import KEY

KINDS = {"patient": "patients", "study": "studies", "lesion": "lesions"}


def leaks(records: pd.DataFrame) -> list[Finding]:
    """A finding for each kind of id that stands in several splits (folds); none where nothing leaks.

    `records`: a records table. Ids are looked for in the columns `patient_id`, `study_id` and `lesion_id` (the last two where they
    were joined), and in `group_id` under its `group_kind`. Images in the split `excluded` and empty ids do not take part.
    """
    placed = places(records)
    found = [_across(records, _ids(records, kind), placed, kind) for kind in KINDS]
    return [finding for finding in found if finding is not None]


def _ids(records: pd.DataFrame, kind: str) -> pd.Series[str]:
    """(N,) the ids of a kind, empty where unknown."""
    group = records["group_id"].where(records["group_kind"] == kind, "")
    if f"{kind}_id" not in records.columns:
        return group
    own = records[f"{kind}_id"].fillna("").astype(str)
    return own.where(own != "", group)


def _across(records: pd.DataFrame, ids: pd.Series[str], placed: pd.Series[str], kind: str) -> Finding | None:
    taking_part = (ids != "") & (placed != "")
    rows = records.loc[taking_part, [*KEY, "label", "domain"]].assign(id=ids[taking_part], split=placed[taking_part])
    torn = rows[rows.groupby("id")["split"].transform("nunique") > 1].sort_values(["id", *KEY])
    if torn.empty:
        return None
    where = place_of(records)
    groups = torn["id"].nunique()
    together = torn.groupby("id")["split"].agg(lambda own: " and ".join(sorted(set(own)))).value_counts()
    said = ", ".join(f"{count:,} in {name}" for name, count in together.head(3).items())
    noun = kind if groups == 1 else KINDS[kind]
    verb = "stands" if groups == 1 else "stand"
    return Finding(
        code=f"{kind.upper()}_ACROSS_SPLITS",
        severity="grave",
        title=f"{groups:,} {noun} of {rows['id'].nunique():,} {verb} in several {where} ({len(torn):,} images): {said}",
        advice=f"The model is asked about {KINDS[kind]} it has learned, and its figures are too good. Split by {kind} "
        f"(`split: {{by: {kind}}}`), or, where a column gives the split, say `overlap: exclude`.",
        table=torn.rename(columns={"id": f"{kind}_id"}).reset_index(drop=True),
        pairs=_pairs(torn, first_only=True),
        join=_pairs(torn),
    )


def _pairs(torn: pd.DataFrame, first_only: bool = False) -> list[tuple[Key, Key]]:
    """Chains that tie the images of each id together; or one pair an id, of two images that stand in different splits."""
    pairs: list[tuple[Key, Key]] = []
    for _, own in torn.groupby("id", sort=False):
        if first_only:
            own = own.drop_duplicates("split").head(2)
        keys = [(str(image), int(frame)) for image, frame in own[KEY].itertuples(index=False)]
        pairs += pairwise(keys)
    return pairs
