"""The most sensitive threshold at which so many of those called positive are, at a stated prevalence."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from medtl import registry
from medtl.decisions.rules import Counts, Floats, kept


class Settings(registry.Settings):
    name: Literal["ppv"] = "ppv"
    at_least: Annotated[float, Field(gt=0, le=1)]
    """On validation. It may be out of reach: then the threshold of the highest PPV is taken, and the package says so."""
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Where the model will be used; default: that of validation."""


def gain(settings: Settings, counts: Counts) -> Floats:
    """The contract of `medtl.decisions.rules`; -inf everywhere where it is out of reach."""
    return np.where(kept(counts.ppv(settings.prevalence), settings.at_least), counts.sensitivity, -np.inf)


def nearest(settings: Settings, counts: Counts) -> Floats:
    """The contract of `medtl.decisions.rules`."""
    return np.nan_to_num(counts.ppv(settings.prevalence), nan=-np.inf)


def said(settings: Settings) -> str:
    """The contract of `medtl.decisions.rules`."""
    where = "" if settings.prevalence is None else f" at a prevalence of {settings.prevalence:g}"
    return f"ppv >= {settings.at_least:g}{where}"
