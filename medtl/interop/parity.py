"""How far an exported graph is from the package it came from, measured on images: logits, probabilities, decisions.

Both sides get the same pixels, so what is measured is the graph and the engine that runs it, not the reading of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.decisions.precedence import Reasons

if TYPE_CHECKING:
    from medtl.model.model import Engine, Model

LOGITS = 1e-4
"""Largest difference that passes, as a share of the largest logit (of 1, where all are smaller). Sound exports of the field's networks lie
near 1e-6, the rounding of float32; a wrong constant, mirror or mean lies far above."""
PROBABILITIES = 1e-4
"""Largest difference that passes."""
_MADE_SEED = 20_260
_BATCH = 8

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Parity:
    """Largest differences over all images."""

    made: int
    given: int
    """So many of the images were made, so many were read from files."""
    logits: float
    largest_logit: float
    probabilities: float
    features: float
    decisions: int
    """Images whose class by the stored rule is another: told, and no reason to refuse, for rounding may decide at the threshold itself."""

    @property
    def within(self) -> bool:
        """Near enough; nothing that is not a number passes."""
        return self.logits <= LOGITS * max(1.0, self.largest_logit) and self.probabilities <= PROBABILITIES


def measure(model: Model, engine: Engine, given: Pixels | None = None) -> Parity:
    """Run package and graph over made images and `given` ones, uint8 (N, S, S, C) as the store makes them."""
    made = made_images(model.image.size, model.image.channels)
    images = made if given is None or not len(given) else np.concatenate([made, given])
    expected = model.predict_arrays(images)
    table = model.answer(_keys(len(images)), expected, Reasons.none(len(images)))
    probabilities = table[[f"p_{name}" for name in model.task.names]].to_numpy(np.float64)
    parts = [engine(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    logits, found, features = (np.concatenate([part[i] for part in parts], axis=1 if i == 0 else 0) for i in range(3))
    called = model.answer(_keys(len(images)), logits, Reasons.none(len(images)))["predicted"]
    return Parity(
        made=len(made),
        given=len(images) - len(made),
        logits=_largest(logits - expected),
        largest_logit=_largest(expected),
        probabilities=_largest(found - probabilities),
        features=_largest(features - _features(model, images)),
        decisions=int((called != table["predicted"]).sum()),
    )


def same_maps(model: Model, engine: Engine) -> bool:
    """Whether the maps of two made images, which saliency is made of, are the package's but for rounding."""
    images = made_images(model.image.size, model.image.channels)[-2:]
    sides = [[stage.numpy() for member in maps for view in member for stage in view]
             for *_, maps in (model.look_with_maps(images), engine.with_maps(images))]  # fmt: skip
    pairs = list(zip(*sides, strict=True))
    return all(_largest(found - expected) <= LOGITS * max(1.0, _largest(expected)) for expected, found in pairs)


def made_images(size: int, channels: int) -> Pixels:
    """uint8 (12, S, S, C): black, white, grey, a ramp, and noise from fine to coarse, weak and strong; the same on every machine."""
    rng = np.random.default_rng(_MADE_SEED)
    ramp = np.broadcast_to(np.linspace(0, 255, size)[:, None, None], (size, size, channels))
    flat = [np.full((size, size, channels), level, np.float64) for level in (0, 255, 128)]
    noise = [_noise(rng, size, channels, grain, strength) for grain in (1, 4, 16, 64) for strength in (25, 80)]
    return np.clip(np.stack([*flat, ramp, *noise]), 0, 255).astype(np.uint8)


def _noise(rng: np.random.Generator, size: int, channels: int, grain: int, strength: float) -> NDArray[np.float64]:
    side = max(2, size // grain)
    coarse = rng.normal(128, strength, (side, side, channels)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_LINEAR), np.float64).reshape(size, size, channels)


def _features(model: Model, images: Pixels) -> NDArray[np.float32]:
    import torch

    with torch.inference_mode():
        parts = [
            model.members[0].with_features(torch.from_numpy(images[start : start + _BATCH]).to(model.device))[1].float().cpu().numpy()
            for start in range(0, len(images), _BATCH)
        ]
    return np.concatenate(parts)


def _largest(values: NDArray[np.floating]) -> float:
    return float(np.abs(values).max())


def _keys(count: int) -> pd.DataFrame:
    return pd.DataFrame({"image": [str(i) for i in range(count)], "frame": [0] * count})
