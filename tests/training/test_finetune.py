"""What fine-tuning promises: frozen batch norms stay, the best epoch is kept, patience stops, a broken loss ends clearly."""

from __future__ import annotations

import copy
import dataclasses
import io
import itertools
import json

import numpy as np
import pytest
import torch

from medtl.augmentation import AugmentationSettings
from medtl.datamodule import StoredImages
from medtl.module.learning import rate_factor
from medtl.module.transfer_module import TransferModule
from medtl.training.finetune import finetune
from medtl.training.heads import probe, probe_by_own_statistics
from medtl.training.norms import StoredBatches

STILL = AugmentationSettings(flip="none", rotate=0, scale=0, translate=0, brightness=0, contrast=0)


def test_it_learns_logs_and_keeps_two_checkpoints(classifier, tune, tmp_path):
    out = io.StringIO()
    tuned = tune(classifier, tmp_path / "checkpoints", said=out, epochs=5)
    said = out.getvalue()
    assert tuned.best > 0.9
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [event["epoch"] for event in events] == [1, 2, 3, 4, 5]
    assert max(event["validation_auroc"] for event in events) == pytest.approx(tuned.best)
    assert said.count("\n") == 6
    assert "the head and all of 2 stages learn" in said
    assert "epoch 5/5" in said
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        f"best-{tuned.best_epoch:04d}.safetensors",
        "epoch-0003.ckpt",
        "epoch-0004.ckpt",
    ]


def test_frozen_batch_norms_do_not_move(classifier, tune, tmp_path):
    before = copy.deepcopy(classifier.network.body[1].state_dict())
    tune(classifier, tmp_path / "checkpoints", batch_norm="frozen", epochs=2)
    for name, tensor in classifier.network.body[1].state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert not torch.equal(classifier.network.body[0].weight, torch.zeros(1))


def test_trained_batch_norms_do_move_also_after_a_probe(classifier, tune, tmp_path):
    before = classifier.network.body[1].running_mean.clone()
    classifier.eval()  # as computing features leaves it
    tune(classifier, tmp_path / "checkpoints", epochs=1)
    assert not torch.equal(classifier.network.body[1].running_mean, before)


def test_patience_stops(classifier, tune, tmp_path, monkeypatch):
    scores = iter([0.5, 0.9, 0.6, 0.7, 0.8, 0.8])

    def fixed(self):
        self.score = next(scores)

    monkeypatch.setattr(TransferModule, "on_validation_epoch_end", fixed)
    tuned = tune(classifier, tmp_path / "checkpoints", epochs=6, patience=2)
    assert (tuned.best, tuned.best_epoch, tuned.epochs) == (0.9, 1, 4)
    resumed = tune(classifier, tmp_path / "checkpoints", epochs=6, patience=2)
    assert (resumed.best, resumed.best_epoch) == (0.9, 1)
    assert next(scores) == 0.8, "it was trained on after it had stopped"


def test_a_loss_that_is_not_finite_is_the_users_to_mend(classifier, tune, tmp_path):
    from medtl.errors import MedtlError

    with pytest.raises(MedtlError, match=r"loss is .* epoch .*transfer\.rate"):
        tune(classifier, tmp_path / "checkpoints", rate=1e30, epochs=3)


def test_rate_rises_then_falls_to_zero():
    factors = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] == 0.1
    assert factors[9] == factors[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(factors[10:]))
    assert 0 < factors[-1] < 0.001


def test_every_epoch_has_its_own_order_and_augmentation(classifier, tune, tmp_path, monkeypatch):
    seen = []

    def spy(images, positions, settings, seed, epoch):
        seen.append((epoch, *positions.tolist()))
        return images

    monkeypatch.setattr("medtl.datamodule.augment", spy)
    tune(classifier, tmp_path / "checkpoints", epochs=3)
    batches = len(seen) // 3
    assert [epoch for epoch, *_ in seen] == [0] * batches + [1] * batches + [2] * batches
    assert len({tuple(order) for _, *order in seen}) == len(seen), "an order came again"


