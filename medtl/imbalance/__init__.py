"""Rare classes: which loss (`losses/`), which sampler (`samplers/`), and the prior shift that both declare."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from medtl.registry import Settings, parse_choice


def _loss(value: Any) -> Any:
    return parse_choice("imbalance.losses", value)


def _sampler(value: Any) -> Any:
    return parse_choice("imbalance.samplers", value)


class ImbalanceSettings(Settings):
    """Chosen by name, or by a mapping with `name` and the component's own settings."""

    loss: Annotated[SerializeAsAny[Settings], BeforeValidator(_loss)] = "cross-entropy"  # type: ignore[assignment]
    sampler: Annotated[SerializeAsAny[Settings], BeforeValidator(_sampler)] = "natural"  # type: ignore[assignment]

    model_config = {"validate_default": True}
