"""Fine-tuning on Lightning's Trainer, resumable after a kill at any moment."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment

from medtl.datamodule import StoredImages
from medtl.errors import MedtlError
from medtl.module.adapted_module import AdaptedModule
from medtl.module.classifier import Classifier
from medtl.module.distilled_module import DistilledModule
from medtl.module.learning import sentence
from medtl.module.transfer_module import TransferModule
from medtl.training.checkpoints import START, Keeper, SafeCheckpointIO, newest
from medtl.training.heads import probe_by_own_statistics
from medtl.training.job import Job
from medtl.training.reporter import EpochReporter
from medtl.training.soup import greedy_soup
from medtl.transfer import TransferSettings


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning reached; the classifier itself was changed in place to its best epoch, or to a mean of its best ones."""

    best: float
    best_epoch: int
    epochs: int
    soup: tuple[int, ...]
    """The epochs, from 0 (-1: the start), whose weights were averaged."""
    souped: float
    """The validation score of that mean."""

    def history(self, transfer: TransferSettings) -> dict[str, Any]:
        """For the package, with epochs from 1; 0 is the start, a linear probe."""
        reached = {"epochs": self.epochs, "best_epoch": self.best_epoch + 1, f"validation_{transfer.monitor}": self.best}
        return {**reached, "soup": [epoch + 1 for epoch in self.soup], "souped": self.souped} if transfer.soup > 1 else reached


def finetune(job: Job, classifier: Classifier, data: StoredImages) -> Tuned:
    """Fit what the strategy lets learn, on batches of images or of border maps.

    `job.folder` keeps the checkpoints. A readable one found there is continued from, to the same end.
    """
    transfer, machine, line, folder = job.experiment.transfer, job.experiment.trainer, job.line, job.folder
    world = machine.devices * machine.num_nodes
    steps = data.steps_per_epoch(world) * transfer.epochs
    if steps == 0:
        raise MedtlError(f"{len(data.train)} training images make no batch on {world} devices; bring more, or fewer devices")
    positive, shift = job.experiment.task.positive_index, job.balanced.prior_shift
    module = _module(job, classifier, steps, data.maps, positive, shift)
    line.keep(sentence(module.groups, transfer))
    keeper = Keeper(folder, transfer.patience, transfer.soup)
    reporter = EpochReporter(job.log, line, transfer.monitor, lambda: (keeper.best, keeper.best_epoch), job.watch)
    _quiet()
    trainer = _trainer(job, keeper, reporter)
    start = newest(folder)
    if start is not None:
        data.first_epoch = int(start.stem.removeprefix("epoch-")) + 1
        line.keep(f"continuing after epoch {data.first_epoch}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # by design: see datamodule
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # frozen batch norms, the average
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)  # Lightning 2.6 on torch 2.15
        module.to(memory_format=torch.channels_last)
        try:
            if start is None and transfer.probed:
                if module.settled:
                    trainer.validate(module, datamodule=data, verbose=False)
                    _begin(job, module, keeper)
                if job.begins_as_probe:
                    probe_by_own_statistics(job, classifier.to(job.device))
                    module.begin_average()
            module.train()  # Lightning leaves modes as they are, and the probe left the network in evaluation mode
            trainer.fit(module, datamodule=data, ckpt_path=start)
        except SystemExit:  # how Lightning ends on Ctrl+C and on SIGTERM, the latter with exit code 0
            raise KeyboardInterrupt from None
    if not keeper.kept:
        raise MedtlError(f"no epoch gave finite answers for the validation images; lower transfer.rate (now {transfer.rate:g})")
    classifier.to(job.device, memory_format=torch.channels_last)  # Lightning leaves it on the CPU
    files = {epoch: keeper.file(epoch) for _, epoch in keeper.kept}
    soup, souped = greedy_soup(classifier, files, keeper.best, job.score)
    if keeper.best_epoch == START:
        begun = "linear probe" if job.further is None else "model"
        line.keep(f"no epoch was better on validation than the {begun} that it began with ({keeper.best:.4f}): that is kept")
    if len(files) > 1:
        line.keep(f"soup of epochs {', '.join(str(epoch + 1) for epoch in sorted(soup))}  validation {transfer.monitor} {souped:.4f}")
    return Tuned(keeper.best, keeper.best_epoch, trainer.current_epoch, tuple(sorted(soup)), souped)


def _module(job: Job, classifier: Classifier, steps: int, maps: bool, positive: int | None, shift: Sequence[float]) -> TransferModule:
    """What is trained: the classifier, alone, or beside a target domain, or beside what it said before."""
    e, adapting, further = job.experiment, job.adapting, job.further
    if further is not None and further.distillation:
        return DistilledModule(
            classifier, job.balanced.loss, e.transfer, steps, e.seed, positive, maps, shift,
            weight=further.distillation, temperature=further.temperature, findings=e.task.kind == "multi",
        )  # fmt: skip
    if adapting is None:
        return TransferModule(classifier, job.balanced.loss, e.transfer, steps, e.seed, positive, maps, shift)
    return AdaptedModule(
        classifier, job.balanced.loss, e.transfer, steps, e.seed, positive, maps, shift,
        penalty=adapting.penalty(job, classifier), labelled=adapting.labelled, norms_alone=adapting.norms_alone,
        look=lambda asked: adapting.look(job, asked),
    )  # fmt: skip


def _trainer(job: Job, *callbacks: pl.Callback) -> pl.Trainer:
    """Lightning's, with our checkpoints and without what it would say."""
    transfer, machine = job.experiment.transfer, job.experiment.trainer
    return pl.Trainer(
        accelerator="gpu" if machine.device == "cuda" else "cpu",
        devices=machine.devices,
        num_nodes=machine.num_nodes,
        strategy=machine.strategy,
        precision="bf16-mixed" if machine.precision == "bfloat16" else "32-true",
        max_epochs=transfer.epochs,
        gradient_clip_val=transfer.clip,
        callbacks=list(callbacks),
        plugins=[SafeCheckpointIO(), LightningEnvironment()],  # also inside a cluster job: resuming is ours, not the scheduler's
        logger=job.trackers or False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic="warn" if machine.device == "cuda" else False,
        default_root_dir=job.folder,
    )


def _begin(job: Job, module: TransferModule, keeper: Keeper) -> None:
    """The linear probe, just judged on validation, as epoch 0."""
    keeper.begin(module.judged, module.score)
    facts = {f"validation_{job.experiment.transfer.monitor}": module.score}
    job.log.event("epoch", epoch=0, loss=None, rate=0.0, seconds=0.0, **facts)


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
