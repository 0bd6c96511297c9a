"""The positive class's F1."""

from __future__ import annotations

from typing import Literal

from medtl import registry
from medtl.decisions.rules import Counts, Floats


class Settings(registry.Settings):
    name: Literal["f1"] = "f1"


def gain(settings: Settings, counts: Counts) -> Floats:
    """The contract of `medtl.decisions.rules`."""
    return 2 * counts.true_positives / (counts.true_positives + counts.false_positives + counts.positives)


def said(settings: Settings) -> str:
    """The contract of `medtl.decisions.rules`."""
    return "f1"
