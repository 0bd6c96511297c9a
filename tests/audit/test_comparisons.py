"""What is found out about pictures once is not found out again; and what one version of the method gives."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from medtl.audit import same_picture
from medtl.audit.comparisons import Comparisons, codes, identity
from medtl.imaging.measuring import perceptual_hash

Images = NDArray[np.uint8]

AGREEMENTS = {
    1: {
        (0, 8): 0.999, (1, 9): 0.990, (2, 10): 1.0, (3, 11): 1.0,
        (0, 1): -1.0, (0, 3): 0.841, (1, 5): 0.850, (2, 9): 0.823, (4, 7): 0.847, (6, 9): 0.827, (7, 8): 0.830,
    },
}  # fmt: skip
"""What each version of the method gives for some of the pairs below; the first four are copies."""
CANDIDATES = {1: 59}


def drawn(seed: int) -> NDArray[np.float32]:
    """(128, 128) in 40 … 210: structures of three sizes, most of them the same in all; from a generator that numpy has frozen."""

    def clouds(own: int) -> NDArray[np.float32]:
        noise = np.random.RandomState(own).normal(size=(128, 128)).astype(np.float32)
        return sum((cv2.GaussianBlur(noise, (0, 0), width) * width for width in (1.5, 4, 12)), np.zeros((128, 128), np.float32))

    shown = 0.7 * clouds(0) + 0.3 * clouds(seed + 1)
    return np.asarray(40 + 170 * (shown - shown.min()) / np.ptp(shown), dtype=np.float32)


@pytest.fixture(scope="module")
def images() -> Images:
    """(12, 128, 128, 1): eight pictures, and copies of the first four: brighter, cropped, mirrored, turned."""
    own = [drawn(seed) for seed in range(8)]
    cropped = cv2.resize(own[1][3:126, 2:127], (128, 128), interpolation=cv2.INTER_AREA)
    own += [np.clip(own[0] * 1.15, 0, 255), cropped, own[2][:, ::-1], np.rot90(own[3])]
    return np.stack([image.round().astype(np.uint8) for image in own])[..., None]


def search(known: Comparisons, images: Images, read: Callable[[NDArray[np.int64]], Images] | None = None, **more: object):  # type: ignore[no-untyped-def]
    hashes = np.array([int(perceptual_hash(image[..., 0].astype(np.float32) / 255), 16) for image in images], np.uint64)
    names = [str(number) for number in range(len(images))]
    return known.search(names, hashes, read or (lambda numbers: images[numbers]), **more)  # type: ignore[arg-type]


def test_what_this_version_gives_is_what_is_remembered_under_it(images: Images) -> None:
    """Fails where the method gives other results: then raise same_picture.VERSION, and put the new results here beside the old."""
    assert same_picture.VERSION in AGREEMENTS, "a new version of the method: say here what it gives"
    features = np.eye(8, dtype=np.float32)[[*range(8), 0, 1, 2, 3]]
    pairs, scores = search(Comparisons(), images, features=features)
    found = {(one, other): score for (one, other), score in zip(pairs.tolist(), scores.tolist(), strict=True)}
    golden = AGREEMENTS[same_picture.VERSION]
    assert {pair: found[pair] for pair in golden} == pytest.approx(golden, abs=0.005)
    assert len(found) == CANDIDATES[same_picture.VERSION]


def test_a_second_search_reads_no_picture_and_a_wider_one_only_what_is_new(images: Images) -> None:
    known = Comparisons()
    crossing, scores = search(known, images, asked=lambda pairs: pairs[:, 1] == 8)
    assert crossing[:, 1].tolist() == [8] * len(crossing)
    assert set(known.agreements) == set(codes(crossing, 12).tolist())
    known.new = False

    def nothing(numbers: NDArray[np.int64]) -> Images:
        return pytest.fail(f"read {numbers}")

    again, same = search(known, images, nothing, asked=lambda pairs: pairs[:, 1] == 8)
    np.testing.assert_array_equal(again, crossing)
    np.testing.assert_array_equal(same, scores)
    assert not known.new
    everything, whole = search(known, images)
    fresh, expected = search(Comparisons(), images)
    assert known.new
    np.testing.assert_array_equal(everything, fresh)
    np.testing.assert_array_equal(whole, expected)
    read: list[int] = []
    features = np.zeros((len(images), 4), np.float32)
    features[:, 0] = np.arange(len(images)) ** 2
    wider, _ = search(known, images, lambda numbers: (read.extend(numbers.tolist()), images[numbers])[1], features=features)
    added = {tuple(pair) for pair in wider.tolist()} - {tuple(pair) for pair in fresh.tolist()}
    assert set(read) == {number for pair in added for number in pair}
    assert known.nearest is not None
    np.testing.assert_array_equal(known.nearest, fresh)


def test_other_pictures_or_another_order_or_version_are_not_what_is_known(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Comparisons()
    search(known, images)
    hashes = np.zeros(3, np.uint64)
    pairs, _ = known.search(["c", "a", "b"], hashes, lambda numbers: images[numbers])
    assert known.of == identity(["c", "a", "b"]) != identity(["a", "b", "c"])
    assert set(known.agreements) == {0 * 3 + 1, 0 * 3 + 2, 1 * 3 + 2} == set(codes(pairs, 3).tolist())
    before = identity(["a"])
    monkeypatch.setattr(same_picture, "VERSION", same_picture.VERSION + 1)
    assert identity(["a"]) != before
