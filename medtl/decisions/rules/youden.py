"""Sensitivity + specificity (Youden, Index for rating diagnostic tests, 1950)."""

from __future__ import annotations

from typing import Literal

from medtl import registry
from medtl.decisions.rules import Counts, Floats


class Settings(registry.Settings):
    name: Literal["youden"] = "youden"


def gain(settings: Settings, counts: Counts) -> Floats:
    """The contract of `medtl.decisions.rules`."""
    return counts.sensitivity + counts.specificity


def said(settings: Settings) -> str:
    """The contract of `medtl.decisions.rules`."""
    return "youden"
