"""The learning-rate range test: where the loss falls, where it is least, where it is lost."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from medtl.flows import rehearsal
from medtl.training.heads import probe, probe_by_own_statistics
from medtl.training.rate_range import HIGHEST, LOWEST, _read, rate_range


def test_the_rate_rises_until_nothing_is_learned(job, classifier, data):
    work = job(strategy="full")
    found = rate_range(work.experiment, classifier, work.balanced.loss, data, steps=60)
    curve = found.curve
    assert curve["rate"].iloc[0] == LOWEST
    assert curve["rate"].iloc[-1] <= HIGHEST
    assert np.allclose(np.diff(np.log(curve["rate"])), np.log(HIGHEST / LOWEST) / 59)
    assert curve["loss"].iloc[0] == pytest.approx(np.log(2), abs=0.1), "a new head of two classes"
    assert 1e-4 < found.least < HIGHEST
    assert found.steepest < found.least
    assert curve["loss"].min() < 0.9 * curve["loss"].iloc[0]


def test_it_begins_as_a_training_does(job, classifier, data, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path / "cache"))
    classifier.network.body[1].running_mean.fill_(-1.0)  # of other images than these
    work, trained, begun = job(tmp_path / "checkpoints", strategy="lp-ft"), copy.deepcopy(classifier), []
    work = dataclasses.replace(work, validation=work.train)  # the test has no others
    probe(work, trained)
    probe_by_own_statistics(work, trained)

    def spy(experiment, given, *rest):
        begun.append(copy.deepcopy(given.state_dict()))
        return rate_range(experiment, given, *rest, steps=10)

    monkeypatch.setattr(rehearsal, "build_classifier", lambda *_: classifier)
    monkeypatch.setattr(rehearsal, "rate_range", spy)
    rehearsal.try_rates(work.experiment, data.store, data.train, tmp_path, tmp_path / "rates.png", work.line)
    assert all(torch.equal(tensor, begun[0][name]) for name, tensor in trained.state_dict().items())
    assert (tmp_path / "rates.png").exists()


def test_the_steepest_fall_of_a_known_curve_is_found():
    rate = np.geomspace(1e-6, 1, 61)
    loss = 1 - 0.5 / (1 + (1e-3 / rate) ** 2) + 40 * np.maximum(0, np.log10(rate) + 1.5) ** 2
    found = _read(pd.DataFrame({"rate": rate, "loss": loss})[:50], steps=61)
    assert found.steepest == pytest.approx(1e-3, rel=0.3)
    assert 3e-3 < found.least < 5e-2
    assert found.lost == pytest.approx(rate[49])
    assert _read(pd.DataFrame({"rate": rate, "loss": loss}), steps=61).lost is None
