"""Stress views of images that are being judged, a row of predictions for each; and what probes read from the network's features.

Of the same images, by the same thresholds, at the same look: nothing here opens an image that was not opened already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings, records
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation import removed, stress_file
from medtl.evaluation.probed import columns_of, probed, sentence
from medtl.evaluation.stressed import sentences, stressed
from medtl.experiment.schema import Experiment
from medtl.flows.judging import judge
from medtl.flows.saliency_check import check_saliency
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store
from medtl.model.model import Model
from medtl.stress.views import VIEWS, View
from medtl.terminal import Line

FROZEN = "Frozen: the training left the features unchanged, so these are also those of the weights that it started from."


class Shown(Store):
    """The images of a store, seen through a view."""

    def __init__(self, store: Store, view: View):
        self.__dict__.update(store.__dict__)
        self.key = f"{store.key} {view.name}"
        self._store, self._view = store, view

    def read(self, indices: Sequence[int] | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """As :meth:`Store.read`."""
        images = self._view.show(self._store.read(indices))
        if out is None:
            return images
        out[...] = images
        return out


@dataclass(frozen=True)
class Examined:
    """`views`: rows for the predictions. `further`: one split's part of stress.json."""

    views: Sequence[pd.DataFrame]
    further: dict[str, Any]


def examine(
    models: Sequence[Model],
    rows: pd.DataFrame,
    store: Store,
    positions: NDArray[np.intp],
    experiment: Experiment | None,
    root: Path,
    line: Line,
) -> Examined:
    """Judge `rows` (of records), whose images stand at `positions` of the store, under every view, each by the model that their column
    `part` names (default: the first); and probe the features of the first model's network.

    experiment: what the model was trained by, which says what it started from; None where only the package is there.
    """
    part = rows["part"].to_numpy() if "part" in rows.columns else np.zeros(len(rows), np.int64)
    views = []
    for view in VIEWS:
        shown = Shown(store, view)
        for number, model in enumerate(models):
            own = np.flatnonzero(part == number)
            judged = rows.iloc[own]
            if len(models) > 1:
                judged = judged.assign(fold=str(number), member=str(number))
            views.append(judge(model, judged, shown, positions[own], line.progress(view.name)).assign(view=view.name))
    own = np.flatnonzero((part == 0) & np.asarray(store.usable)[positions])
    if not len(own):
        return Examined(views, {})
    asked, there = rows.iloc[own], positions[own]
    probes = _probes(models[0], asked, store, there, experiment, root, line)
    return Examined(views, {"probes": probes, "saliency": check_saliency(models[0], asked, store, there, line)})


def _probes(
    model: Model, asked: pd.DataFrame, store: Store, own: NDArray[np.intp], experiment: Experiment | None, root: Path, line: Line
) -> dict[str, Any]:
    """Of the first member's network, over the rows `asked`, whose images stand at `own` of the store."""
    from medtl.features import cached_features

    told = findings.columns_of(asked)
    kept = [name for name in asked.columns if name not in (*records.COLUMNS, *told, "part", "member")]
    columns = columns_of(asked.reset_index(drop=True), [*(told or ["label"]), "domain", *kept])
    after = cached_features(model.members[0].network, store, own, model.device, cache_dir(), line.progress("features")).numpy()
    before, started = _before(model, own, store, experiment, root, line)
    if before is not None and np.array_equal(before, after):
        before, started = None, FROZEN
    groups = pd.factorize(asked["group_id"])[0].astype(np.int64)
    return {"started": started, "columns": probed(columns, after, before, groups)}


def _before(
    model: Model, own: NDArray[np.intp], store: Store, experiment: Experiment | None, root: Path, line: Line
) -> tuple[NDArray[np.float32] | None, str]:
    """Features of the weights that the training started from, where they are at hand; and a sentence about them."""
    from medtl.backbones.network import build_network
    from medtl.features import cached_features

    if experiment is None:
        return (
            None,
            "What the features told before the training is not known: the package alone does not bring the weights it started from.",
        )
    if experiment.backbone.weights == "none":
        return None, "The training started from scratch, so there is no before."
    try:
        network = build_network(experiment.backbone, experiment.image, root, experiment.seed)
    except MedtlError as refused:
        return None, f"What the features told before the training is not known: {str(refused).splitlines()[0].rstrip('.:')}."
    network = network.to(device=model.device).eval()
    found = cached_features(network, store, own, model.device, cache_dir(), line.progress("features before"))
    return found.numpy(), f"Before: {experiment.backbone.name} as it came ({Path(experiment.backbone.weights).name})."


def keep(examined: Examined | None, folder: Path, split: str) -> None:
    """Write what does not follow from the predictions into `folder`; without any, what an earlier evaluation left there goes."""
    stress_file.keep(examined.further if examined else None, folder, split)


def lines(folder: Path, predictions: pd.DataFrame, split: str, task: Task) -> str:
    """What was found, as sentences for a terminal. `predictions`: the whole table of the folder."""
    test = stressed(predictions[predictions["split"] == split], task)
    if test is None:
        return "No class has cases on both sides, so nothing is said under stress."
    further = stress_file.read(folder).get(split, {})
    told = [said.text for said in sentences(test)]
    if further:
        told += [*(sentence(each) for each in further["probes"]["columns"]), further["probes"]["started"]]
        told += [removed.sentence(further["saliency"])] if further["saliency"] else []
    return "\n".join([f"Under stress ({split}, {test.images:,} images):", *(f"- {text}" for text in told)])
