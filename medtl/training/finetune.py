"""Fine-tuning on Lightning's Trainer, resumable after a kill at any moment."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch import nn

from medtl.datamodule import StoredImages
from medtl.errors import MedtlError
from medtl.experiment.schema import Experiment
from medtl.module.classifier import Classifier
from medtl.module.transfer_module import TransferModule
from medtl.terminal import Line
from medtl.training.checkpoints import Keeper, SafeCheckpointIO, newest
from medtl.training.log import Log
from medtl.training.reporter import EpochReporter
from medtl.training.weights import load_weights


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning reached; the classifier itself was changed in place to its best epoch."""

    best: float
    best_epoch: int
    epochs: int


def finetune(
    classifier: Classifier,
    loss: nn.Module,
    data: StoredImages,
    experiment: Experiment,
    folder: Path,
    log: Log,
    line: Line,
    trackers: list[Logger],
) -> Tuned:
    """Fit all layers; `folder` keeps the checkpoints. A readable checkpoint found there is continued from, to the same end."""
    transfer, machine = experiment.transfer, experiment.trainer
    world = machine.devices * machine.num_nodes
    steps = data.steps_per_epoch(world) * transfer.epochs
    if steps == 0:
        raise MedtlError(f"{len(data.train)} training images make no batch on {world} devices; bring more, or fewer devices")
    module = TransferModule(classifier, loss, transfer, steps, experiment.seed, experiment.task.positive_index)
    keeper = Keeper(folder, transfer.patience)
    reporter = EpochReporter(log, line, transfer.monitor, lambda: (keeper.best, keeper.best_epoch))
    _quiet()
    trainer = pl.Trainer(
        accelerator="gpu" if machine.device == "cuda" else "cpu",
        devices=machine.devices,
        num_nodes=machine.num_nodes,
        strategy=machine.strategy,
        precision="bf16-mixed" if machine.precision == "bfloat16" else "32-true",
        max_epochs=transfer.epochs,
        gradient_clip_val=transfer.clip,
        callbacks=[keeper, reporter],
        plugins=[SafeCheckpointIO(), LightningEnvironment()],  # also inside a cluster job: resuming is ours, not the scheduler's
        logger=trackers or False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        deterministic="warn" if machine.device == "cuda" else False,
        default_root_dir=folder,
    )
    start = newest(folder)
    if start is not None:
        data.first_epoch = int(start.stem.removeprefix("epoch-")) + 1
        line.keep(f"continuing after epoch {data.first_epoch}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")  # by design: see datamodule
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # frozen batch norms, the average
        warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)  # Lightning 2.6 on torch 2.15
        module.train()  # Lightning leaves modes as they are, and the probe left the network in evaluation mode
        try:
            trainer.fit(module.to(memory_format=torch.channels_last), datamodule=data, ckpt_path=start)
        except SystemExit:  # how Lightning ends on Ctrl+C and on SIGTERM, the latter with exit code 0
            raise KeyboardInterrupt from None
    if keeper.best_epoch < 0:
        raise MedtlError(f"no epoch gave finite answers for the validation images; lower transfer.rate (now {transfer.rate:g})")
    load_weights(classifier, keeper.best_file)
    return Tuned(keeper.best, keeper.best_epoch, trainer.current_epoch)


def _quiet() -> None:
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
