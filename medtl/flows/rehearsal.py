"""What a training would cost here, measured on its own network with a few throw-away steps."""

from __future__ import annotations

import io
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medtl.adaptation.statistics import norms_of
from medtl.batches import Part, Targets
from medtl.datamodule import StoredImages
from medtl.experiment.schema import Experiment
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store
from medtl.module.classifier import VIEWS, Classifier, as_input
from medtl.module.learning import optimizer_groups, plan, set_learning, set_modes
from medtl.report.figures.learning import rates
from medtl.terminal import Line
from medtl.training.balance import Balance, balance
from medtl.training.fit import build_classifier
from medtl.training.gate import looks
from medtl.training.heads import probe, probe_by_own_statistics
from medtl.training.job import Job
from medtl.training.log import Log
from medtl.training.rate_range import RateRange, rate_range

STEPS = 3
GIGABYTE = 1e9


@dataclass(frozen=True)
class Rehearsal:
    """Seconds and bytes of one training on this machine, and the first batch it would see."""

    step_seconds: float
    """One optimiser step, augmentation included; 0 where no layer but the head learns."""
    forward_seconds: float
    """One image through the frozen network."""
    memory_bytes: int
    """The most that this process (on a GPU: the device) has held so far."""
    model_bytes: int
    images: NDArray[np.uint8]
    """(B, S, S, C): the first training batch, augmented as training would."""
    targets: Targets
    norms: bool = False
    """Whether the network has batch norms with running averages."""


@dataclass(frozen=True)
class Cost:
    """What a whole training is expected to take."""

    probe_minutes: float
    epoch_seconds: float
    minutes: float
    store_bytes: int
    run_bytes: int


def rehearse(experiment: Experiment, store: Store, train: Part, root: Path) -> Rehearsal:
    """Build network and head, run a few steps on the images at `train`, throw everything away. The weights must be at hand."""
    classifier = build_classifier(experiment, root)
    images, targets = _first_batch(experiment, store, train)
    device = experiment.trainer.device
    network = classifier.network.eval()

    def forward() -> None:
        with torch.inference_mode():
            network.features(as_input(torch.from_numpy(images).to(device)))

    forward_seconds = _fastest(forward, device) / len(images)
    step_seconds = 0.0
    if experiment.transfer.tuned:
        step_seconds = _fastest(_step(classifier, experiment, store, train), device)
    model_bytes = sum(tensor.numel() * tensor.element_size() for tensor in classifier.state_dict().values())
    return Rehearsal(step_seconds, forward_seconds, _memory(device), model_bytes, images, targets, bool(norms_of(network)))


def try_rates(experiment: Experiment, store: Store, train: Part, root: Path, picture: Path, line: Line) -> RateRange:
    """The learning-rate range test of this training, begun as that will be, with the norms and the head that follow a probe where the
    strategy has one; drawn into `picture`."""
    classifier = build_classifier(experiment, root)
    balanced = _balanced(experiment, train)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        job = Job(experiment, store, train, train, balanced, place, cache_dir(), Log(place / "log.jsonl"), Line(io.StringIO()), [])
        if job.begins_as_probe:
            probe(job, classifier)
            probe_by_own_statistics(job, classifier)
    line.show("rates from far too small to far too large …")
    ranged = rate_range(experiment, classifier, balanced.loss.to(experiment.trainer.device), _data(experiment, store, train))
    rates(ranged.curve, experiment.transfer.rate, ranged.steepest).savefig(picture, dpi=150)
    return ranged


