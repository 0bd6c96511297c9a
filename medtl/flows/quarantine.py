"""How many images may be broken before a training makes no sense."""

from __future__ import annotations

import pandas as pd

from medtl.errors import MedtlError
from medtl.experiment.schema import Experiment
from medtl.imaging.store import Store


def refuse_broken(table: pd.DataFrame, store: Store, experiment: Experiment) -> None:
    """Raise MedtlError where more of one cohort's images than `image.quarantine_share` cannot be used. `table`: row for row as `store`."""
    for domain in table["domain"].unique():
        own = (table["domain"] == domain).to_numpy()
        broken = store.measurements[own & ~store.usable]
        if len(broken) > experiment.image.quarantine_share * own.sum():
            examples = "\n".join(f"  - {row.image}: {row.reason} [{row.quarantine}]" for row in broken.head(20).itertuples())
            raise MedtlError(
                f"{len(broken)} of {own.sum()} images of cohort '{domain}' cannot be used, more than image.quarantine_share allows "
                f"({experiment.image.quarantine_share:.0%}):\n{examples}"
            )
