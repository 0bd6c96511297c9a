"""The measured columns that are compared: of file, frame and grey levels; no labels, no ids, nothing of the patient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.joined import numbers_of
from medtl.audit.properties import MEASURED

DIGITS = 4
"""Numbers are rounded to so many digits: enough for any comparison, too few to know a file again by."""
_LEVELS = 50
"""A column with more different words identifies, and is left out."""


def measured_of(rows: pd.DataFrame, further: Sequence[str] = ()) -> pd.DataFrame:
    """(N rows) of joined records and measurements with what is derived from them; `further`: other columns that are taken along."""
    names = [name for each in MEASURED if each.name != "DOMAIN" for name in each.columns]
    found: dict[str, Any] = {}
    for name in dict.fromkeys([*names, *further]):
        if name not in rows.columns or name.startswith("y_"):
            continue
        numbers = numbers_of(rows[name])
        if numbers is not None:
            found[name] = rounded(numbers)
        elif rows[name].nunique() <= _LEVELS:
            found[name] = rows[name].fillna("").astype(str)
    return pd.DataFrame(found, index=range(len(rows)))


def rounded(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """To :data:`DIGITS` significant digits.

    >>> rounded(np.array([123456.0, 0.00123456, 0.0])).tolist()
    [123500.0, 0.001235, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        places = np.where((numbers != 0) & np.isfinite(numbers), DIGITS - 1 - np.floor(np.log10(np.abs(numbers))), 0)
    factor = 10.0**places
    return np.asarray(np.round(numbers * factor) / factor, np.float64)


def property_named(column: str) -> str:
    """What a column measures, in words; one that is none of the measured, by its name.

    >>> property_named("contrast"), property_named("age")
    ('brightness and contrast', 'age')
    """
    return next((each.words for each in MEASURED if column in each.columns), column)
