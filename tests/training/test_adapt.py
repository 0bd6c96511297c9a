"""Fits beside a target without labels: on images, on maps of frozen layers and on frozen features; and one loader for both domains."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medtl import registry
from medtl.adaptation import FOLDER
from medtl.augmentation import AugmentationSettings
from medtl.batches import EpochOrder, PairOrder, Part
from medtl.datamodule import StoredImages, StoredPairs
from medtl.training import adapt, norms
from medtl.training.adapting import Adapting

TUNING = [name for name in registry.names(FOLDER) if registry.component(FOLDER, name).KIND == "penalty"]
STILL = AugmentationSettings(rotate=0, scale=0, translate=0, brightness=0, contrast=0)


@pytest.fixture
def adapted(job, data, classifier, monkeypatch, tmp_path):
    """`adapted(name, **transfer)`: the fit of a method to the last 12 validation images, from the tiny classifier."""

    def fit(name, settings=None, imbalance=None, **transfer):
        target = np.arange(48, 60)
        method = registry.parse_choice(FOLDER, {"name": name, "target": {"domain": "there"}, **(settings or {})})
        adapting = Adapting(method, target, tmp_path / "source-only")
        own = job(tmp_path / name / "checkpoints", imbalance=imbalance, **transfer)
        own = replace(own, validation=Part(data.validation.positions[:8], data.validation.targets[:8]), adapting=adapting)
        start = copy.deepcopy(classifier)
        monkeypatch.setattr(adapt, "build_classifier", lambda *_: start)
        monkeypatch.setattr(Adapting, "begin", lambda self, given: None)
        monkeypatch.setattr(
            adapt, "_as_source", lambda own, given, history: adapt._fitted(own, given, own.validation_logits(given), (0.0, 0.0), history)
        )
        return adapt.fit_adapted(own, Path())

    return fit


@pytest.mark.parametrize("name", TUNING)
def test_every_penalty_trains_the_network_and_keeps_the_last_epoch(adapted, classifier, name):
    before = copy.deepcopy(classifier.state_dict())
    fitted = adapted(name, strategy="full", epochs=2)
    after = fitted.classifier.state_dict()
    assert fitted.history["tuned"]["best_epoch"] == 2
    assert np.isfinite(fitted.logits).all()
    moved = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert ("network.body.0.weight" in moved) == (name != "tent"), "it learns by batch norms alone"
    assert ("head.weight" in moved) == (name not in ("shot", "tent")), "a head stays where no label is shown"


@pytest.mark.parametrize(
    "transfer",
    [
        {"strategy": "scratch"},
        {"strategy": "lp-ft"},
        {"strategy": "partial"},
        {"strategy": "partial", "views": 2},
        {"strategy": "gradual"},
        {"strategy": "full", "mixup": 0.4, "cutmix": 1.0, "ema": 0.9},
        {"strategy": "full", "batch_norm": "frozen"},
    ],
)
def test_every_strategy_can_learn_beside_a_target(adapted, transfer):
    assert np.isfinite(adapted("coral", epochs=2, **transfer).logits).all()


@pytest.mark.parametrize(("loss", "sampler"), [("focal", "balanced"), ("ldam", "natural"), ("logit-adjusted", "square-root")])
def test_losses_and_samplers_work_beside_a_target(adapted, loss, sampler):
    assert np.isfinite(adapted("dann", imbalance={"loss": loss, "sampler": sampler}, strategy="full", epochs=2).logits).all()


@pytest.mark.parametrize("name", ["mcc", "self-training"])
def test_a_probe_on_frozen_features_moves_the_head_alone(adapted, classifier, name):
    before = copy.deepcopy(classifier.state_dict())
    fitted = adapted(name, strategy="linear-probe")
    moved = {key for key, value in fitted.classifier.state_dict().items() if not torch.equal(value, before[key])}
    assert moved == {"head.weight", "head.bias"}


def test_running_averages_are_the_targets(adapted, data):
    """The target's images are all white: what batch norms keep is what they saw of it."""
    data.store.images[48:60] = 255
    fitted = adapted("coral", {"weight": 1e-9}, strategy="full", epochs=3, rate=1e-6)
    norm = fitted.classifier.network.body[1]
    with torch.no_grad():
        white = fitted.classifier.network.body[0](torch.full((1, 1, 16, 16), (1 - 0.5) / 0.25)).mean(dim=(2, 3))[0]
    start = 0.9**15  # 40 images make 5 steps of 8 in 3 epochs; averages begin at 0
    np.testing.assert_allclose(norm.running_mean.numpy(), (1 - start) * white.numpy(), rtol=0.35, atol=0.05)


def test_norms_that_do_not_learn_keep_their_averages(job, classifier):
    assert len(norms.learning_norms(job(strategy="full").experiment.transfer, classifier)) == 1
    assert norms.learning_norms(job(strategy="partial").experiment.transfer, classifier) == []
    assert norms.learning_norms(job(strategy="full", batch_norm="affine").experiment.transfer, classifier) == []


def test_a_source_with_a_target_beside_it_is_drawn_as_one_alone():
    alone = EpochOrder(40, 8, seed=3)
    pairs = list(PairOrder(EpochOrder(40, 8, seed=3), 12, 8, seed=3))
    assert [source.tolist() for source, _ in pairs] == [places.tolist() for places in alone]
    assert len(pairs) == 5
    first = np.concatenate([target for _, target in pairs[:1]])
    assert len(set(first.tolist())) == 8, "each image once in a turn"
    assert pairs[0][1].tolist() != pairs[1][1].tolist()


def test_one_batch_holds_both_and_no_label_of_the_target(data):
    target = StoredImages(data.store, Part(np.arange(40, 60), np.full(20, -1)), data.validation, STILL, 8, 0)
    source = StoredImages(data.store, data.train, data.validation, STILL, 8, 0)
    pairs = StoredPairs(source, target)
    batches = list(pairs.train_dataloader())
    assert len(batches) == pairs.steps_per_epoch() == 5
    images, targets, unlabelled, places = batches[0]
    assert (len(images), len(targets), len(unlabelled)) == (8, 8, 8)
    assert np.array_equal(unlabelled.numpy(), data.store.images[40 + places.numpy()])
    alone = StoredPairs(source, target, labelled=False)
    assert alone.steps_per_epoch() == 2
    images, targets, unlabelled, _ = next(iter(alone.train_dataloader()))
    assert (len(images), len(targets), len(unlabelled)) == (0, 0, 8)
