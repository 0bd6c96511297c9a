"""What fine-tuning promises: frozen batch norms stay, the best epoch is kept, patience stops, a broken loss ends clearly."""

from __future__ import annotations

import copy
import io
import itertools
import json

import numpy as np
import pytest
import torch

from medtl.imbalance.losses import cross_entropy
from medtl.module.transfer_module import TransferModule, rate_factor
from medtl.terminal import Line
from medtl.training.finetune import finetune
from medtl.training.log import Log

LOSS = cross_entropy.build(cross_entropy.Settings(), np.array([20.0, 20.0]), 0.0)


def _fit(classifier, data, experiment, tmp_path, **transfer):
    experiment = experiment.model_copy(update={"transfer": experiment.transfer.model_copy(update={"ema": 0.0, **transfer})})
    out = io.StringIO()
    tuned = finetune(classifier, LOSS, data, experiment, tmp_path / "checkpoints", Log(tmp_path / "log.jsonl"), Line(out), [])
    return tuned, out.getvalue()


def test_it_learns_logs_and_keeps_two_checkpoints(classifier, data, experiment, tmp_path):
    tuned, said = _fit(classifier, data, experiment, tmp_path, epochs=5)
    assert tuned.best > 0.9
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["epoch"] for event in events] == [1, 2, 3, 4, 5]
    assert max(event["validation_auroc"] for event in events) == pytest.approx(tuned.best)
    assert said.count("\n") == 5
    assert "epoch 5/5" in said
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.safetensors", "epoch-0003.ckpt", "epoch-0004.ckpt"]


def test_frozen_batch_norms_do_not_move(classifier, data, experiment, tmp_path):
    before = copy.deepcopy(classifier.network.body[1].state_dict())
    _fit(classifier, data, experiment, tmp_path, batch_norm="frozen", epochs=2)
    for name, tensor in classifier.network.body[1].state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not torch.equal(classifier.network.body[0].weight, torch.zeros(1))


def test_trained_batch_norms_do_move_also_after_a_probe(classifier, data, experiment, tmp_path):
    before = classifier.network.body[1].running_mean.clone()
    classifier.eval()  # as computing features leaves it
    _fit(classifier, data, experiment, tmp_path, epochs=1)
    assert not torch.equal(classifier.network.body[1].running_mean, before)


def test_patience_stops(classifier, data, experiment, tmp_path, monkeypatch):
    scores = iter([0.5, 0.9, 0.6, 0.7, 0.8, 0.8])

    def fixed(self):
        self.score = next(scores)

    monkeypatch.setattr(TransferModule, "on_validation_epoch_end", fixed)
    tuned, _ = _fit(classifier, data, experiment, tmp_path, epochs=6, patience=2)
    assert (tuned.best, tuned.best_epoch, tuned.epochs) == (0.9, 1, 4)
    resumed, _ = _fit(classifier, data, experiment, tmp_path, epochs=6, patience=2)
    assert (resumed.best, resumed.best_epoch) == (0.9, 1)
    assert next(scores) == 0.8, "it was trained on after it had stopped"


def test_a_loss_that_is_not_finite_is_the_users_to_mend(classifier, data, experiment, tmp_path):
    from medtl.errors import MedtlError

    with pytest.raises(MedtlError, match=r"loss is .* epoch .*transfer\.rate"):
        _fit(classifier, data, experiment, tmp_path, rate=1e30, epochs=3)


def test_rate_rises_then_falls_to_zero():
    factors = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] == 0.1
    assert factors[9] == factors[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))
    assert 0 < factors[-1] < 0.001


def test_every_epoch_has_its_own_order_and_augmentation(classifier, data, experiment, tmp_path, monkeypatch):
    seen = []

    def spy(images, positions, settings, seed, epoch):
        seen.append((epoch, *positions.tolist()))
        return images

    monkeypatch.setattr("medtl.batches.augment", spy)
    _fit(classifier, data, experiment, tmp_path, epochs=3)
    batches = len(seen) // 3
    assert [epoch for epoch, *_ in seen] == [0] * batches + [1] * batches + [2] * batches
    assert len({tuple(order) for _, *order in seen}) == len(seen), "an order came again"
