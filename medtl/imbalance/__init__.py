"""Rare classes: which loss (`losses/`), which sampler (`samplers/`), and the prior shift that both declare."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, SerializeAsAny

from medtl.registry import Chosen, Settings


class ImbalanceSettings(Settings):
    """Chosen by name, or by a mapping with `name` and the component's own settings."""

    loss: Annotated[SerializeAsAny[Settings], Chosen("imbalance.losses")] = "cross-entropy"  # type: ignore[assignment]
    sampler: Annotated[SerializeAsAny[Settings], Chosen("imbalance.samplers")] = "natural"  # type: ignore[assignment]

    model_config = ConfigDict(validate_default=True)
