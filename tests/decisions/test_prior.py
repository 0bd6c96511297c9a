"""Undoing a prior shift: the posterior under other class frequencies, by Bayes' rule."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from medtl.decisions import prior
from medtl.errors import MedtlError


def test_posterior_under_the_true_frequencies():
    random = np.random.default_rng(0)
    likelihood = random.random((20, 3)) + 0.1
    trained, true = np.array([1 / 3, 1 / 3, 1 / 3]), np.array([0.9, 0.08, 0.02])
    logits = np.log(likelihood * trained)
    expected = likelihood * true / (likelihood * true).sum(axis=1, keepdims=True)
    assert np.allclose(softmax(prior.remove(logits, np.log(trained / true)), axis=1), expected)


def test_no_shift_and_unread():
    logits = np.array([[1.0, 2.0], [np.nan, np.nan]])
    assert np.array_equal(prior.remove(logits, [0, 0]), logits, equal_nan=True)


@pytest.mark.parametrize("shift", [[0.0], [0.0, np.nan], [0.0, 0.0, 0.0]])
def test_wrong_shift_is_refused(shift: list[float]):
    with pytest.raises(MedtlError, match="one finite number per class"):
        prior.remove([[1.0, 2.0]], shift)
