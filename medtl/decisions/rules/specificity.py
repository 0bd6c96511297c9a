"""The most sensitive threshold that spares so many of the well: for ruling in."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from medtl import registry
from medtl.decisions.rules import Counts, Floats, kept


class Settings(registry.Settings):
    name: Literal["specificity"] = "specificity"
    at_least: Annotated[float, Field(gt=0, le=1)]
    """On validation; what patients to come will have is uncertain, see its interval on test."""


def gain(settings: Settings, counts: Counts) -> Floats:
    """The contract of `medtl.decisions.rules`; a threshold above all probabilities keeps it, so only a probability of 1 can prevent it."""
    return np.where(kept(counts.specificity, settings.at_least), counts.sensitivity, -np.inf)


def nearest(settings: Settings, counts: Counts) -> Floats:
    """The contract of `medtl.decisions.rules`."""
    return counts.specificity


def said(settings: Settings) -> str:
    """The contract of `medtl.decisions.rules`."""
    return f"specificity >= {settings.at_least:g}"
