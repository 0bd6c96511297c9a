"""Logits of many stored images, in evaluation mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from medtl.module.classifier import Classifier

if TYPE_CHECKING:
    from medtl.imaging.store import Store

BATCH = 64


def logits_of(classifier: Classifier, store: Store, positions: NDArray[np.int64], device: torch.device) -> NDArray[np.float64]:
    """(N, K) raw logits of the stored images at `positions`, float32 arithmetic whatever training used."""
    classifier.eval().to(device)
    parts = []
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        for start in range(0, len(positions), BATCH):
            images = torch.from_numpy(store.read(positions[start : start + BATCH])).to(device)
            parts.append(classifier(images).double().cpu().numpy())
    return np.concatenate(parts) if parts else np.empty((0, len(classifier.outputs)))
