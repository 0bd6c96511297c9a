"""Scores against independent references: a direct marginal likelihood, a table worked by hand, an explicit inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from medtl.ranking.hscore import h_score
from medtl.ranking.knn import TEMPERATURE, neighbours_votes, votes_of_training
from medtl.ranking.leep import leep, sets_of_findings
from medtl.ranking.logme import logme

Made = tuple[NDArray[np.float64], NDArray[np.int64]]


def made(images: int, dimensions: int, separation: float, classes: int = 2, seed: int = 0) -> Made:
    """Normal features whose class means lie `separation` apart in some directions."""
    rng = np.random.default_rng(seed)
    targets = np.arange(images) % classes
    features = rng.normal(size=(images, dimensions))
    features[:, :classes] += separation * np.eye(classes)[targets]
    return features, targets


@pytest.mark.parametrize(("images", "dimensions"), [(40, 5), (12, 30), (20, 20)])
@pytest.mark.parametrize("separation", [0.0, 2.0])
def test_logme_is_the_largest_marginal_likelihood(images: int, dimensions: int, separation: float) -> None:
    features, targets = made(images, dimensions, separation, seed=3)
    best = []
    for k in range(2):
        label = (targets == k).astype(float)

        def unlikely(log: NDArray[np.float64], label: NDArray[np.float64] = label) -> float:
            alpha, beta = np.exp(log)
            return -float(multivariate_normal.logpdf(label, cov=np.eye(images) / beta + features @ features.T / alpha))

        bounds = [(-12.0, 20.0), (-5.0, 9.0)]
        starts = [(0.0, 0.0), (4.0, 2.0), (8.0, 1.0), (2.0, 5.0)]
        best.append(-min(minimize(unlikely, start, bounds=bounds, method="L-BFGS-B").fun for start in starts) / images)
    assert logme(features, targets, 2) == pytest.approx(np.mean(best), abs=2e-4)


def test_logme_does_not_mind_rotation_and_rank() -> None:
    features, targets = made(30, 6, 1.5)
    turned = features @ np.linalg.qr(np.random.default_rng(1).normal(size=(6, 6)))[0]
    assert logme(turned, targets, 2) == pytest.approx(logme(features, targets, 2))
    assert logme(np.hstack([features, np.zeros((30, 40))]), targets, 2) == pytest.approx(logme(features, targets, 2))
    assert np.isfinite(logme(np.zeros((30, 4)), targets, 2))


def test_leep_of_a_table_worked_by_hand() -> None:
    """Four images, two source classes. P(y, z): y 0: (0.9 + 0.5) / 4, (0.1 + 0.5) / 4; y 1: (0.2 + 0.4) / 4, (0.8 + 0.6) / 4.

    P(z) = 0.5, 0.5; P(0 | z) = 0.7, 0.3; P(1 | z) = 0.3, 0.7."""
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.4, 0.6]])
    likelihoods = [0.9 * 0.7 + 0.1 * 0.3, 0.5, 0.2 * 0.3 + 0.8 * 0.7, 0.4 * 0.3 + 0.6 * 0.7]
    assert leep(probabilities, np.array([0, 0, 1, 1]), 2) == pytest.approx(np.log(likelihoods).mean())


def test_leep_of_a_source_that_tells_nothing_is_minus_the_entropy() -> None:
    targets = np.array([0, 0, 0, 1])
    assert leep(np.full((4, 7), 1 / 7), targets, 2) == pytest.approx(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    unseen = np.column_stack([np.ones(4), np.zeros(4)])
    assert leep(unseen, targets, 3) == pytest.approx(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), "a class never seen, one never predicted"


def test_leep_of_a_source_of_findings_sees_each_of_them() -> None:
    """One of the source's findings is the target, the other is chance: the target is told as well as by the first alone."""
    targets = np.repeat([0, 1], 20)
    p = np.stack([targets.astype(float), np.full(40, 0.5)], axis=1)
    assert leep(sets_of_findings(p), targets, 2) == pytest.approx(0)
    doubtful = np.stack([np.where(targets == 1, 0.8, 0.3), np.full(40, 0.5)], axis=1)
    alone = np.stack([1 - doubtful[:, 0], doubtful[:, 0]], axis=1)
    assert leep(sets_of_findings(doubtful), targets, 2) == pytest.approx(leep(alone, targets, 2))
    with pytest.raises(ValueError, match="11 findings have too many sets"):
        sets_of_findings(np.full((3, 11), 0.5))


