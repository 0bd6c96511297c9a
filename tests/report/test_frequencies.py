"""Natural frequencies: whole images that sum up, and nothing that happened becomes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.contracts import Task
from medtl.report.frequencies import frequencies, out_of, squares

TASK = Task(classes={"well": (), "ill": ()})


@given(st.lists(st.integers(0, 5000), min_size=2, max_size=6).filter(any))
def test_counts_per_base_sum_to_it_and_are_near_the_shares(counts):
    base, whole = out_of(counts)
    assert sum(whole) == base
    for part, count in zip(whole, counts, strict=True):
        assert abs(part - count * base / sum(counts)) < 1
        assert part or not count or base == 10000


def entry(confusion: list[list[int]], unread: tuple[int, int] = (0, 0)) -> dict:
    support = [sum(row) + lost for row, lost in zip(confusion, unread, strict=True)]
    return {
        "confusion": confusion,
        "unread": dict(zip(TASK.names, unread, strict=True)),
        "per_class": {name: {"support": n} for name, n in zip(TASK.names, support, strict=True)},
    }


def test_two_classes_are_told_as_found_missed_alarmed_and_cleared():
    found = frequencies(entry([[800, 100], [20, 80]]), TASK)
    assert found.base == 100
    assert found.sentences == [
        "10 are ill: the model finds 8 and misses 2.",
        "90 are well: it calls 80 so and raises 10 false alarms.",
        "So of the 18 that it calls ill, 8 are ill.",
    ]


def test_a_rare_miss_asks_for_a_larger_base_and_is_not_rounded_away():
    found = frequencies(entry([[989, 1], [1, 9]]), TASK)
    assert found.base == 1000
    assert found.sentences[0] == "10 are ill: the model finds 9 and misses 1."
    assert found.sentences[1].endswith("raises 1 false alarm.")


def test_what_could_not_be_read_is_told_on_its_own():
    found = frequencies(entry([[50, 0], [0, 40]], unread=(0, 10)), TASK)
    assert found.sentences[0] == "50 are ill: the model finds 40 and misses 0, 10 get no answer."
    assert [part.count for part in found.parts if part.kind == "unread"] == [10]


def test_several_classes_name_the_one_found_least():
    many = Task(classes=dict.fromkeys("abc", ()))
    given = {
        "confusion": [[8, 2, 0], [1, 4, 5], [0, 0, 10]],
        "unread": dict.fromkeys("abc", 0),
        "per_class": {name: {"support": 10} for name in "abc"},
    }
    said = frequencies(given, many).sentences
    assert said[0] == "73 are called what they are, and 27 something else."
    assert said[1] == "Of 100 images of b alone it finds 40, the fewest of all classes (here 4 of 10)."


@pytest.mark.parametrize(("confusion", "drawn"), [([[50, 10], [10, 30]], 100), ([[989, 1], [1, 9]], 1000), ([[99990, 3], [3, 4]], 0)])
def test_every_image_of_the_base_is_one_square(confusion, drawn):
    assert sum(path.count("z") for _, path in squares(frequencies(entry(confusion), TASK))) == drawn
