"""Pictures too poor to be answered for, by what is measured of every image while it is read.

Few rules, each with a fixed limit that only something evident crosses. Where a model's own training images come near a limit or cross it,
it is loosened for that model, never tightened: a clean training set is no reason to refuse a film with a border.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

TAIL = 0.001
"""This share of the training images on the far side of a limit is not looked at …"""
WIDENED = 0.5
"""… and beyond the rest the limit stands as far as this share of their distance from the median."""
SIDE = "side"
"""The shorter side in pixels; its fixed limit is a part of the network's input."""


class Rule(NamedTuple):
    """What is measured, up to or from where it is refused, and why in words."""

    upper: bool
    fixed: float
    words: str


RULES = {
    "contrast": Rule(False, 0.02, "it has next to no contrast"),
    "blank_share": Rule(True, 0.97, "next to nothing of it shows any detail"),
    "padding_share": Rule(True, 0.75, "most of it is an empty border"),
    "saturated_share": Rule(True, 0.75, "most of it is overexposed"),
    SIDE: Rule(False, 0.25, "it has far fewer pixels than the model looks at"),
}
"""In the order in which they are told."""


def limits(measured: pd.DataFrame, size: int) -> dict[str, float]:
    """Rule → its limit, from the measurements of training images and the side of the network's input, in pixels."""
    found = {}
    for name, rule in RULES.items():
        fixed = rule.fixed * size if name == SIDE else rule.fixed
        values = _values(measured, name)
        known = values[np.isfinite(values)]
        if not len(known):
            found[name] = fixed
            continue
        edge = float(np.quantile(known, 1 - TAIL if rule.upper else TAIL))
        wide = edge + WIDENED * (edge - float(np.median(known)))
        found[name] = max(fixed, wide) if rule.upper else min(fixed, wide)
    return found


def poor(measurement: Mapping[str, Any], stored: Mapping[str, float]) -> str:
    """Why an image with this measurements row is too poor by these limits; empty where it is not, or was not measured.

    >>> stored = {"contrast": 0.02, "padding_share": 0.75}
    >>> poor({"contrast": 0.01, "padding_share": 0.0}, stored), poor({"contrast": 0.2, "padding_share": 0.8}, stored)
    ('it has next to no contrast', 'most of it is an empty border')
    """
    for name, bound in stored.items():
        rule = RULES.get(name)
        value = _value(measurement, name)
        if rule is not None and (value > bound if rule.upper else value < bound):
            return rule.words
    return ""


def _values(measured: pd.DataFrame, name: str) -> Any:
    return (measured[["height", "width"]].min(axis=1) if name == SIDE else measured[name]).to_numpy(np.float64)


def _value(measurement: Mapping[str, Any], name: str) -> float:
    """NaN where it is not there, which crosses no limit."""
    columns = ("height", "width") if name == SIDE else (name,)
    return min(float(measurement.get(column, np.nan)) for column in columns)
