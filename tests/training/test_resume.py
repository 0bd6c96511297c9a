"""An interrupted fine-tuning ends in the very weights of an uninterrupted one."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from medtl.imbalance.losses import cross_entropy
from medtl.module.transfer_module import TransferModule
from medtl.terminal import Line
from medtl.training.finetune import finetune
from medtl.training.log import Log
from medtl.transfer import TransferSettings

LOSS = cross_entropy.build(cross_entropy.Settings(), np.array([20.0, 20.0]), 0.05)


class Killed(BaseException):
    """Stands for kill -9: nothing in between may catch it and tidy up."""


def _fit(classifier, data, experiment, folder: Path):
    return finetune(classifier, LOSS, data, experiment, folder, Log(folder.parent / "log.jsonl"), Line(io.StringIO()), [])


@pytest.mark.parametrize(
    ("epoch", "batch", "transfer"),
    [
        (0, 3, {}),
        (1, 0, {"ema": 0.9}),
        (3, 4, {"ema": 0.9}),
        (1, 2, {"strategy": "gradual"}),
        (2, 0, {"strategy": "gradual", "layer_decay": 0.5, "batch_norm": "affine"}),
        (2, 3, {"l2_sp": 0.5, "mixup": 0.4, "cutmix": 1.0}),
        (3, 1, {"strategy": "partial"}),
    ],
)
def test_resuming_repeats_the_lost_epoch(classifier, data, experiment, tmp_path, monkeypatch, epoch, batch, transfer):
    settings = TransferSettings(**{**experiment.transfer.model_dump(), "ema": 0.0, **transfer})
    experiment = experiment.model_copy(update={"transfer": settings})
    whole, cut = copy.deepcopy(classifier), copy.deepcopy(classifier)
    reached = _fit(whole, data, experiment, tmp_path / "whole")

    step = TransferModule.training_step

    def dying(self, given, index):
        if self.current_epoch == epoch and index == batch:
            raise Killed
        return step(self, given, index)

    monkeypatch.setattr(TransferModule, "training_step", dying)
    with pytest.raises(Killed):
        _fit(cut, data, experiment, tmp_path / "cut")
    monkeypatch.setattr(TransferModule, "training_step", step)
    resumed = copy.deepcopy(classifier)
    again = _fit(resumed, data, experiment, tmp_path / "cut")

    assert again == reached
    last = f"epoch-{settings.epochs - 1:04d}.ckpt"  # not only the best epoch, which may lie before the kill
    ends = [torch.load(tmp_path / name / last)["state_dict"] for name in ("whole", "cut")]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
