"""Outlyingness: distances against independent ones, the promise of the limit by simulation, the choice between the two measures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import mahalanobis
from scipy.stats import beta
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from medtl.decisions.outlyingness import CLEARLY, DIMENSIONS, METHODS, NEIGHBOUR, auroc, choose, fit, limit


def clouds(seed: int = 0, images: int = 400, width: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Features of training images and as many alike, correlated."""
    chance = np.random.default_rng(seed)
    mixing = chance.normal(size=(width, width))
    return chance.normal(size=(images, width)) @ mixing + 3, chance.normal(size=(images, width)) @ mixing + 3


def reference(training: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates of both by scikit-learn's components, and the inverse of its shrunk covariance."""
    components = PCA(min(DIMENSIONS, training.shape[1] // 2), svd_solver="full").fit(training)

    def coordinates(features: np.ndarray) -> np.ndarray:
        along = components.transform(features)
        return np.column_stack([along, np.linalg.norm(features - components.inverse_transform(along), axis=1)])

    own = coordinates(training)
    spread = own.std(axis=0)
    return own, coordinates(others), np.linalg.inv(ledoit_wolf((own - own.mean(axis=0)) / spread)[0] * np.outer(spread, spread))


def test_mahalanobis_is_that_of_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medtl.decisions.outlyingness.DIMENSIONS", 20)
    training, others = clouds()
    own, given, inverse = reference(training, others[:20])
    expected = [mahalanobis(each, own.mean(axis=0), inverse) for each in given]
    assert np.allclose(fit(training, "mahalanobis").scores(others[:20]), expected, rtol=1e-3)


def test_knn_is_that_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medtl.decisions.outlyingness.DIMENSIONS", 20)
    training, others = clouds()
    own, given, inverse = reference(training, others[:20])
    nearest = NearestNeighbors(n_neighbors=NEIGHBOUR, metric="mahalanobis", metric_params={"VI": inverse}, algorithm="brute").fit(own)
    expected = nearest.kneighbors(given)[0][:, -1]
    assert np.allclose(fit(training, "knn").scores(others[:20]), expected, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_what_lies_off_all_directions_of_the_training_images_is_seen(method: str) -> None:
    chance = np.random.default_rng(1)
    flat = np.zeros((500, 60))
    flat[:, :5] = chance.normal(size=(500, 5)) + 5
    aside = flat[:50].copy()
    aside[:, 30] = 2.0
    detector = fit(flat, method)  # type: ignore[arg-type]
    assert auroc(detector.scores(flat), detector.scores(aside)) > 0.99


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("images", [2, 3, 11])
def test_few_or_equal_images_still_give_finite_scores(method: str, images: int) -> None:
    chance = np.random.default_rng(2)
    for training in (chance.normal(size=(images, 30)), np.ones((images, 30))):
        scores = fit(training, method).scores(chance.normal(size=(7, 30)))  # type: ignore[arg-type]
        assert np.isfinite(scores).all()
        assert (scores >= 0).all()


def test_an_image_scores_the_same_alone_and_among_others() -> None:
    training, others = clouds()
    for method in METHODS:
        detector = fit(training, method)
        assert np.allclose(detector.scores(others)[5], detector.scores(others[5:6])[0], rtol=1e-9)
        assert detector.scores(np.empty((0, 40))).shape == (0,)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_auroc_is_that_of_scikit_learn(inside: list[int], outside: list[int]) -> None:
    truth = [0] * len(inside) + [1] * len(outside)
    assert auroc(inside, outside) == pytest.approx(roc_auc_score(truth, inside + outside))


def test_the_better_measure_on_outliers_is_taken() -> None:
    training, validation = clouds()
    chosen = choose(training, validation, {"far": validation + 50, "same": clouds(seed=0)[1]})
    means = {method: np.mean(list(kinds.values())) for method, kinds in chosen.aurocs.items()}
    assert means[chosen.detector.method] > max(means.values()) - CLEARLY
    assert {kind: round(value, 2) for kind, value in chosen.aurocs["mahalanobis"].items()} == {"far": 1.0, "same": 0.5}
    tied = choose(training, validation, {"very far": validation + 1e4})
    assert tied.detector.method == "mahalanobis"


def test_neighbours_tell_what_lies_in_the_middle_of_nowhere() -> None:
    """Two kinds of training images, far apart; outliers stand between them, where their mean is."""
    training, validation = (np.concatenate([each, each + 100]) for each in clouds(width=6))
    between = training.mean(axis=0) + np.random.default_rng(5).normal(size=(50, 6))
    assert choose(training, validation, {"between": between}).detector.method == "knn"


def test_the_limit_is_the_quantile_that_a_table_by_hand_gives() -> None:
    """199 groups, 1 %: the 198th smallest, so that (200 - 198) / 200 = 1 % lie above it in the mean."""
    scores = np.arange(1.0, 200.0)
    found = limit(scores, np.arange(199), 0.01)
    assert (found.value, found.expected, found.groups) == (198.0, pytest.approx(0.01), 199)
    assert found.at_most == pytest.approx(beta.ppf(0.95, 2, 198))


def test_too_few_groups_promise_less_and_refuse_less() -> None:
    found = limit([1.0, 2.0, 9.0], ["a", "b", "c"], 0.01)
    assert found.value == 9 + (9 - 2)
    assert found.expected == pytest.approx(1 / 4)  # what three patients can promise, and no 1 %


def test_a_group_counts_by_its_strangest_image() -> None:
    together = limit([1, 5, 2, 3], ["a", "a", "b", "c"], 0.4)
    assert (together.groups, together.value) == (3, limit([5, 2, 3], [0, 1, 2], 0.4).value)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.floats(0.005, 0.5))
def test_the_stated_share_is_never_below_what_the_rank_promises(scores: list[float], refuse: float) -> None:
    found = limit(scores, np.arange(len(scores)), refuse)
    above = sum(score > found.value for score in scores)
    assert above <= refuse * (len(scores) + 1)
    assert found.expected <= max(refuse, 1 / (len(scores) + 1)) + 1e-9
    assert found.at_most >= found.expected - 1e-9


@pytest.mark.parametrize(("groups", "refuse"), [(30, 0.1), (150, 0.02), (8, 0.05)])
def test_the_promise_holds_for_clustered_images(groups: int, refuse: float) -> None:
    """Share of further patients of whom any of five correlated images is refused, in the mean of 400 validation sets."""
    chance = np.random.default_rng(3)

    def drawn(count: int) -> np.ndarray:
        return np.exp(chance.normal(size=(count, 1)) + 0.5 * chance.normal(size=(count, 5)))

    shares, bounds, promised, further = [], [], 0.0, drawn(20_000).max(axis=1)
    for _ in range(400):
        found = limit(drawn(groups).ravel(), np.repeat(np.arange(groups), 5), refuse)
        promised = found.expected
        shares.append(float((further > found.value).mean()))
        bounds.append(found.at_most)
    assert np.mean(shares) <= promised + 3 * np.std(shares) / math.sqrt(400)
    assert np.mean(np.array(shares) <= np.array(bounds)) >= 0.92
