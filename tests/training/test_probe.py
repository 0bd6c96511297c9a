"""The linear probe against scikit-learn's logistic regression, the independent reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from medtl.imbalance.losses import cross_entropy
from medtl.training.probe import fit_probe

LOSS = cross_entropy.build(cross_entropy.Settings(), np.array([1.0, 1.0, 1.0]), 0.0).double()


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 300)
    features = rng.normal(size=(300, 12)) * rng.uniform(0.5, 5, 12) + np.eye(3, 12)[targets]
    return torch.tensor(features, dtype=torch.float32), targets


@pytest.mark.parametrize("weighted", [False, True])
def test_equals_logistic_regression(problem, weighted):
    features, targets = problem
    penalty = 0.05
    weights = np.where(targets == 2, 3.0, 1.0) if weighted else None
    given = None if weights is None else torch.tensor(weights)
    probe = fit_probe(
        features[:200],
        torch.tensor(targets[:200]),
        None if given is None else given[:200],
        LOSS,
        (penalty,),
        (features[200:], targets[200:]),
        "auroc",
        3,
    )
    x = features[:200].double()
    standard = ((x - x.mean(0)) / x.std(0)).numpy()
    total = 200 if weights is None else weights[:200].sum()
    reference = LogisticRegression(C=1 / (penalty * total), tol=1e-10, max_iter=10_000).fit(
        standard, targets[:200], None if weights is None else weights[:200]
    )
    ours = (features[200:] @ probe.weight.T + probe.bias).softmax(1).numpy()
    theirs = reference.predict_proba(((features[200:].double() - x.mean(0)) / x.std(0)).numpy())
    assert np.abs(ours - theirs).max() < 1e-4


def test_the_penalty_is_chosen_on_validation(problem):
    features, targets = problem
    probe = fit_probe(features[:200], torch.tensor(targets[:200]), None, LOSS, (1e-3, 1.0, 1e3), (features[200:], targets[200:]), "loss", 3)
    assert set(probe.scores) == {1e-3, 1.0, 1e3}
    assert probe.penalty == max(probe.scores, key=probe.scores.get)


def test_a_constant_feature_does_no_harm(problem):
    features, targets = problem
    features = torch.cat([features, torch.full((300, 1), 7.0)], 1)
    probe = fit_probe(features[:200], torch.tensor(targets[:200]), None, LOSS, (0.1,), (features[200:], targets[200:]), "auroc", 3)
    assert torch.isfinite(probe.weight).all()
    assert torch.isfinite(probe.bias).all()


def test_a_feature_that_hardly_varies_in_training_does_not_decide(problem):
    """One training image shows it a little; a new one that shows it as other features vary is not answered by it alone."""
    features, targets = problem
    rare = torch.zeros(len(features), 1)
    rare[5] = 1e-3
    given = torch.cat([features, rare], dim=1)
    probe = fit_probe(given, torch.tensor(targets), None, LOSS, (0.1,), (given, targets), "auroc", 3)
    typical = float(features.std(0).median())
    usual = (probe.weight[:, :-1] * features.std(0)).abs().max()
    assert (probe.weight[:, -1] * typical).abs().max() < usual


def test_a_stage_weighs_the_same_however_many_features_it_has(problem):
    """One feature told three times by its stage is penalised as if it were told once."""
    features, targets = problem
    given, truth = features[:, :2].contiguous(), torch.tensor(targets)
    often = torch.cat([given[:, :1].repeat(1, 3), given[:, 1:]], dim=1)
    once = fit_probe(given, truth, None, LOSS, (0.1,), (given, targets), "auroc", 3, dims=(1, 1))
    thrice = fit_probe(often, truth, None, LOSS, (0.1,), (often, targets), "auroc", 3, dims=(3, 1))
    torch.testing.assert_close(often @ thrice.weight.T + thrice.bias, given @ once.weight.T + once.bias, atol=1e-3, rtol=1e-3)
