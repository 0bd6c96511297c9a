"""An interrupted fine-tuning ends in the very weights of an uninterrupted one."""

from __future__ import annotations

import copy

import pytest
import torch

from medtl.module.transfer_module import TransferModule


class Killed(BaseException):
    """Stands for kill -9: nothing in between may catch it and tidy up."""


@pytest.mark.parametrize(
    ("epoch", "batch", "transfer"),
    [
        pytest.param(0, 3, {}, marks=pytest.mark.slow),
        (0, 2, {"strategy": "lp-ft", "ema": 0.9}),  # before the first checkpoint: norms and head are begun with again
        (1, 0, {"ema": 0.9}),
        pytest.param(3, 4, {"ema": 0.9}, marks=pytest.mark.slow),
        (1, 2, {"strategy": "gradual"}),
        pytest.param(2, 0, {"strategy": "gradual", "layer_decay": 0.5, "batch_norm": "affine"}, marks=pytest.mark.slow),
        (2, 3, {"l2_sp": 0.5, "mixup": 0.4, "cutmix": 1.0}),
        pytest.param(3, 1, {"strategy": "partial"}, marks=pytest.mark.slow),
    ],
)
def test_resuming_repeats_the_lost_epoch(classifier, tune, tmp_path, monkeypatch, epoch, batch, transfer):
    settings = {**transfer, "imbalance": {"loss": {"name": "ldam", "drw": 0.5}}}  # a loss that changes with the epoch
    whole, cut = copy.deepcopy(classifier), copy.deepcopy(classifier)
    reached = tune(whole, tmp_path / "whole", **settings)

    step = TransferModule.training_step

    def dying(self, given, index):
        if self.current_epoch == epoch and index == batch:
            raise Killed
        return step(self, given, index)

    monkeypatch.setattr(TransferModule, "training_step", dying)
    with pytest.raises(Killed):
        tune(cut, tmp_path / "cut", **settings)
    monkeypatch.setattr(TransferModule, "training_step", step)
    resumed = copy.deepcopy(classifier)
    again = tune(resumed, tmp_path / "cut", **settings)

    assert again == reached
    last = f"epoch-{reached.epochs - 1:04d}.ckpt"  # not only the best epoch, which may lie before the kill
    ends = [torch.load(tmp_path / name / last)["state_dict"] for name in ("whole", "cut")]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
