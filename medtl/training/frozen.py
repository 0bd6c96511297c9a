"""Frozen layers run exactly images × views times: their maps are computed once and kept, where memory holds them."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

import torch

from medtl.backbones.cutting import cut
from medtl.datamodule import StoredImages, StoredMaps
from medtl.experiment.schema import Experiment
from medtl.features import View, augmented, border_maps, cached, mirrored
from medtl.imaging.cache import cache_dir
from medtl.module.classifier import Classifier
from medtl.terminal import Line

SHARE = 0.4
"""Of the free memory that maps may take: reading them back from the cache holds them twice for a moment."""


def training_views(experiment: Experiment) -> list[View]:
    """What frozen layers are shown of a training image: the plain view, then augmented ones."""
    return [augmented(experiment.augmentation, experiment.seed, number) for number in range(experiment.transfer.views or 1)]


def with_frozen_run_once(classifier: Classifier, data: StoredImages, experiment: Experiment, line: Line) -> StoredMaps | None:
    """The batches as maps at the border of what learns, or None where frozen layers shall or must run in every epoch; says why."""
    transfer = experiment.transfer
    if transfer.strategy != "partial" or transfer.views is None:
        return None
    parts = cut(classifier.network, transfer.stages)
    if parts is None:
        line.keep("transfer.views: this network cannot be cut there, so its frozen layers run in every epoch, on new augmentations")
        return None
    device = torch.device(experiment.trainer.device)
    frozen = border_maps(classifier.network, parts, transfer.stages, experiment.image.size, experiment.image.channels, device)
    views, mirrors = training_views(experiment), [mirrored(axes) for axes in classifier.views]
    rows = len(data.train) * len(views) + len(data.validation) * len(mirrors)
    gigabytes, free = rows * math.prod(frozen.shape) * 4 / 1e9, _free_memory()
    shape = " x ".join(str(side) for side in frozen.shape)
    if gigabytes > SHARE * free:
        line.keep(
            f"transfer.views: the maps at the border ({rows:,} of {shape}) would take {gigabytes:.1f} GB of {free:.1f} GB free memory, "
            "so frozen layers run in every epoch, on new augmentations"
        )
        return None
    line.keep(f"frozen layers run once: {rows:,} maps of {shape} at the border, {gigabytes:.2f} GB")
    return StoredMaps(
        data,
        [cached(frozen, data.store, data.train.positions, device, cache_dir(), line.progress("maps"), view) for view in views],
        [cached(frozen, data.store, data.validation.positions, device, cache_dir(), line.progress("maps"), view) for view in mirrors],
    )


def _free_memory() -> float:
    """What Linux would give this process without swapping, in gigabytes; elsewhere what is wholly unused."""
    with contextlib.suppress(OSError):
        for entry in Path("/proc/meminfo").read_text().splitlines():
            if entry.startswith("MemAvailable:"):
                return int(entry.split()[1]) * 1024 / 1e9
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
