"""Deletion and insertion compared: the paired difference against scipy's t-test, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from medtl.evaluation.removed import compared, sentence


def test_with_one_image_per_group_it_is_the_paired_t_interval():
    random = np.random.default_rng(0)
    one, other = random.random(30), random.random(30)
    found = compared(one, other, np.arange(30))
    expected = stats.ttest_rel(one, other).confidence_interval()
    assert found["value"] == pytest.approx((one - other).mean())
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert (found["map"], found["random"]) == pytest.approx((one.mean(), other.mean()))


def test_images_of_one_patient_are_no_independent_cases():
    random = np.random.default_rng(1)
    one, other = np.repeat(random.random(15), 2), np.repeat(random.random(15), 2)
    by_image, by_patient = (compared(one, other, groups) for groups in (np.arange(30), np.arange(30) // 2))
    assert by_patient["high"] - by_patient["low"] > 1.3 * (by_image["high"] - by_image["low"])


@pytest.mark.parametrize(
    ("deletion", "insertion", "ends"),
    [(-0.2, 0.2, ": the maps mark places"), (-0.2, 0.0, "only one of the two shows"), (0.2, -0.2, "neither shows")],
)
def test_only_what_the_intervals_support_is_said(deletion, insertion, ends):
    random = np.random.default_rng(2)
    base = random.random(20)
    parts = {
        name: compared(base + gap + 0.05 * random.normal(size=20), base, np.arange(20))
        for name, gap in (("deletion", deletion), ("insertion", insertion))
    }
    assert ends in sentence({"images": 20, "groups": 20, **parts})


def test_of_few_groups_nothing_is_said():
    part = compared(np.zeros(4), np.ones(4), np.arange(4))
    assert part["high"] is None
    assert "fewer than 10 groups" in sentence({"images": 4, "groups": 4, "deletion": part, "insertion": part})