def cost(experiment: Experiment, rehearsed: Rehearsal, train: int, validation: int, images: int) -> Cost:
    """From `train` and `validation` images (of one fold) and all `images` to minutes and bytes of the whole training."""
    transfer, folds = experiment.transfer, experiment.split.fits or experiment.transfer.trainings
    judging = validation * len(VIEWS[experiment.decision.flips]) * rehearsed.forward_seconds
    views = transfer.views or 1
    probe = (train * views + validation) * rehearsed.forward_seconds if transfer.probed else 0.0
    anew = bool(probe) and transfer.tuned and transfer.batch_norm == "train" and rehearsed.norms
    if anew:  # the norms' own statistics, and a head fitted to what the network then makes of the same images
        probe += probe + train * rehearsed.forward_seconds
    steps = max(1, train // min(transfer.batch, train))
    epoch = steps * rehearsed.step_seconds + judging if transfer.tuned else 0.0
    gate = looks(train, validation) * rehearsed.forward_seconds if experiment.decision.gate.refuse else 0.0
    start = judging if transfer.probed and transfer.tuned else 0.0  # the probe is a candidate like any epoch
    total = folds * (probe + start + transfer.epochs * epoch + judging + gate)
    candidates = 1 + len(methods_of(experiment))
    if candidates > 1:  # an adapted step shows a batch of the target beside that of the source
        total += (candidates - 1) * (probe + start + transfer.epochs * 2 * epoch + judging + gate)
    # a checkpoint holds the weights and AdamW's two moments; two are kept, beside the best weights, the package, and a head's own file
    copies = (2 * (4 if transfer.ema else 3) + 2 if epoch else 2) + transfer.probed + anew
    size = experiment.image.size**2 * experiment.image.channels
    return Cost(
        folds * probe / 60,
        epoch,
        total / 60,
        images * size,
        (folds + (folds > 1) + (candidates if candidates > 1 else 0)) * copies * rehearsed.model_bytes,
    )


def methods_of(experiment: Experiment) -> tuple[str, ...]:
    """Names of the methods that are trained beside the source-only model; empty without adaptation."""
    return () if experiment.adaptation == "none" else tuple(method.name for method in experiment.adaptation.methods)


def _first_batch(experiment: Experiment, store: Store, train: Part) -> tuple[NDArray[np.uint8], Targets]:
    images, targets = next(iter(_data(experiment, store, train).train_dataloader()))
    return images.numpy(), targets.numpy()


def _data(experiment: Experiment, store: Store, train: Part) -> StoredImages:
    weights = _balanced(experiment, train).weights
    own = None if weights is None else weights[: len(train)]
    return StoredImages(store, train, train, experiment.augmentation, experiment.transfer.batch, experiment.seed, own)


def _balanced(experiment: Experiment, train: Part) -> Balance:
    """A class that the sample happens to lack counts as one image: training itself sees all images, or refuses."""
    if experiment.task.kind == "multi":
        either = np.repeat(np.array([[0], [1]], np.float32), len(experiment.task.names), axis=1)
        return balance(experiment, np.concatenate([train.targets, either]))
    absent = np.setdiff1d(np.arange(len(experiment.task.learned)), train.targets)
    return balance(experiment, np.concatenate([train.targets, absent]))


def _step(classifier: Classifier, experiment: Experiment, store: Store, train: Part) -> Callable[[], None]:
    """One optimiser step on the next batch, read and augmented as in training, with all learning that ever will."""
    device, transfer = experiment.trainer.device, experiment.transfer
    groups = plan(classifier, transfer)
    set_learning(classifier, groups, transfer.epochs - 1)
    classifier.train()
    set_modes(classifier, transfer)
    loss = _balanced(experiment, train).loss.to(device)
    optimizer = torch.optim.AdamW(optimizer_groups(groups, transfer)[0])
    for group in optimizer.param_groups:
        group["lr"] = 1e-6
    loader = _data(experiment, store, train).train_dataloader()

    def step() -> None:
        images, targets = next(iter(loader))
        with torch.autocast(device, torch.bfloat16, enabled=experiment.trainer.precision == "bfloat16"):
            value = loss(classifier(images.to(device)), targets.to(device), None)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()

    return step


def _fastest(work: Callable[[], None], device: str) -> float:
    """Seconds of the fastest of a few runs after a warm-up."""
    taken = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return min(taken[1:])


def _memory(device: str) -> int:
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # bytes there, kilobytes elsewhere
