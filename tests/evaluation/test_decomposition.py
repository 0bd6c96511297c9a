"""A Brier score's parts: a table worked by hand, parts that add up, and what they are of calibrated answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.evaluation import decomposition, probability


def parts(truth: object, p: object, groups: object = None) -> tuple[float, float, float, float]:
    """Reliability, resolution, uncertainty, Brier."""
    truth, p = np.asarray(truth), np.asarray(p, dtype=float)
    groups = np.arange(len(truth)) if groups is None else np.asarray(groups)
    bins = decomposition.binned(truth, p, groups, int(groups.max()) + 1, None).sum(axis=0)
    reliability = float(decomposition.reliability(bins[..., 0], bins[..., 1]))
    judged = [1] if p.shape[1] == 2 else range(p.shape[1])
    uncertainty = float(decomposition.uncertainty(np.array([np.mean(truth == k) for k in judged])))
    brier = float(probability.brier_terms(truth, p).mean())
    return reliability, reliability + uncertainty - brier, uncertainty, brier


def test_a_table_worked_by_hand():
    """Four images of p = 0.8 (three ill), six of p = 0.1 (one ill): Murphy's terms, for inside a bin all are alike.

    Reliability 0.4 · 0.05² + 0.6 · (1/6 - 0.1)²; prevalence 0.4, so resolution 0.4 · 0.35² + 0.6 · (0.4 - 1/6)², uncertainty 0.24.
    """
    p = np.repeat([0.8, 0.1], [4, 6])
    found = parts([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], np.stack([1 - p, p], axis=1))
    reliability, resolution = 0.4 * 0.05**2 + 0.6 * (1 / 6 - 0.1) ** 2, 0.4 * 0.35**2 + 0.6 * (0.4 - 1 / 6) ** 2
    assert found == pytest.approx((reliability, resolution, 0.24, reliability - resolution + 0.24))


@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_generalised_resolution_is_stephensons(rows: list[tuple[int, float, int]]):
    """Brier = REL - (RES - WBV + WBC) + UNC, each term from its own definition (Stephenson et al. 2008, equations 5 and 6)."""
    truth, score, groups = (np.array(column) for column in zip(*rows, strict=True))
    reliability, resolution, uncertainty, brier = parts(truth, np.stack([1 - score, score], axis=1), groups)
    bins = np.clip((score * 10).astype(int), 0, 9)
    rel = res = wbv = wbc = 0.0
    for one in np.unique(bins):
        p, o = score[bins == one], truth[bins == one]
        rel += len(p) * (p.mean() - o.mean()) ** 2
        res += len(p) * (o.mean() - truth.mean()) ** 2
        wbv += ((p - p.mean()) ** 2).sum()
        wbc += 2 * ((p - p.mean()) * (o - o.mean())).sum()
    n = len(truth)
    assert reliability == pytest.approx(rel / n, abs=1e-12)
    assert resolution == pytest.approx((res - wbv + wbc) / n, abs=1e-12)
    assert brier == pytest.approx(reliability - resolution + uncertainty, abs=1e-12)


def test_several_classes_are_summed_as_the_brier_score_is(draw):
    truth, p, _ = draw(np.random.default_rng(0), 400, 1, [0.5, 0.3, 0.2])
    each = [parts((truth == k).astype(int), np.stack([1 - p[:, k], p[:, k]], axis=1)) for k in range(3)]
    assert parts(truth, p) == pytest.approx(np.sum(each, axis=0))


def test_calibrated_answers_are_reliable_and_the_prevalence_resolves_nothing(draw):
    truth, p, _ = draw(np.random.default_rng(1), 20_000, 1, [0.7, 0.3])
    reliability, resolution, uncertainty, brier = parts(truth, p)
    assert reliability < 0.001
    assert brier == pytest.approx(uncertainty - resolution, abs=0.001)
    constant = np.full_like(p, np.mean(truth == 1))
    constant[:, 0] = 1 - constant[:, 1]
    assert parts(truth, constant)[:2] == pytest.approx((0, 0), abs=1e-12)
