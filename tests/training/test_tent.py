"""A fit in which batch norms alone learn: what moves, what is said, and what is refused. The method: tests/adaptation/test_tent.py."""

from __future__ import annotations

import copy
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from medtl.adaptation.methods import tent
from medtl.errors import MedtlError
from medtl.module.learning import norm_groups, sentence
from medtl.training import adapt
from medtl.training.adapting import Adapting, refuse_network
from medtl.transfer import TransferSettings

TARGET = tent.Settings(target={"domain": "there"})


@pytest.fixture
def adapted(job, monkeypatch, tmp_path):
    """`adapted(classifier, target, **transfer)`: it, continued on the stored images at these positions."""

    def fit(classifier, target, **transfer):
        own = replace(job(tmp_path / "tent" / "checkpoints", **transfer), adapting=Adapting(TARGET, target, tmp_path))
        monkeypatch.setattr(adapt, "build_classifier", lambda *_: classifier)
        monkeypatch.setattr(Adapting, "begin", lambda self, given: None)
        monkeypatch.setattr(
            adapt, "_as_source", lambda own, given, history: adapt._fitted(own, given, own.validation_logits(given), (0.0, 0.0), history)
        )
        return adapt.fit_adapted(own, Path()).classifier

    return fit


def test_scales_shifts_and_averages_of_batch_norms_move_and_nothing_else(adapted, classifier):
    before = copy.deepcopy(classifier.state_dict())
    after = adapted(classifier, np.arange(40, 60), epochs=2, ema=0.9, l2_sp=0.01).state_dict()
    moved = {key.removeprefix("network.body.1.") for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}


def test_an_auxiliary_classifier_that_is_not_asked_keeps_one_batch(adapted, classifier, monkeypatch):
    """Where no label is shown nobody asks it, and the maps of every batch would stay in memory."""
    layer, maps, alive = classifier.network.body[1], [], []
    monkeypatch.setattr(classifier.network, "auxiliary", lambda: (layer, 8))
    monkeypatch.setattr("medtl.module.auxiliary.InceptionAux", lambda *_: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(512, 2)))

    def counted(layer, given, made):
        if layer.training:
            maps.append(weakref.ref(made))
            alive.append(sum(each() is not None for each in maps))

    layer.register_forward_hook(counted)
    adapted(classifier, np.arange(40, 60), epochs=2, auxiliary=0.4)
    assert len(alive) > 3
    assert max(alive) <= 2


def test_what_learns_is_said(classifier):
    transfer = TransferSettings(strategy="full")
    assert sentence(norm_groups(classifier, transfer), transfer) == "batch norms alone learn, in 1 of 2 stages"


def test_a_strategy_in_which_no_batch_norm_learns_is_refused(classifier):
    refuse_network(TARGET, classifier, TransferSettings(strategy="lp-ft"))
    for strategy in ("partial", "gradual"):
        with pytest.raises(
            MedtlError, match=f"none of tiny learns from the first epoch on with transfer.strategy: {strategy}; choose lp-ft"
        ):
            refuse_network(TARGET, classifier, TransferSettings(strategy=strategy))
