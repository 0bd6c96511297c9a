"""What an audit goes by besides the tables: features of a frozen network, and answers of a probe that had not seen the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.backbones import BackboneSettings
from medtl.contracts import TEST, Task
from medtl.errors import MedtlError
from medtl.experiment.schema import TrainerSettings
from medtl.imaging.cache import cache_dir
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import Store
from medtl.terminal import Line

WITHOUT = "no image is called unlike the others"


def features(
    store: Store,
    backbone: BackboneSettings,
    image: ImageSettings,
    trainer: TrainerSettings,
    root: Path,
    seed: int,
    line: Line,
    weights: Path | str | None = None,
) -> tuple[NDArray[np.float32] | None, str]:
    """(N, D) features of the frozen network, a row per image of the store, NaN rows for unread ones; and a sentence about them.

    `weights` takes the place of `backbone.weights`, and then names the network too where the file says of which it is. Without pretrained
    weights at hand there are no features; only where `weights` asks for them, MedtlError says what is wrong with them.
    """
    if weights is None and backbone.weights == "none":
        return None, f"No features, for no pretrained weights are named (--weights FILE gives some): {WITHOUT}."
    import torch

    from medtl.backbones.network import build_network
    from medtl.backbones.weights import open_weights
    from medtl.features import cached_features
    from medtl.training import machine

    if weights is not None:
        backbone = BackboneSettings(name=backbone.name, weights=str(Path(weights).resolve()))
        backbone = backbone.model_copy(update={"name": open_weights(backbone, root).architecture or backbone.name})
    decided = machine.decide(trainer)
    torch.set_num_threads(decided.threads or 1)  # as in training, whose features are then found in the cache
    try:
        network = build_network(backbone, image, root, seed)
    except MedtlError as refused:
        if weights is not None:
            raise
        return None, f"No features, for {str(refused).splitlines()[0].rstrip('.:')}: {WITHOUT}."
    network = network.to(device=decided.device, memory_format=torch.channels_last)
    usable = np.flatnonzero(store.usable)
    found = np.full((len(store), network.dim), np.nan, np.float32)
    if len(usable):
        found[usable] = cached_features(
            network, store, usable, torch.device(decided.device), cache_dir(), line.progress("features")
        ).numpy()
    return found, f"Features of {backbone.name} ({Path(backbone.weights).name}), {network.dim:,} for each image."


def answers(records: pd.DataFrame, found: NDArray[np.float32] | None, task: Task) -> tuple[pd.DataFrame | None, str]:
    """A predictions table out of fold (:mod:`medtl.flows.out_of_fold`), and a sentence about it."""
    without = "labels are not compared with what the images show"
    if found is None:
        return None, f"No answers of a model: {without}."
    from medtl.flows.out_of_fold import out_of_fold

    table = out_of_fold(records, found, task)
    if table is None:
        few = "fewer than two classes have five groups" if task.kind == "single" else "no finding has five groups with it and five without"
        return None, f"No answers of a model, for {few}: {without}."
    tested = " Test images take no part: no model's answer on them is looked at before `medtl evaluate`."
    sentence = f"The labels of {len(table):,} images are compared with the answers of a linear probe on features, fitted to other groups."
    return table, sentence + (tested if (records["split"] == TEST).any() else "")