def test_h_score_by_the_explicit_formula() -> None:
    features, targets = made(60, 8, 1.0, classes=3)
    found = LedoitWolf().fit(features)
    means = np.stack([features[targets == k].mean(axis=0) for k in range(3)])[targets]
    between = np.cov(means.T, bias=True)
    reference = np.trace(np.linalg.inv(found.covariance_) @ ((1 - found.shrinkage_) * between))
    assert h_score(features, targets) == pytest.approx(reference)
    plain = np.trace(np.linalg.inv(np.cov(features.T, bias=True)) @ between)
    assert h_score(features, targets, shrinkage=0.0) == pytest.approx(plain)


def test_h_score_of_more_features_than_images() -> None:
    features, targets = made(20, 200, 0.0)
    assert h_score(features, targets, shrinkage=0.0) == pytest.approx(1.0), "without shrinkage noise alone reaches the largest value"
    assert h_score(features, targets) < 0.6
    assert h_score(np.ones((20, 5)), targets) == 0.0


def test_votes_of_training_are_those_of_a_plain_loop() -> None:
    random = np.random.default_rng(0)
    known, asked = random.normal(size=(30, 5)) + 3, random.normal(size=(8, 5)) + 3
    marks = random.integers(0, 2, (30, 2)).astype(float)
    marks[::4, 1] = np.nan
    found = votes_of_training(known, marks, asked, neighbours=6)
    for row, own in zip(found, asked, strict=True):
        one, others = own - known.mean(axis=0), known - known.mean(axis=0)
        cosine = others @ one / np.linalg.norm(others, axis=1) / np.linalg.norm(one)
        nearest = np.argsort(-cosine)[:6]
        weights = np.exp(cosine[nearest] / 0.07)
        for k in range(2):
            there = np.isfinite(marks[nearest, k])
            assert row[k] == pytest.approx((weights * np.nan_to_num(marks[nearest, k]))[there].sum() / weights[there].sum(), rel=1e-4)


@pytest.mark.parametrize("score", ["logme", "h", "leep", "knn"])
def test_better_separated_is_higher(score: str) -> None:
    values = []
    for separation in (0.0, 1.0, 2.0, 4.0):
        features, targets = made(200, 10, separation)
        logits = features[:, 1] - features[:, 0]
        p = 1 / (1 + np.exp(-logits))
        votes = neighbours_votes(features, targets, np.arange(200), 2)
        scores = {
            "logme": lambda f=features, t=targets: logme(f, t, 2),
            "h": lambda f=features, t=targets: h_score(f, t),
            "leep": lambda p=p, t=targets: leep(np.column_stack([1 - p, p]), t, 2),
            "knn": lambda v=votes, t=targets: v[np.arange(200), t].mean(),
        }
        values.append(scores[score]())
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.05


def test_neighbours_are_never_of_the_own_group() -> None:
    """Three patients whose images are all alike, with labels that only the patient explains: others say the opposite."""
    features = np.repeat(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]), 4, axis=0)
    groups = np.repeat([5, 7, 9], 4)
    targets = np.repeat([0, 1, 1], 4)
    votes = neighbours_votes(features, targets, groups, 2, neighbours=4)
    assert votes[:4, 1] == pytest.approx(1.0), "the first patient's nearest are the second's"
    own = neighbours_votes(features, targets, np.arange(12), 2, neighbours=3)
    assert own[:4, 0] == pytest.approx(1.0), "were images their own groups, each would find its patient"


@given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 10_000))
def test_votes_are_those_of_a_plain_loop(images: int, people: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, targets, groups = rng.normal(size=(images, 4)), rng.integers(0, 3, images), rng.integers(0, people, images)
    votes = neighbours_votes(features, targets, groups, 3, neighbours=5)
    centred = features - features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    for i in range(images):
        others = sorted((j for j in range(images) if groups[j] != groups[i]), key=lambda j: -(unit[i] @ unit[j]))[:5]
        weights = [np.exp(unit[i] @ unit[j] / TEMPERATURE) for j in others]
        expected = [sum(w for w, j in zip(weights, others, strict=True) if targets[j] == k) for k in range(3)]
        assert votes[i] == pytest.approx(np.array(expected) / sum(weights) if others else np.full(3, 1 / 3), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("score", [lambda f, t: logme(f, t, 2), lambda f, t: leep(f, t, 2), h_score])
def test_no_images_are_refused(score: object) -> None:
    with pytest.raises(ValueError, match="at least"):
        score(np.empty((0, 3)), np.empty(0, np.int64))  # type: ignore[operator]
