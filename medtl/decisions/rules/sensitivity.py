"""The most specific threshold that finds so many of the ill: for ruling out."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from medtl import registry
from medtl.decisions.rules import Counts, Floats, kept


class Settings(registry.Settings):
    name: Literal["sensitivity"] = "sensitivity"
    at_least: Annotated[float, Field(gt=0, le=1)]
    """On validation; what patients to come will have is uncertain, see its interval on test."""


def gain(settings: Settings, counts: Counts) -> Floats:
    """The contract of `medtl.decisions.rules`; the threshold of 0 always keeps it."""
    return np.where(kept(counts.sensitivity, settings.at_least), counts.specificity, -np.inf)


def said(settings: Settings) -> str:
    """The contract of `medtl.decisions.rules`."""
    return f"sensitivity >= {settings.at_least:g}"