def test_the_best_epoch_is_one_of_the_losses_final_phase(classifier, tune, tmp_path, monkeypatch):
    """Deferred weights shift the prior only in the final phase, and only that shift is undone."""
    scores = iter([0.9, 0.8, 0.7, 0.5, 0.6])
    progress = []

    def fixed(self):
        progress.append((self.loss.progress, self.settled))
        self.score = next(scores)

    monkeypatch.setattr(TransferModule, "on_validation_epoch_end", fixed)
    tuned = tune(classifier, tmp_path / "checkpoints", imbalance={"loss": {"name": "ldam", "drw": 0.7}}, epochs=5, patience=1)
    assert progress == [(0.0, False), (0.25, False), (0.5, False), (0.75, True), (1.0, True)]
    assert (tuned.best, tuned.best_epoch) == (0.6, 4)


def test_patience_and_pruning_wait_for_the_losses_final_phase(classifier, job, data, tmp_path, monkeypatch):
    """What training began with is a candidate from the start; the epochs are not until the final phase, so nobody may give up before."""
    scores, told = iter([0.9, 0.1, 0.2, 0.3, 0.95, 0.94]), []

    def fixed(self):
        self.score = next(scores)

    monkeypatch.setattr(TransferModule, "on_validation_epoch_end", fixed)
    deferred = {"loss": {"name": "ldam", "drw": 0.7}}
    own = job(tmp_path / "checkpoints", imbalance=deferred, strategy="lp-ft", batch_norm="frozen", epochs=5, patience=2)
    tuned = finetune(dataclasses.replace(own, watch=lambda epoch, score: told.append((epoch, score))), classifier, data)
    assert (tuned.best, tuned.best_epoch, tuned.epochs) == (0.95, 3, 5)
    assert told == [(3, 0.95), (4, 0.95)]


def test_validation_is_judged_without_what_the_loss_shifts(classifier, tune, tmp_path, monkeypatch):
    judged, seen = [], []
    step = TransferModule.validation_step

    def spy(self, *given):
        step(self, *given)
        seen.append((self._judged[-1][0], self.prior_shift))

    monkeypatch.setattr(TransferModule, "validation_step", spy)
    monkeypatch.setattr("medtl.module.transfer_module.monitor.score", lambda name, truth, logits, positive: judged.append(logits) or 0.5)
    tune(classifier, tmp_path / "checkpoints", imbalance={"loss": "weighted"}, epochs=1)
    logits, shift = seen[0]
    assert abs(shift).max() > 0
    assert judged[0] == pytest.approx(logits.double().numpy() - shift)


def test_the_linear_probe_is_a_candidate_and_no_worse_epoch_takes_its_place(classifier, tune, tmp_path, monkeypatch):
    begun = copy.deepcopy(classifier.state_dict())
    scores = iter([0.9, 0.5, 0.8, 0.7])

    def fixed(self):
        self.score = next(scores)

    monkeypatch.setattr(TransferModule, "on_validation_epoch_end", fixed)
    out = io.StringIO()
    tuned = tune(classifier, tmp_path / "checkpoints", said=out, strategy="lp-ft", epochs=3)
    assert (tuned.best, tuned.best_epoch, tuned.epochs) == (0.9, -1, 3)
    assert all(torch.equal(tensor, begun[name]) for name, tensor in classifier.state_dict().items())
    assert "(best 0.9000 in epoch 0)" in out.getvalue()
    assert "no epoch was better on validation than the linear probe" in out.getvalue()
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    epochs = [event for event in events if event["event"] == "epoch"]
    assert [(event["epoch"], event["validation_auroc"]) for event in epochs] == [(0, 0.9), (1, 0.5), (2, 0.8), (3, 0.7)]
    assert tune(classifier, tmp_path / "checkpoints", strategy="lp-ft", epochs=3).best_epoch == -1, "a resumed training forgot its start"


