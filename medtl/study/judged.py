"""Which images the trials of a study were judged on: the same for all, or nothing can be compared."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from medtl.contracts import TEST
from medtl.errors import MedtlError
from medtl.predictions import UNKNOWN
from medtl.records import KEY


def refuse_other_images(judged: Mapping[str, pd.DataFrame]) -> None:
    """Raises MedtlError where two trials differ in test images, their truths (and what of them is unknown) or their groups. `judged`: trial
    -> predictions table."""
    first: tuple[str, pd.DataFrame] | None = None
    for name, table in judged.items():
        truth = [column for column in ("truth", UNKNOWN) if column in table]
        own = table.loc[table["split"] == TEST, [*KEY, *truth, "group_id"]].sort_values(KEY, ignore_index=True)
        if first is None:
            first = (name, own)
        elif not own.equals(first[1]):
            raise MedtlError(
                f"the trials {first[0]} and {name} were judged on different images, truths or groups (were the files changed meanwhile?), "
                "so arms cannot be compared; run the study again with another --out"
            )
