"""Every check on one cohort, the grave findings first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.findings import Finding, in_order
from medtl.contracts import Task

if TYPE_CHECKING:
    from medtl.audit.comparisons import Comparisons, Pictures


def audit(
    records: pd.DataFrame,
    measurements: pd.DataFrame,
    task: Task,
    features: NDArray[np.float32] | None = None,
    predictions: pd.DataFrame | None = None,
    pictures: Pictures | None = None,
    comparisons: Comparisons | None = None,
) -> list[Finding]:
    """All findings, grave before notable before note, and within these in the order of the checks.

    records: a records table, further columns (`keep`) included. measurements: of the same images, in any order.
    features: (N, D) of a frozen network, row for row as `records`, NaN rows where an image could not be read; None = not computed.
    predictions: answers for images that their model had not seen (out of fold, validation); None = none.
    pictures: positions (B,) in `records`, of readable images -> uint8 (B, S, S, C), as `Store.read`; without them near duplicates
    cannot be told from images that look alike. comparisons: what is known of these pictures; what is found out is added.
    """
    from medtl.audit.confounders import confounders  # here, for they bring scikit-learn and OpenCV with them
    from medtl.audit.duplicates import duplicates
    from medtl.audit.image_health import image_health
    from medtl.audit.label_health import label_health
    from medtl.audit.leaks import leaks
    from medtl.audit.per_finding import of_each
    from medtl.audit.shortcuts import shortcuts

    found = [
        *leaks(records),
        *duplicates(records, measurements, features, pictures, comparisons=comparisons),
        *of_each(lambda own, task, answers: shortcuts(own, measurements), records, task, predictions),
        *of_each(lambda own, task, answers: confounders(own, measurements), records, task, predictions),
        *of_each(label_health, records, task, predictions),
        *image_health(records, measurements, features),
    ]
    return in_order(found)
