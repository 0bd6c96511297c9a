"""Conformal sets: the promise by simulation, clustered and rare classes included; the thresholds by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, softmax

from medtl.decisions.conformal import Conformal, ConformalFindings, fit, fit_findings, from_json
from medtl.errors import MedtlError


def test_the_threshold_is_the_one_worked_by_hand() -> None:
    """Nine groups, alpha 0.2: ceil(10 · 0.8) = the 8th largest of the groups' smallest probabilities; class b has too few groups."""
    p = np.array([0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.5, 0.99, 0.3])
    truth = [0] * 10 + [1]
    groups = [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9]  # the tenth image is a better one of the first group
    found = fit(np.stack([p, 1 - p], axis=1), truth, groups, 0.2)
    assert found.least == (0.6, 0.0)
    assert found.groups == (9, 1)
    assert found.sets([[0.6, 0.4], [0.59, 0.41], [np.nan, np.nan]]).tolist() == [[True, True], [False, True], [False, False]]


def test_what_is_said_of_an_unsure_image() -> None:
    found = Conformal(0.1, (0.3, 0.4, 0.9), (50, 50, 50))
    p = [[0.5, 0.2, 0.3], [0.5, 0.45, 0.05], [0.2, 0.3, 0.5], [0.31, 0.3, 0.39]]
    said = found.unsure(p, ("a", "b", "c"), [0, 0, 2, 2])
    assert said[:3] == ["", "it may as well be a or b", "it fits none of the classes"]
    assert said[3] == "its set holds a alone, and the rule calls it c", "what is answered is never what its set rules out"


def test_what_is_said_of_unsure_findings() -> None:
    """edema: absent from 0.4 on, present from 0.5 on; nodule: absent from 0.9 on, present from 0.3 on."""
    found = ConformalFindings((Conformal(0.1, (0.4, 0.5), (50, 50)), Conformal(0.1, (0.9, 0.3), (50, 50))))
    p = [[0.9, 0.05], [0.55, 0.05], [0.9, 0.2], [0.55, 0.2], [0.9, 0.4]]
    assert found.sets(p)[:, :, 1].tolist() == [[True, False], [True, False], [True, False], [True, False], [True, True]]
    called = [[1, 0], [1, 0], [1, 0], [0, 0], [1, 0]]
    assert found.unsure(p, ("edema", "nodule"), called) == [
        "",
        "it may have edema or not",
        "it looks neither with nor without nodule",
        "it may have edema or not; it looks neither with nor without nodule",
        "set and threshold differ on nodule",
    ]


