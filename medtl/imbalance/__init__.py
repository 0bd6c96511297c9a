"""Rare classes: which loss (`losses/`), which sampler (`samplers/`), and the prior shift that both declare."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import ConfigDict, SerializeAsAny

from medtl.registry import Chosen, Mistake, Settings, component, names


class ImbalanceSettings(Settings):
    """Chosen by name, or by a mapping with `name` and the component's own settings."""

    loss: Annotated[SerializeAsAny[Settings], Chosen("imbalance.losses")] = "cross-entropy"  # type: ignore[assignment]
    sampler: Annotated[SerializeAsAny[Settings], Chosen("imbalance.samplers")] = "natural"  # type: ignore[assignment]
    retrain_classifier: Annotated[Literal[False] | SerializeAsAny[Settings], Chosen("imbalance.samplers", or_false=True)] = False
    """Fit the head anew after fine-tuning, on the frozen features of the tuned network, with images weighted as this sampler would
    draw them (classifier re-training, cRT: Kang et al., ICLR 2020); false = keep the head that was tuned."""

    model_config = ConfigDict(validate_default=True)


def unfit(imbalance: ImbalanceSettings, kind: str) -> list[Mistake]:
    """What is chosen here but does not serve a task of this `kind` (`single` or `multi`), with what would; empty where all does."""
    choices: list[tuple[str, Any, str]] = [
        ("loss", imbalance.loss, "imbalance.losses"),
        ("sampler", imbalance.sampler, "imbalance.samplers"),
        ("retrain_classifier", imbalance.retrain_classifier, "imbalance.samplers"),
    ]
    return [
        Mistake((key,), chosen.name, f"is not for a task of kind {kind}; allowed there: {', '.join(serving(folder, kind))}")
        for key, chosen, folder in choices
        if chosen and chosen.name not in serving(folder, kind)
    ]


def shifts_prior(imbalance: ImbalanceSettings) -> list[Mistake]:
    """What here makes a network's answers belong to other shares of the classes than the training images have."""
    counts = np.array([1.0, 3.0])
    loss, sampler = component("imbalance.losses", imbalance.loss.name), component("imbalance.samplers", imbalance.sampler.name)  # type: ignore[attr-defined]
    shifts = {
        "loss": np.ptp(loss.log_prior_shift(imbalance.loss, counts)) > 0,
        "sampler": np.ptp(sampler.class_weights(imbalance.sampler, counts)) > 0,
        "retrain_classifier": bool(imbalance.retrain_classifier),
    }
    sentence = "shifts the classes' shares, which task.learn: spellings does not undo; allowed there: cross-entropy, sampler natural"
    return [Mistake((key,), getattr(imbalance, key).name, sentence) for key, shifted in shifts.items() if shifted]


def serving(folder: str, kind: str) -> tuple[str, ...]:
    """The names of `"imbalance.losses"` or `"imbalance.samplers"` that serve tasks of this kind."""
    return tuple(name for name in names(folder) if kind in component(folder, name).TASKS)
