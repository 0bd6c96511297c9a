"""Few labels of a target domain: which images get them, and what is learned from them, on features of frozen layers.

Linear probes with a penalty that follows from the number of labels, for so few labels can choose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import entropy
from torch import Tensor

from medtl.batches import Targets
from medtl.imbalance.losses import cross_entropy
from medtl.labelling.choosing import AT_RANDOM, FOR_VARIETY, FOR_VARIETY_AND_DOUBT, choose
from medtl.training.probe import fit_probe, spread

STRENGTH = 100.0
"""The penalty is this over the number of labels: the same pull towards "nothing known" for any number. Chosen on skin lesions and breast
ultrasound, of which a third of the patients stood for the place to be judged; hardly anything between 10 and 1,000 differs."""
ALONE, JOINTLY, SOURCE, BRIGHTNESS = "target alone", "source and target", "source alone", "brightness"
"""Whose labels teach, or that only the image's brightness is looked at."""
Answers = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """Images of one domain that share a purpose: features, brightness, truth, patients."""

    features: Tensor
    """(N, D)"""
    brightness: Tensor
    """(N, 1)"""
    truth: Targets
    groups: NDArray[np.int64]

    def finding(self, k: int) -> Side:
        """One finding as a task of two classes: the images of which it is known."""
        own = self.some(np.flatnonzero(np.isfinite(self.truth[:, k])))
        return replace(own, truth=own.truth[:, k].astype(np.int64))

    def some(self, positions: NDArray[np.int64]) -> Side:
        """The images at `positions`."""
        return Side(self.features[positions], self.brightness[positions], self.truth[positions], self.groups[positions])


@dataclass(frozen=True)
class Places:
    """The source's training images; the target's that may be labelled, and those that every draw is judged on."""

    source: Side
    pool: Side
    judged: Side
    dims: tuple[int, ...]
    classes: int
    positive: int | None

    @property
    def findings(self) -> bool:
        """Whether an image may have several: each is then learned by itself."""
        return self.pool.truth.ndim == 2

    def finding(self, k: int) -> Places:
        """What teaches finding `k`; the judged images are all of them, for what is unknown of one is left out by the judge."""
        return replace(self, source=self.source.finding(k), pool=self.pool.finding(k), classes=2, positive=1)

    @property
    def has_source(self) -> bool:
        """Whether there are images of another domain."""
        return len(self.source.truth) > 0


def ways_of_choosing(places: Places) -> Mapping[str, Callable[[int, int], NDArray[np.int64]]]:
    """Name -> from the number of labels and of the draw to positions in the pool."""
    pool = places.pool
    features = (pool.features.double() / spread(pool.features, places.dims)).numpy()
    ways: dict[str, Callable[[int, int], NDArray[np.int64]]] = {
        AT_RANDOM: lambda count, draw: np.random.default_rng(draw).permutation(len(features))[:count],
        FOR_VARIETY: lambda count, draw: choose(features, count, draw, pool.groups).positions,
    }
    if places.has_source:
        doubt = _doubt(from_source(places, pool), places.findings)
        ways[FOR_VARIETY_AND_DOUBT] = lambda count, draw: choose(features, count, draw, pool.groups, doubt).positions
    return ways


def _doubt(answers: Answers, findings: bool) -> Answers:
    """(N,) entropy of the answers; of findings the mean over them."""
    found: Answers = entropy(np.stack([answers, 1 - answers]), axis=0).mean(axis=1) if findings else entropy(answers, axis=1)
    return found


def ways_of_learning(places: Places) -> Mapping[str, Callable[[Side], Answers]]:
    """Name -> from labelled images of the target to probabilities (M, K) of the judged ones; of findings, each by itself."""
    if places.findings:
        each = [ways_of_learning(places.finding(k)) for k in range(places.classes)]
        names = (ALONE, *((JOINTLY,) if places.has_source else ()), BRIGHTNESS)

        def together(name: str, labelled: Side) -> Answers:  # of what the source knows nothing, the target's labels teach alone
            return np.column_stack([own.get(name, own[ALONE])(labelled.finding(k))[:, 1] for k, own in enumerate(each)])

        return {name: partial(together, name) for name in names}

    def alone(labelled: Side) -> Answers:
        return probed(labelled.features, labelled.truth, None, len(labelled.truth), places.judged.features, places.dims, places.classes)

    def jointly(labelled: Side) -> Answers:
        if not len(labelled.truth):
            return from_source(places, places.judged)  # of a finding that is known of none of the few
        sizes = len(places.source.truth), len(labelled.truth)
        weights = np.repeat([sum(sizes) / (2 * size) for size in sizes], sizes)  # both domains count half
        features, truth = torch.cat([places.source.features, labelled.features]), np.concatenate([places.source.truth, labelled.truth])
        return probed(features, truth, weights, len(labelled.truth), places.judged.features, places.dims, places.classes)

    def brightness(labelled: Side) -> Answers:
        return probed(labelled.brightness, labelled.truth, None, len(labelled.truth), places.judged.brightness, (1,), places.classes)

    return {ALONE: alone, **({JOINTLY: jointly} if places.has_source else {}), BRIGHTNESS: brightness}


def from_source(places: Places, asked: Side) -> Answers:
    """Probabilities (M, K) for images of the target by what the source's labels teach."""
    if places.findings:
        return np.column_stack([from_source(places.finding(k), asked)[:, 1] for k in range(places.classes)])
    known = places.source
    return probed(known.features, known.truth, None, len(known.truth), asked.features, places.dims, places.classes)


def probed(
    features: Tensor,
    truth: Targets,
    weights: NDArray[np.float64] | None,
    labels: int,
    asked: Tensor,
    dims: tuple[int, ...],
    classes: int,
) -> Answers:
    """Probabilities (M, K) of the images `asked`, by what `features` (N, D) of labelled ones teach; all alike where the labels are of one
    class. `labels`: how many are few, for the penalty."""
    if len(np.unique(truth)) < 2:
        return np.full((len(asked), classes), 1 / classes)
    loss = cross_entropy.build(cross_entropy.Settings(), np.bincount(truth, minlength=classes).astype(np.float64)).double()
    given = None if weights is None else torch.from_numpy(weights)
    itself = (features, truth)  # one penalty: there is nothing to choose, and so nothing to choose it on
    probe = fit_probe(features, torch.from_numpy(truth), given, loss, (STRENGTH / labels,), itself, "loss", classes, dims=dims)
    answers: Answers = torch.softmax(asked.double() @ probe.weight.double().T + probe.bias.double(), dim=1).numpy()
    return answers
