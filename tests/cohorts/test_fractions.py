"""A share of the labels: nested, by group, redrawn per seed, blind to test."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from medtl.cohorts.fractions import draw_fraction, shuffle_labels
from medtl.cohorts.settings import SplitSettings


def _records(groups: int = 60) -> pd.DataFrame:
    rows = [
        {
            "image": f"{group}-{image}.png",
            "frame": 0,
            "sha256": f"{group * 10 + image:064x}",
            "group_id": f"g{group}",
            "label": "ill" if group % 5 == 0 else "well",
            "split": ("test", "validation", "train", "train")[group % 4],
        }
        for group in range(groups)
        for image in range(1 + group % 3)
    ]
    return pd.DataFrame(rows)


def _kept(made: pd.DataFrame, *splits: str) -> set[str]:
    return set(made.loc[made["split"].isin(splits or ("train", "validation")), "group_id"])


def _drawn(fraction: float, seed: int = 0) -> pd.DataFrame:
    return draw_fraction(_records(), SplitSettings(fraction=fraction), seed)


@given(small=some.floats(0.01, 1), large=some.floats(0.01, 1), seed=some.integers(0, 2**31))
def test_a_smaller_fraction_is_part_of_a_larger_one(small, large, seed):
    small, large = sorted((small, large))
    assert _kept(_drawn(small, seed)) <= _kept(_drawn(large, seed))


@pytest.mark.parametrize("fraction", [0.02, 0.25, 0.5, 1.0])
def test_groups_stay_whole_and_every_class_keeps_its_share(fraction):
    before, made = _records(), _drawn(fraction)
    assert made.groupby("group_id")["split"].nunique().max() == 1
    assert _kept(made, "test") == _kept(before, "test")
    for split, least in (("train", 2), ("validation", 1)):
        for label in ("ill", "well"):
            groups = [set(table.loc[(table["split"] == split) & (table["label"] == label), "group_id"]) for table in (before, made)]
            assert len(groups[1]) == max(least, -(-len(groups[0]) * fraction // 1))


@pytest.mark.parametrize("seed", range(4))
def test_a_class_that_is_most_of_nobodys_images_stays(seed):
    """Each patient has five nevi, every fifth a melanoma besides."""
    rows = [
        {"sha256": f"{patient * 10 + image:064x}", "group_id": f"g{patient}", "label": label, "split": split}
        for split, patients in (("train", range(100)), ("validation", range(100, 140)))
        for patient in patients
        for image, label in enumerate(["nevus"] * 5 + (["melanoma"] if patient % 5 == 0 else []))
    ]
    made = draw_fraction(pd.DataFrame(rows), SplitSettings(fraction=0.02), seed)
    kept = made[made["split"] != "excluded"].groupby(["split", "label"])["group_id"].nunique()
    assert kept["train", "melanoma"] >= 2
    assert kept["validation", "melanoma"] >= 1
    assert kept["train", "nevus"] <= 4


def test_another_seed_draws_another_part():
    assert len({frozenset(_kept(_drawn(0.3, seed))) for seed in range(5)}) == 5


def test_test_labels_have_no_part_in_it():
    other = _records()
    other.loc[other["split"] == "test", "label"] = "ill"
    assert draw_fraction(other, SplitSettings(fraction=0.3), 0)["split"].equals(_drawn(0.3)["split"])


def test_a_shuffled_label_keeps_the_spelling_it_came_with():
    before = _records(300).assign(spelling=lambda table: table["label"].str.upper())
    made = shuffle_labels(before, 1)
    assert (made["spelling"] == made["label"].str.upper()).all()
    assert not made["spelling"].equals(before["spelling"])


def test_shuffled_labels_are_the_same_labels_elsewhere():
    before = _records(300)
    before.loc[:4, "label"] = ""
    made = shuffle_labels(before, 1)
    assert made["label"].value_counts().to_dict() == before["label"].value_counts().to_dict()
    assert (made["label"] == "").equals(before["label"] == "")
    given_, dealt = (table["label"][5:] == "ill" for table in (before, made))
    assert abs(given_.corr(dealt)) < 0.15
    assert made.drop(columns="label").equals(before.drop(columns="label"))
    assert not shuffle_labels(before, 2)["label"].equals(made["label"])
