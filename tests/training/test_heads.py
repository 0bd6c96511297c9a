"""Heads on features: what the probe answers, and the classifier that is fitted anew after tuning."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from medtl.module.classifier import Classifier
from medtl.training.heads import probe, probed_logits, retrain


def test_the_probes_answers_are_the_classifiers(job, classifier):
    flipped = Classifier(classifier.network, 2, flips="both")
    work = job(strategy="linear-probe")
    history = probe(work, flipped)
    assert set(history) == {"penalty", "validation_auroc"}
    np.testing.assert_allclose(probed_logits(work, flipped), work.validation_logits(flipped), atol=1e-5)


def test_augmented_views_teach_the_probe_as_further_images(job, classifier):
    one, three = copy.deepcopy(classifier), copy.deepcopy(classifier)
    probe(job(folder=job().folder / "one", strategy="linear-probe"), one)
    probe(job(folder=job().folder / "three", strategy="linear-probe", views=3), three)
    assert not torch.equal(one.head.weight, three.head.weight)


def test_retraining_is_a_weighted_logistic_regression_on_the_tuned_features(job, classifier, data):
    before = copy.deepcopy(classifier.network.state_dict())
    work = job(imbalance={"loss": "focal", "retrain_classifier": "balanced"}, probe_penalty=(0.1,), label_smoothing=0)
    balanced, history = retrain(work, classifier)
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.network.state_dict().items())
    assert history["penalty"] == 0.1

    features = work.features(classifier, data.train).double().numpy()
    centre, spread = features.mean(0), features.std(0, ddof=1)
    # two rows ± w / 2 hold half of |w|², and sklearn sums the losses that are averaged here
    reference = LogisticRegression(C=2 / (0.1 * len(features)), class_weight="balanced", tol=1e-10, max_iter=10_000)
    reference.fit((features - centre) / spread, data.train.targets)
    logits = classifier.eval().classify(torch.from_numpy(features).float()).detach().double().numpy()
    wanted = reference.decision_function((features - centre) / spread)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], wanted, atol=0.002)

    counts = np.bincount(data.train.targets)
    assert balanced.prior_shift[1] - balanced.prior_shift[0] == pytest.approx(np.log(counts[0] / counts[1]))


def test_without_being_asked_nothing_is_retrained(job, classifier):
    assert retrain(job(), classifier) is None