def test_a_random_head_is_no_candidate(classifier, tune, tmp_path, monkeypatch):
    scores = iter([0.2, 0.1])

    def fixed(self):
        self.score = next(scores)

    monkeypatch.setattr(TransferModule, "on_validation_epoch_end", fixed)
    assert tune(classifier, tmp_path / "checkpoints", strategy="full", epochs=2).best_epoch == 0


def test_the_first_step_after_a_probe_meets_the_loss_that_the_head_was_fitted_to(classifier, tune, data, job, tmp_path, monkeypatch):
    """Norms that learn show the batch's statistics; the head must have been fitted to these, and not to those that were loaded."""
    norm = classifier.network.body[1]
    norm.running_mean.fill_(-1.0)
    norm.running_var.fill_(0.04)  # of other images than these
    probe(job(tmp_path / "checkpoints", strategy="lp-ft"), classifier)
    met, step = [], TransferModule.loss_of

    def spy(self, *given):
        as_fitted = copy.deepcopy(self).eval()
        value = step(self, *given)
        met.append((value.item(), step(as_fitted, *given).item()))
        return value

    monkeypatch.setattr(TransferModule, "loss_of", spy)
    settings = {"strategy": "lp-ft", "epochs": 1, "batch": len(data.train), "dropout": 0.0}
    whole = StoredImages(data.store, data.train, data.validation, STILL, batch=len(data.train), seed=0)
    tune(classifier, tmp_path / "checkpoints", batches=whole, **settings)
    [(in_training, as_fitted)] = met
    assert in_training == pytest.approx(as_fitted, abs=0.01)
    assert in_training < 0.6, "the head knows nothing"


def test_the_average_begins_with_the_head_that_was_fitted(classifier, tune, tmp_path, monkeypatch):
    apart, step = [], TransferModule.loss_of

    def spy(self, *given):
        both = zip(self.averaged.state_dict().items(), self.classifier.state_dict().values(), strict=True)
        apart.append([name for (name, slow), fast in both if "running" not in name and not torch.equal(slow, fast)])
        return step(self, *given)

    monkeypatch.setattr(TransferModule, "loss_of", spy)
    tune(classifier, tmp_path / "checkpoints", strategy="lp-ft", epochs=1, ema=0.9)
    assert apart[0] == []
    assert apart[-1] != []


def test_an_auxiliary_classifier_listens_once_and_goes(classifier, tune, tmp_path, monkeypatch):
    """A second one, left from before the head was fitted anew, would keep the maps of every batch."""
    layer, listening, step = classifier.network.body[0], [], TransferModule.loss_of
    monkeypatch.setattr(classifier.network, "auxiliary", lambda: (layer, 8))
    monkeypatch.setattr("medtl.module.auxiliary.InceptionAux", lambda *_: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(512, 2)))

    def spy(self, *given):
        listening.append(len(layer._forward_hooks))
        return step(self, *given)

    monkeypatch.setattr(TransferModule, "loss_of", spy)
    tune(classifier, tmp_path / "checkpoints", strategy="lp-ft", epochs=1, auxiliary=0.4)
    assert set(listening) == {1}
    assert not layer._forward_hooks


def test_images_for_statistics_never_come_alone(job):
    """65 of 64 a batch: a norm over maps of one pixel has no variance of one image."""
    for count in (64, 65, 66, 128, 129):
        batches = list(StoredBatches(job(), np.arange(count) % 60))
        assert sum(map(len, batches)) == count
        assert min(map(len, batches)) > 1
        assert max(map(len, batches)) <= 65


def test_norms_that_stay_keep_the_probe_that_was_fitted(classifier, job, tmp_path):
    begun = copy.deepcopy(classifier.state_dict())
    probe_by_own_statistics(job(tmp_path / "checkpoints", strategy="lp-ft", batch_norm="affine"), classifier)
    assert all(torch.equal(tensor, begun[name]) for name, tensor in classifier.state_dict().items())
