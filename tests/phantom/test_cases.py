"""Who is imaged, and what is wrong on purpose: exact shares, splits by patient, every fault where it is said to be."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medtl.phantom.cases import Case, class_counts, draw_cases
from medtl.phantom.settings import LESION_CLASSES, SUSPICIOUS, PhantomSettings


def cases(kind: str = "chest", **chosen: Any) -> list[Case]:
    return draw_cases(PhantomSettings(kind=kind, **chosen))


def by_patient(made: list[Case], what: str) -> dict[str, set[str]]:
    found = defaultdict(set)
    for case in made:
        found[case.patient].add(getattr(case, what))
    return found


@settings(max_examples=30)
@given(st.integers(1, 100), st.floats(0, 0.99), st.sampled_from("ab"), st.integers(0, 3))
def test_prevalence_is_exact(patients: int, prevalence: float, hospital: str, seed: int) -> None:
    made = cases(patients=patients, prevalence=prevalence, hospital=hospital, seed=seed)
    sick = {case.patient for case in made if case.truth == "pneumonia"}
    assert len({case.patient for case in made}) == patients
    assert len(sick) == round(prevalence * patients)


@given(st.integers(7, 3000), st.floats(1, 100))
def test_the_tail_is_as_long_as_asked(patients: int, rarity: float) -> None:
    counts = class_counts(PhantomSettings(kind="lesions", patients=patients, rarity=rarity))
    numbers = list(counts.values())
    assert sum(numbers) == patients
    assert numbers == sorted(numbers, reverse=True)
    expected = [rarity ** (-place / 6) for place in range(7)]
    assert all(abs(number - patients * share / sum(expected)) < 1 for number, share in zip(numbers, expected, strict=True))


@pytest.mark.parametrize("kind", ["chest", "lesions"])
def test_a_patient_stands_in_one_split_and_every_class_in_every_split(kind: str) -> None:
    made = cases(kind, patients=120)
    assert all(len(splits) == 1 for splits in by_patient(made, "split").values())
    seen = {(case.split, case.truth) for case in made}
    assert seen == {(split, name) for split in ("train", "validation", "test") for name in PhantomSettings(kind=kind).classes}
    patients = Counter(next(iter(splits)) for splits in by_patient(made, "split").values())
    assert patients["test"] == pytest.approx(24, abs=4)
    assert patients["validation"] == pytest.approx(18, abs=4)


def test_patients_have_several_images_and_lesions() -> None:
    images = Counter(case.patient for case in cases(patients=100, images=3))
    assert set(images.values()) == {1, 2, 3}
    lesions = by_patient(cases("lesions", patients=100), "lesion")
    assert {len(own) for own in lesions.values()} == {1, 2}
    assert all(lesion.startswith(patient) for patient, own in lesions.items() for lesion in own)


def test_nothing_but_the_fault_changes() -> None:
    plain = cases(patients=60)
    for faults in ({"wrong_labels": 0.2}, {"broken": 0.1}, {"marker": 0.9}, {"labels": "shuffled"}, {"two_splits": 0.5}):
        made = cases(patients=60, faults=faults)
        assert [(case.name, case.truth, case.age, case.view) for case in made] == [
            (case.name, case.truth, case.age, case.view) for case in plain
        ]
        assert made != plain


def test_wrong_labels_are_of_whole_patients_and_of_another_class() -> None:
    made = cases("lesions", patients=100, faults={"wrong_labels": 0.15})
    wrong = {case.patient for case in made if case.label != case.truth}
    assert len(wrong) == 15
    assert all(len(labels) == 1 for labels in by_patient(made, "label").values())
    assert {case.label for case in made} <= set(LESION_CLASSES)


def test_shuffled_labels_keep_the_counts_and_lose_the_truth() -> None:
    made = cases(patients=400, images=1, faults={"labels": "shuffled"})
    assert Counter((case.split, case.label) for case in made) == Counter((case.split, case.truth) for case in made)
    agreeing = sum(case.label == case.truth for case in made) / len(made)
    assert agreeing == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5])
def test_the_marker_tells_the_label_as_often_as_asked(share: float) -> None:
    made = cases("lesions", patients=800, faults={"marker": share, "wrong_labels": 0.3})
    telling = sum(case.marker == (case.label in SUSPICIOUS) for case in made) / len(made)
    assert telling == (1.0 if share == 1.0 else pytest.approx(share, abs=0.04))
    assert not any(case.marker for case in cases("lesions", patients=50))


def test_duplicates_come_under_other_patients() -> None:
    made = cases(patients=80, faults={"duplicates": 0.1})
    named = {case.name: case for case in made}
    copies = [case for case in made if case.copy_of]
    assert len(copies) == round(0.1 * (len(made) - len(copies))) > 5
    assert all(case.patient != named[case.copy_of].patient and case.label == named[case.copy_of].label for case in copies)
    assert len({case.name for case in made}) == len(made)
    assert any(case.split != named[case.copy_of].split for case in copies)


def test_torn_patients_stand_in_train_and_test() -> None:
    made = cases(patients=100, faults={"two_splits": 0.3})
    several = [patient for patient, count in Counter(case.patient for case in made).items() if count > 1]
    torn = {case.patient for case in made if case.torn}
    assert len(torn) == round(0.3 * len(several)) > 5
    splits = by_patient(made, "split")
    assert {patient for patient, own in splits.items() if own == {"train", "test"}} == torn
    assert all(len(own) == 1 for patient, own in splits.items() if patient not in torn)


def test_broken_files_are_never_those_that_are_there_twice() -> None:
    made = cases(patients=80, faults={"broken": 0.1, "duplicates": 0.2})
    broken = [case for case in made if case.broken]
    assert len(broken) == round(0.1 * len(made))
    assert {case.broken for case in broken} == {"truncated", "no pixel data"}
    assert not {case.name for case in broken} & ({case.copy_of for case in made} | {case.name for case in made if case.copy_of})


@pytest.mark.parametrize(("kind", "foreign"), [("chest", {"rarity": 3}), ("lesions", {"prevalence": 0.2})])
def test_a_setting_of_the_other_kind_is_refused(kind: str, foreign: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=f"{next(iter(foreign))} does not belong to kind: {kind}"):
        PhantomSettings(kind=kind, **foreign)
