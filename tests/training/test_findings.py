"""Several findings per image in training: what is unknown of an image teaches nothing, the rest as for each finding alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from medtl import registry
from medtl.contracts import Task
from medtl.experiment.schema import Experiment
from medtl.imbalance import serving
from medtl.model.answers import ensemble_logits, reported_logits
from medtl.training.balance import balance
from medtl.training.fit import calibrate
from medtl.training.probe import fit_probe

IMAGES, FEATURES, FINDINGS = 6, 3, 2
COUNTS = np.array([[30.0, 10.0], [5.0, 20.0]])
values = st.floats(-3, 3, width=32)


def experiment(**parts: object) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "both",
            "task": {"kind": "multi", "classes": {"edema": [], "nodule": []}},
            "cohorts": {"name": "csv", "table": "t.csv"},
            "backbone": {"weights": "none"},
            "transfer": {"strategy": "scratch", "label_smoothing": 0},
            **parts,
        }
    )


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(serving("imbalance.losses", "multi")),
    features=arrays.arrays(np.float32, (IMAGES, FEATURES), elements=values),
    other=arrays.arrays(np.float32, (FEATURES,), elements=values),
    truth=arrays.arrays(np.float32, (IMAGES, FINDINGS), elements=st.sampled_from([0.0, 1.0, float("nan")])),
    finding=st.integers(0, FINDINGS - 1),
    image=st.integers(0, IMAGES - 1),
    smoothing=st.sampled_from([0.0, 0.1]),
)
def test_an_image_of_which_a_finding_is_unknown_never_moves_what_is_learned_of_it(
    name: str, features: np.ndarray, other: np.ndarray, truth: np.ndarray, finding: int, image: int, smoothing: float
) -> None:
    truth[image, finding] = np.nan
    component = registry.component("imbalance.losses", name)
    loss = component.build(component.Settings(), COUNTS, smoothing)
    changed = features.copy()
    changed[image] = other
    gradients, alone = [], []
    for given_features in (features, changed):
        head = torch.linspace(-1, 1, FINDINGS * FEATURES).reshape(FINDINGS, FEATURES).requires_grad_()
        logits = torch.from_numpy(given_features) @ head.T
        loss(logits, torch.from_numpy(truth)).backward()
        gradients.append(head.grad[finding].numpy())
        only = np.full_like(truth, np.nan)
        only[:, finding] = truth[:, finding]
        alone.append(loss(logits, torch.from_numpy(only)).item())
    np.testing.assert_array_equal(gradients[0], gradients[1])
    assert alone[0] == alone[1]
    assert np.isfinite(gradients[0]).all()


def test_the_probe_is_a_logistic_regression_of_each_finding() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(200, 4)) * (1, 2, 3, 4) + 1
    truth = (random.random((200, 2)) < expit(features[:, :2])).astype(np.float32)
    penalty, tensor = 0.05, torch.from_numpy(features).float()
    loss = balance(experiment(), truth).loss.double()
    found = fit_probe(tensor, torch.from_numpy(truth), None, loss, (penalty,), (tensor, truth), "auroc", 2)
    spread = tensor.double().std(0).numpy()
    standard = (features - features.mean(0)) / spread
    for k in range(2):
        reference = LogisticRegression(C=1 / (200 * 2 * penalty), tol=1e-8, max_iter=1000).fit(standard, truth[:, k])
        np.testing.assert_allclose(found.weight[k].numpy() * spread, reference.coef_[0], atol=2e-3)


def test_the_prior_shift_is_of_each_findings_odds_and_not_centred() -> None:
    truth = np.array([[1, 1], [0, 1], [0, np.nan], [0, 0]], np.float32)
    made = balance(experiment(imbalance={"loss": "weighted"}), truth)
    np.testing.assert_array_equal(made.counts, [[3, 1], [1, 2]])
    assert made.weights is None
    assert made.prior_shift == pytest.approx((np.log(3), np.log(1 / 2)))


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 5, 2)) * 4
    shift = np.array([[0.5, -1], [0, 0], [1, 1]])
    mean = expit(logits - shift[:, None]).mean(axis=0)
    np.testing.assert_allclose(ensemble_logits(logits, shift, "multi"), logit(mean))
    np.testing.assert_array_equal(reported_logits(logits[:1], shift[0], "multi"), logits[0])
    assert np.isfinite(ensemble_logits(np.full((2, 1, 2), 800.0), np.zeros(2), "multi")).all()


def test_calibration_and_thresholds_are_of_each_finding() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(1, 80, 2))
    truth = (random.random((80, 2)) < expit(2 * logits[0])).astype(np.float32)
    truth[:30, 1] = np.nan
    decided = calibrate(experiment(), logits, np.zeros(2), truth)
    moved = logits + np.where(np.isnan(truth), 3.0, 0.0)
    assert isinstance(decided.threshold, tuple)
    assert calibrate(experiment(), moved, np.zeros(2), truth) == decided


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"imbalance": {"sampler": "balanced"}}, "is not for a task of kind multi; allowed there: natural"),
        ({"imbalance": {"loss": "ldam"}}, "is not for a task of kind multi"),
        ({"decision": {"adjust": 1}}, "each has a threshold"),
        ({"cohorts": {"name": "folders"}}, "has no labels for a task of kind multi; allowed there: csv, dicom, medmnist"),
    ],
)
def test_what_several_findings_cannot_have_is_refused_in_the_config(parts: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        experiment(**parts)
    assert Task(kind="multi", classes={"a": (), "b": ()}).positive_index is None
