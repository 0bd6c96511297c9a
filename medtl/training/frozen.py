"""Frozen layers run exactly images × views times: their maps are computed once and kept, where memory holds them."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from torch import Tensor

from medtl.backbones.cutting import cut
from medtl.batches import Part
from medtl.datamodule import StoredImages, StoredMaps
from medtl.features import View, border_maps, cached, mirrored
from medtl.module.classifier import Classifier
from medtl.training.job import Job

SHARE = 0.4
"""Of the free memory that maps may take: reading them back from the cache holds them twice for a moment."""


def batches(job: Job, classifier: Classifier) -> StoredImages:
    """Batches of images; or, where frozen layers shall run once (`transfer.views`) and memory holds it, of their maps at the border."""
    e = job.experiment
    images = StoredImages(job.store, job.train, job.validation, e.augmentation, e.transfer.batch, e.seed, job.balanced.weights)
    if e.transfer.strategy != "partial" or e.transfer.views is None:
        return images
    parts = cut(classifier.network, e.transfer.stages)
    if parts is None:
        job.line.keep("transfer.views: this network cannot be cut there, so its frozen layers run in every epoch, on new augmentations")
        return images
    frozen = border_maps(classifier.network, parts, e.transfer.stages, e.image.size, e.image.channels, job.device)
    views, mirrors = job.training_views(), [mirrored(axes) for axes in classifier.views]
    rows = len(job.train) * len(views) + len(job.validation) * len(mirrors)
    gigabytes, free = rows * math.prod(frozen.shape) * 4 / 1e9, _free_memory()
    shape = " x ".join(str(side) for side in frozen.shape)
    if gigabytes > SHARE * free:
        job.line.keep(
            f"transfer.views: the maps at the border ({rows:,} of {shape}) would take {gigabytes:.1f} GB of {free:.1f} GB free memory, "
            "so frozen layers run in every epoch, on new augmentations"
        )
        return images
    job.line.keep(f"frozen layers run once: {rows:,} maps of {shape} at the border, {gigabytes:.2f} GB")

    def maps(part: Part, view: View) -> Tensor:
        return cached(frozen, job.store, part.positions, job.device, job.cache, job.line.progress("maps"), view)

    return StoredMaps(images, [maps(job.train, view) for view in views], [maps(job.validation, view) for view in mirrors])


def _free_memory() -> float:
    """What Linux would give this process without swapping, in gigabytes; elsewhere what is wholly unused."""
    with contextlib.suppress(OSError):
        for entry in Path("/proc/meminfo").read_text().splitlines():
            if entry.startswith("MemAvailable:"):
                return int(entry.split()[1]) * 1024 / 1e9
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
