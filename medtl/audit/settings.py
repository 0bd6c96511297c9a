"""What an experiment says about its audit: the leaks that it knows of and accepts."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator

from medtl.registry import Settings

Leak = Literal[
    "PATIENT_ACROSS_SPLITS",
    "STUDY_ACROSS_SPLITS",
    "LESION_ACROSS_SPLITS",
    "SAME_FILE_ACROSS_SPLITS",
    "SAME_PIXELS_ACROSS_SPLITS",
    "NEAR_DUPLICATE_ACROSS_SPLITS",
]
LEAKS: tuple[Leak, ...] = get_args(Leak)
"""The findings with which no model is trained, unless the config names them."""


def _listed(value: Any) -> Any:
    """One code may stand without a list."""
    return [value] if isinstance(value, str) else value


class AuditSettings(Settings):
    """Named exceptions from the rule that no case may stand on both sides of a split."""

    allow: Annotated[tuple[Leak, ...], BeforeValidator(_listed)] = ()
    """Leaks that training accepts, by code, such as [PATIENT_ACROSS_SPLITS]; they stay in the run's log and in its report."""