@pytest.mark.parametrize(("alpha", "patients", "images"), [(0.1, 40, 1), (0.1, 40, 4), (0.2, 12, 3)])
def test_coverage_of_each_class_in_the_mean_over_calibration_sets(alpha: float, patients: int, images: int) -> None:
    """Three classes, one four times rarer; images of a patient share most of their noise. Of patients, all of whose images count."""
    chance = np.random.default_rng(7)
    counts = (patients * 2, patients * 2, patients // 2)

    def drawn(counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth = np.repeat(np.repeat(np.arange(3), counts), images)
        groups = np.repeat(np.arange(sum(counts)), images)
        shared = np.repeat(chance.normal(size=(sum(counts), 3)), images, axis=0)
        logits = 1.5 * np.eye(3)[truth] + shared + 0.4 * chance.normal(size=(len(truth), 3))
        return softmax(logits, axis=1), truth, groups

    together, single = [], []
    for _ in range(150):
        fitted = fit(*drawn(counts), alpha)
        p, truth, _ = drawn((60, 60, 60))
        held = fitted.sets(p)[np.arange(len(truth)), truth]
        whole = held.reshape(-1, images).all(axis=1).reshape(3, 60)
        together.append(whole.mean(axis=1))
        single.append(held.mean())
    deviation = np.std(together, axis=0) / math.sqrt(len(together))
    assert (np.mean(together, axis=0) >= 1 - alpha - 3 * deviation).all()
    assert np.mean(single) >= 1 - alpha


@pytest.mark.parametrize(("patients", "images", "known"), [(120, 1, 1.0), (120, 3, 0.7)])
def test_coverage_of_each_finding_with_and_without_it(patients: int, images: int, known: float) -> None:
    """Two findings, one of them rare and both often together; where a finding is not known it neither fits nor is judged."""
    chance, alpha = np.random.default_rng(11), 0.1

    def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first = chance.random(patients) < 0.5
        second = chance.random(patients) < np.where(first, 0.35, 0.1)
        truth = np.repeat(np.stack([first, second], axis=1), images, axis=0).astype(float)
        shared = np.repeat(chance.normal(size=(patients, 2)), images, axis=0)
        p = expit(2.0 * (truth - 0.5) + shared + 0.4 * chance.normal(size=truth.shape))
        return p, np.where(chance.random(truth.shape) < known, truth, np.nan), np.repeat(np.arange(patients), images)

    kept: dict[tuple[int, int], list[float]] = {(k, side): [] for k in (0, 1) for side in (0, 1)}
    wrong: dict[tuple[int, int], list[float]] = {key: [] for key in kept}
    for _ in range(120):
        fitted = fit_findings(*drawn(), alpha)
        p, truth, groups = drawn()
        sets = fitted.sets(p)
        answered = np.array([not each for each in fitted.unsure(p, ("a", "b"), (p >= 0.3).astype(float))])
        for k, side in kept:
            there = truth[:, k] == side
            of, place = np.unique(groups[there], return_inverse=True)
            whole, missed = np.ones(len(of), bool), np.zeros(len(of), bool)
            np.logical_and.at(whole, place, sets[there, k, side])
            np.logical_or.at(missed, place, (answered & ((p[:, k] >= 0.3) != side))[there])
            kept[k, side].append(float(whole.mean()))
            wrong[k, side].append(float(missed.mean()))
    for key, values in kept.items():
        assert np.mean(values) >= 1 - alpha - 3 * np.std(values) / math.sqrt(len(values)), key
        assert np.mean(wrong[key]) <= alpha + 3 * np.std(wrong[key]) / math.sqrt(len(wrong[key])), key
    assert np.mean(kept[0, 1]) < 0.97, "sets that hold everything would cover too"


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(1, 40), st.floats(0.02, 0.4), st.floats(0.02, 0.4))
def test_a_smaller_alpha_never_gives_a_smaller_set_and_the_stored_comes_back(
    seed: int, classes: int, images: int, first: float, second: float
) -> None:
    chance = np.random.default_rng(seed)
    p, truth = softmax(chance.normal(size=(images, classes)), axis=1), chance.integers(0, classes, images)
    groups = chance.integers(0, images, images)
    strict, loose = (fit(p, truth, groups, alpha) for alpha in sorted((first, second)))
    assert (strict.sets(p) | ~loose.sets(p)).all()
    assert from_json(strict.to_json()) == strict
    together = fit_findings(p, truth[:, None] == np.arange(classes), groups, first, "patient")
    assert from_json(together.to_json()) == together
    own = fit(np.stack([1 - p[:, 0], p[:, 0]], axis=1), truth == 0, groups, first, "patient")
    assert together.each[0] == own


def test_mistakes_are_told() -> None:
    with pytest.raises(MedtlError, match="alpha is 1"):
        fit([[0.5, 0.5]], [0], [0], 1)
    with pytest.raises(MedtlError, match="expected one row each"):
        fit([[0.5, 0.5]], [0, 1], [0], 0.1)
    with pytest.raises(MedtlError, match="fitted for 2 classes"):
        Conformal(0.1, (0.5, 0.5), (9, 9)).sets([[0.1, 0.2, 0.7]])
    with pytest.raises(MedtlError, match="expected `alpha`"):
        Conformal.from_json({"alpha": 0.1})
    with pytest.raises(MedtlError, match="two numbers `least`"):
        from_json({"alpha": 0.1, "findings": [{"least": [0.1], "groups": [9]}]})
    with pytest.raises(MedtlError, match=r"expected \(images, findings\) twice"):
        fit_findings([[0.5, 0.5]], [[1]], [0], 0.1)
    with pytest.raises(MedtlError, match="fitted for 1 findings"):
        ConformalFindings((Conformal(0.1, (0.5, 0.5), (9, 9)),)).sets([[0.1, 0.2]])
