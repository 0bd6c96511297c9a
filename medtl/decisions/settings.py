"""How probabilities are calibrated and where the threshold is put, both on validation."""

from __future__ import annotations

from typing import Literal

from medtl.registry import Settings


class DecisionSettings(Settings):
    calibration: Literal["temperature-intercept", "temperature", "none"] = "temperature-intercept"
    """One temperature for all classes, and an intercept per class that corrects the prevalence the network believes in."""
    threshold: Literal["youden", "f1"] = "youden"
    """Binary tasks: the threshold that maximises sensitivity + specificity, or the positive class's F1, on validation."""
