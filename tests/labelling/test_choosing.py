"""Which images to label next: distinct, spread over the pool, a third of them by chance alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medtl.errors import MedtlError
from medtl.labelling.choosing import choose


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 40), st.integers(1, 12), st.integers(0, 5), st.data())
def test_whatever_the_pool_images_are_distinct_and_a_third_is_flagged(images, directions, seed, data):
    count = data.draw(st.integers(1, images))
    features = np.random.default_rng(seed).normal(size=(images, directions))
    chosen = choose(features, count, seed)
    assert len(set(chosen.positions.tolist())) == count
    assert set(chosen.positions.tolist()) <= set(range(images))
    assert chosen.at_random.sum() == max(1, round(count / 3))
    assert choose(features, count, seed).positions.tolist() == chosen.positions.tolist()


def test_a_rare_corner_of_the_pool_is_not_forgotten():
    """Of 200 images 4 lie far away: chance takes one of them into 12 labels in a fifth of the draws, clusters always."""
    features = np.random.default_rng(0).normal(size=(200, 8))
    features[[3, 50, 120, 199]] += 30
    hits = [len({3, 50, 120, 199} & set(choose(features, 12, seed).positions.tolist())) for seed in range(20)]
    assert min(hits) >= 1


def test_a_patient_is_not_asked_twice_while_others_wait():
    features, patients = np.random.default_rng(0).normal(size=(60, 5)), np.repeat(np.arange(20), 3)
    assert len(set(patients[choose(features, 20, 0, patients).positions])) == 20
    assert len(set(choose(features, 45, 0, patients).positions.tolist())) == 45, "where there are too few patients, more of each"


def test_images_that_a_model_is_unsure_of_draw_the_clusters():
    """Two clouds; the model doubts the images of one alone, so that nearly all clusters lie there."""
    features = np.concatenate([np.random.default_rng(0).normal(size=(50, 4)), np.random.default_rng(1).normal(size=(50, 4)) + 6])
    unsure = np.repeat([0.0, 1.0], 50)
    chosen = choose(features, 30, 0, unsure=unsure)
    informed = chosen.positions[~chosen.at_random]
    assert (informed >= 50).mean() > 0.9
    assert 0.2 < (choose(features, 30, 0).positions >= 50).mean() < 0.8


def test_more_than_there_are_is_refused():
    with pytest.raises(MedtlError, match="5 images cannot be chosen from 3; allowed: 1 to 3"):
        choose(np.zeros((3, 2)), 5, 0)
