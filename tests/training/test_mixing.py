"""Mixed batches: how much of each image is its own, and whose the rest is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from medtl.module.mixing import mix

LABELS = torch.arange(6)
IMAGES = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 32, 32).clone()
"""Each image is its own number everywhere."""


@given(alpha=some.floats(0.1, 5), key=some.tuples(some.integers(0, 2**31 - 1), some.integers(0, 2**62)))
def test_mixup_is_the_stated_share_of_both(alpha, key):
    mixed = mix(IMAGES, LABELS, alpha, 0, key)
    wanted = mixed.share * LABELS + (1 - mixed.share) * mixed.others
    torch.testing.assert_close(mixed.images, wanted.view(6, 1, 1, 1).expand_as(IMAGES), atol=1e-5, rtol=1e-5)
    assert sorted(mixed.others.tolist()) == LABELS.tolist()


@given(alpha=some.floats(0.1, 5), key=some.tuples(some.integers(0, 2**31 - 1), some.integers(0, 2**62)))
def test_cutmix_pastes_the_stated_area(alpha, key):
    mixed = mix(IMAGES, LABELS, 0, alpha, key)
    for image, own, other in zip(mixed.images, LABELS, mixed.others, strict=True):
        pasted = float((image == other).double().mean()) if own != other else 1 - mixed.share
        assert pasted == pytest.approx(1 - mixed.share)
        assert bool(((image == own) | (image == other)).all())
    assert torch.equal(IMAGES, torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 32, 32)), "the batch itself was changed"


def test_the_key_decides_and_both_ways_are_taken():
    shares = [mix(IMAGES, LABELS, 1.0, 1.0, (0, number)) for number in range(40)]
    again = [mix(IMAGES, LABELS, 1.0, 1.0, (0, number)) for number in range(40)]
    assert all(torch.equal(a.images, b.images) and a.share == b.share for a, b in zip(shares, again, strict=True))
    whole = [np.isin(mixed.images, LABELS).all() for mixed in shares]
    assert 5 < sum(whole) < 35
