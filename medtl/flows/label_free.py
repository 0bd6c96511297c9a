"""What can be said of candidates without a target label: scores of each by its answers to the target's training images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from medtl.adaptation import SOURCE_ONLY
from medtl.adaptation.statistics import Norms, norms_of, statistics_of
from medtl.contracts import TRAIN, VALIDATION
from medtl.evaluation import label_free, monitor
from medtl.flows.fitting import Training
from medtl.flows.run import CANDIDATES
from medtl.imaging.store import Store
from medtl.model.model import Model
from medtl.module.classifier import Classifier, as_input
from medtl.training.fit import parts_of

MOST = 1000
"""Images of each part that scores are of: more would cost time and tell no more."""
_AT_ONCE = 64


@dataclass(frozen=True)
class Candidate:
    """A trained candidate and the store as it was shown to it."""

    name: str
    store: Store
    by_domain: bool = False
    """Whether its batch norms hold the target's statistics, so that the source is to be seen with the source's."""


@dataclass(frozen=True)
class Scores:
    """Of one candidate."""

    values: Mapping[str, float | None]
    """By the names of `label_free.HIGHER_IS_BETTER`; None where the task has several findings per image."""
    target: NDArray[np.float64]
    """(N, K) what it says of the target's training images, as probabilities."""


def scores(whole: Training, candidates: Sequence[Candidate], target: NDArray[np.int64]) -> dict[str, Scores]:
    """Scores of each candidate by name."""
    whole.line.show("scores without labels …")
    found = {each.name: _scores(whole, each, _some(target)) for each in candidates}
    whole.log.event("label-free", scores={name: dict(each.values) for name, each in found.items()})
    return found


def best(found: Mapping[str, Scores], by: str) -> str:
    """The method with the best score; source-only stands outside."""
    return label_free.best({name: each.values for name, each in found.items() if name != SOURCE_ONLY}, by)


def veto(found: Mapping[str, Scores], name: str, classes: Sequence[str]) -> str:
    """What speaks against a candidate without any label, as a sentence; empty where nothing does."""
    lost = label_free.lost_classes(found[name].target, found[SOURCE_ONLY].target)
    return f"it no longer finds {', '.join(classes[k] for k in lost)} among the target's images, which source-only does" if lost else ""


def _scores(whole: Training, candidate: Candidate, target: NDArray[np.int64]) -> Scores:
    experiment = whole.experiment
    model = Model.load(whole.folder / CANDIDATES / candidate.name / "model", experiment.trainer.device)
    member, shift = model.members[0], np.asarray(model.package.prior_shift[0])
    parts = parts_of(whole.rows, experiment)
    judged, learned = parts[VALIDATION], _some(parts[TRAIN].positions)
    at_target, logits = _look(member, candidate.store, target, model.device)
    norms = _moved_norms(whole, member) if candidate.by_domain else []
    with statistics_of(member.network, norms, _images(candidate.store, learned, model.device)):
        at_train, _ = _look(member, candidate.store, learned, model.device)
        at_validation, own = _look(member, candidate.store, judged.positions, model.device)
    values: dict[str, Any] = dict.fromkeys(label_free.HIGHER_IS_BETTER)
    values["source-validation"] = monitor.score(experiment.transfer.monitor, judged.targets, own - shift, experiment.task.positive_index)
    if experiment.task.kind == "multi":
        return Scores(values, 1 / (1 + np.exp(-(logits - shift))))
    p = softmax(logits - shift, axis=1)
    losses = -log_softmax(own - shift, axis=1)[np.arange(len(own)), judged.targets]
    ratio = label_free.density_ratio(at_train, at_target, at_validation, experiment.seed)
    values |= {"entropy": label_free.entropy(p), "neighbourhood-density": label_free.neighbourhood_density(p)}
    values["dev"] = label_free.dev(losses, ratio)
    return Scores(values, p)


def _look(
    member: Classifier, store: Store, positions: NDArray[np.int64], device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (N, D) and logits (N, K)."""
    features, logits = [], []
    with torch.inference_mode():
        for start in range(0, len(positions), _AT_ONCE):
            images = torch.from_numpy(store.read(positions[start : start + _AT_ONCE])).to(device)
            found, seen = member.with_features(images)
            logits.append(found.double().cpu().numpy())
            features.append(seen.double().cpu().numpy())
    return np.concatenate(features), np.concatenate(logits)


def _moved_norms(whole: Training, member: Classifier) -> Norms:
    """Batch norms whose running averages are not those of source-only."""
    before = Model.load(whole.folder / CANDIDATES / SOURCE_ONLY / "model", str(member.head.weight.device)).members[0]
    both = zip(norms_of(member.network), norms_of(before.network), strict=True)
    return [norm for norm, other in both if not torch.equal(norm.running_mean, other.running_mean)]


def _images(store: Store, positions: NDArray[np.int64], device: torch.device) -> Iterator[torch.Tensor]:
    for start in range(0, len(positions), _AT_ONCE):
        yield as_input(torch.from_numpy(store.read(positions[start : start + _AT_ONCE])).to(device))


def _some(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most :data:`MOST`, evenly over all."""
    return positions if len(positions) <= MOST else positions[np.linspace(0, len(positions) - 1, MOST).astype(np.int64)]
