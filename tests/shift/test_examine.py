"""The verdict: silent between halves of one hospital, an alarm where something moved, and the cause where it is only how many are ill."""

from __future__ import annotations

import numpy as np
import pytest

from medtl.shift.draws import null_and_observed, one_of_each, p_value, patients
from medtl.shift.examine import NO_ALARM, Sample, examine

CLASSES = ("well", "ill")


def test_halves_never_share_a_patient_and_each_gives_one_image() -> None:
    groups = np.repeat(np.arange(50), 3)
    drawn = null_and_observed(groups, np.arange(40), draws=5)
    assert drawn is not None
    null, observed = drawn
    for near, far in zip(null.near, null.far, strict=True):
        both = groups[np.r_[near, far]]
        assert len(np.unique(both)) == len(both) == 50
    assert observed.near.shape[1] == null.near.shape[1]
    assert observed.far.shape[1] == null.far.shape[1]
    assert (observed.far >= 150).all()


def test_too_few_patients_give_no_comparison(hospital) -> None:
    assert null_and_observed(np.zeros(100), np.arange(100)) is None
    assert examine(hospital(30, seed=0), hospital(100, seed=1)) is None


def test_rows_of_patients() -> None:
    rows = patients(["b", "a", "b"], offset=10)
    assert [own.tolist() for own in rows] == [[11], [10, 12]]
    assert sorted(one_of_each(rows, np.random.default_rng(0)).tolist())[-1] in (11, 12)
    assert p_value([0.0] * 99, 1.0) == 0.01


def _halves(sample: Sample, seed: int) -> tuple[Sample, Sample]:
    chosen = np.isin(sample.groups, np.random.default_rng(seed).permutation(int(sample.groups.max()) + 1)[: (sample.groups.max() + 1) // 2])

    def part(own: np.ndarray) -> Sample:
        return Sample(sample.groups[own], sample.columns[own].reset_index(drop=True), sample.features[own])

    return part(chosen), part(~chosen)


def test_two_halves_of_one_hospital_give_an_alarm_in_one_of_twenty_at_most(hospital) -> None:
    """Of 16, more than 3 alarms would come by chance in 1 of 100 if each came in 1 of 20."""
    alarms = 0
    for seed in range(16):
        found = examine(*_halves(hospital(120, seed=seed), seed), draws=80, seed=seed)
        assert found is not None
        alarms += bool(found.alarms)
    assert alarms <= 3


def test_moved_images_give_an_alarm_that_says_where(hospital) -> None:
    found = examine(hospital(200, seed=1), hospital(100, seed=2, moved=1.5, labelled=False), CLASSES, draws=100)
    assert found is not None
    assert found.verdict.startswith("alarm: ")
    assert "brightness" in found.verdict
    assert "device" not in found.verdict
    assert {sign.name for sign in found.alarms} >= {"measured", "probe", "mmd"}
    assert found.columns[0].name == "brightness"
    assert found.columns[0].difference == pytest.approx(1.5, abs=0.4)
    assert not found.shares
    assert found.check is not None
    assert not found.check.passes
    assert found.directions[0].auroc > 0.75


def test_only_more_ill_is_said_so(hospital) -> None:
    source, target = hospital(200, seed=1), hospital(160, seed=2, ill=0.15, labelled=False)
    found = examine(source, target, CLASSES, draws=100)
    assert found is not None
    assert found.alarms
    assert "measured" not in {sign.name for sign in found.alarms}
    assert found.only_shares
    ill = {shares.method: shares.value[1] for shares in found.shares}
    assert ill["BBSE"] == pytest.approx(0.15, abs=0.08)
    assert ill["EM"] == pytest.approx(0.15, abs=0.06)
    assert found.directions[0].along[0][0] == "p(ill)"


def test_the_same_hospital_again(hospital) -> None:
    found = examine(hospital(200, seed=1), hospital(150, seed=3, labelled=False), CLASSES, draws=100)
    assert found is not None
    assert found.verdict == NO_ALARM
    assert not found.only_shares
    assert {each.method for each in found.accuracy} == {"thresholded", "difference"}


def test_the_targets_labels_are_never_looked_at(hospital) -> None:
    source, target = hospital(120, seed=1), hospital(80, seed=2)
    blind = Sample(**{**vars(target), "truth": None})
    seen, unseen = (examine(source, each, CLASSES, draws=50) for each in (target, blind))
    assert seen is not None
    assert unseen is not None
    assert [sign.p for sign in seen.signs] == [sign.p for sign in unseen.signs]
    assert [each.value for each in seen.accuracy] == [each.value for each in unseen.accuracy]
