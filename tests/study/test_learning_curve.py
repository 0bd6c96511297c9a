"""Labels for a wanted AUROC: exact on a power law, silent beyond twice the data."""

from __future__ import annotations

import numpy as np
import pytest

from medtl.evaluation.crossed import Repeated
from medtl.study.learning_curve import labels_for


def _point(count: float, noise: float = 0.0) -> Repeated:
    value = 1 - 0.9 * count**-0.3
    drawn = value + noise * np.random.default_rng(int(count)).normal(size=(3, 500))
    return Repeated(np.full(3, value), drawn, 100)


POINTS = {count: _point(count) for count in (20, 100, 500)}


def test_a_power_law_is_followed_exactly():
    wanted = 1 - 0.9 * 800**-0.3
    claim = labels_for("tuned", wanted, POINTS)
    assert claim.shown
    assert claim.figures["value"] == pytest.approx(800, rel=1e-6)
    assert "extrapolated" in claim.text
    assert "within the data" in labels_for("tuned", 1 - 0.9 * 300**-0.3, POINTS).text


def test_beyond_twice_the_data_nothing_is_said():
    claim = labels_for("tuned", 1 - 0.9 * 1100**-0.3, POINTS)
    assert not claim.shown
    assert "not within 1,000" in claim.text


def test_what_the_fewest_labels_reach_needs_no_curve():
    assert "fewer than 20" in labels_for("tuned", 0.5, POINTS).text


def test_a_curve_that_has_stopped_rising_is_not_continued():
    stopped = {
        count: Repeated(np.full(3, value), np.random.default_rng(0).normal(value, 0.002, (3, 500)), 100)
        for count, value in ((20, 0.6), (100, 0.8), (500, 0.85), (1000, 0.85))
    }
    claim = labels_for("tuned", 0.875, stopped)
    assert not claim.shown
    assert "does not go on" in claim.text


def test_within_the_data_as_well_the_line_has_to_go_through_the_points():
    """0.85 with 50 and with 250 labels, whatever the line says between them: 0.87 was reached by none."""
    bent = {
        count: Repeated(np.full(3, value), np.random.default_rng(0).normal(value, 0.004, (3, 500)), 100)
        for count, value in ((10, 0.6), (50, 0.85), (250, 0.85))
    }
    claim = labels_for("tuned", 0.87, bent)
    assert not claim.shown
    assert "lies off the line" in claim.text


def test_below_the_fewest_labels_that_were_tried_only_the_upper_end_is_said():
    noisy = {count: _point(count, 0.01) for count in (20, 100, 500)}
    claim = labels_for("tuned", 1 - 0.9 * 19.5**-0.3, noisy)
    assert claim.shown
    assert claim.text.startswith("at most ")
    assert "fewer than 20 were not tried" in claim.text
    assert "value" not in claim.figures


def test_noise_widens_the_band():
    noisy = {count: _point(count, 0.004) for count in (20, 100, 500)}
    figures = labels_for("tuned", 1 - 0.9 * 400**-0.3, noisy).figures
    assert figures["low"] < 400 < figures["high"]


def test_a_flat_or_short_curve_says_nothing():
    flat = {count: Repeated(np.full(3, 0.5), np.full((3, 10), 0.5), 50) for count in (20, 100, 500)}
    assert not labels_for("tuned", 0.9, flat).shown
    assert not labels_for("tuned", 0.9, {20: _point(20), 500: _point(500)}).shown
