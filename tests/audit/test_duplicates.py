"""The same picture twice, in every way it comes; and what only looks so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from medtl import measurements
from medtl.audit.duplicates import duplicates
from medtl.audit.findings import Finding
from medtl.imaging.measuring import perceptual_hash, pixel_hash
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import open_store

Images = list[NDArray[np.uint8]]


def copied(image: NDArray[np.uint8], crop: float = 0.03, brighter: float = 1.15, quality: int = 80, seed: int = 0) -> NDArray[np.uint8]:
    """(h, w[, 3]): `crop` of each side's length cut off, more on one end than on the other; grey values times `brighter`; JPEG."""
    shares = np.random.default_rng(seed).uniform(0, crop, 2)
    high, wide = image.shape[:2]
    top, left = round(shares[0] * high), round(shares[1] * wide)
    inner = image[top : top + round((1 - crop) * high), left : left + round((1 - crop) * wide)]
    brightened = np.clip(inner.astype(np.float32) * brighter, 0, 255).round().astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", brightened, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), dtype=np.uint8)


@functools.cache
def clouds(seed: int, scheme: float = 0.0, side: int = 160) -> NDArray[np.uint8]:
    """(side, side): structures of three sizes; `scheme` of them are those that all these pictures have."""

    def drawn(own: int) -> NDArray[np.float32]:
        noise = np.random.default_rng(own).normal(size=(side, side)).astype(np.float32)
        return sum((cv2.GaussianBlur(noise, (0, 0), width) * width for width in (1.5, 4, 12)), np.zeros((side, side), np.float32))

    shown = scheme * drawn(0) + (1 - scheme) * drawn(seed + 1)
    return np.asarray(20 + 180 * (shown - shown.min()) / (shown.max() - shown.min()), dtype=np.uint8)


def tables(images: Images, splits: Sequence[str], **columns: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and measurements of grey pictures, each of a patient of its own."""
    rows, names = [], [f"{number:03d}.png" for number in range(len(images))]
    for name, image in zip(names, images, strict=True):
        grey = image.astype(np.float32) / 255
        values = {"pixel_hash": pixel_hash(grey), "phash": perceptual_hash(grey)}
        rows.append({**measurements.row(values), "image": name, "frame": 0})
    records = pd.DataFrame({"image": names, "frame": 0, "sha256": names, "label": "nevus", "patient_id": names, "group_id": names})
    records["image"] = records["image"].astype(str)
    return records.assign(group_kind="patient", domain="here", split=splits, fold="", **columns), measurements.table(rows)


def reader(images: Images) -> Callable[[NDArray[np.int64]], NDArray[np.uint8]]:
    squares = np.stack([cv2.resize(image, (128, 128), interpolation=cv2.INTER_AREA) for image in images])[..., None]
    return lambda positions: squares[positions]


def by_code(found: Sequence[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in found}


def numbers(finding: Finding) -> set[frozenset[int]]:
    """Its pairs, by the numbers in the names of the images."""
    return {frozenset(int(image[:3]) for image, _ in pair) for pair in finding.pairs}


def test_the_same_bytes_and_the_same_pixels_across_and_within_splits() -> None:
    images = [clouds(0), clouds(0), clouds(1), clouds(1), clouds(2), clouds(2), clouds(3)]
    records, measured = tables(images, ["train", "test", "train", "train", "validation", "test", "train"])
    records["sha256"] = ["a", "a", "b", "c", "d", "e", "f"]
    found = by_code(duplicates(records, measured, None, reader(images)))
    assert set(found) == {"SAME_FILE_ACROSS_SPLITS", "SAME_PIXELS_ACROSS_SPLITS", "SAME_PIXELS"}
    assert numbers(found["SAME_FILE_ACROSS_SPLITS"]) == {frozenset({0, 1})}
    assert numbers(found["SAME_PIXELS_ACROSS_SPLITS"]) == {frozenset({4, 5})}
    assert numbers(found["SAME_PIXELS"]) == {frozenset({2, 3})}
    assert [found[code].severity for code in sorted(found)] == ["grave", "notable", "grave"]
    assert list(found["SAME_PIXELS"].join) == list(found["SAME_PIXELS"].pairs)


def test_contradictory_labels_are_to_be_left_out_and_shared_pictures_named() -> None:
    images = [clouds(0), clouds(0), clouds(1), copied(clouds(1)), clouds(2), clouds(3)]
    records, measured = tables(images, ["train"] * 6, label=["nevus", "melanoma", "nevus", "melanoma", "", "nevus"])
    records["domain"] = ["here", "there", "here", "here", "here", "there"]
    found = by_code(duplicates(records, measured, None, reader(images)))
    assert "2 pairs of images of one picture (1 identical and 1 near) have different labels" in found["CONTRADICTORY_LABELS"].title
    assert found["CONTRADICTORY_LABELS"].severity == "grave"
    assert {image for image, _ in found["CONTRADICTORY_LABELS"].exclude} == {"000.png", "001.png", "002.png", "003.png"}
    assert numbers(found["SHARED_BETWEEN_COHORTS"]) == {frozenset({0, 1})}
    assert "here and there" in found["SHARED_BETWEEN_COHORTS"].title


@pytest.mark.parametrize("turned", [lambda image: image, np.fliplr, np.rot90], ids=["upright", "mirrored", "turned"])
def test_copies_in_another_split_are_found_and_nothing_else(turned: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    images = [clouds(seed) for seed in range(60)]
    images += [np.ascontiguousarray(turned(copied(images[seed], seed=seed))) for seed in range(20)]
    records, measured = tables(images, ["train"] * 60 + ["test"] * 20)
    features = np.stack([cv2.resize(image, (8, 8)).ravel() for image in [*images[:60], *images[:20]]]).astype(np.float32)
    features[59] = np.nan
    found = by_code(duplicates(records, measured, features, reader(images)))  # features see what is turned as they see it upright
    assert set(found) == {"NEAR_DUPLICATE_ACROSS_SPLITS"}
    assert numbers(found["NEAR_DUPLICATE_ACROSS_SPLITS"]) == {frozenset({seed, 60 + seed}) for seed in range(20)}
    assert found["NEAR_DUPLICATE_ACROSS_SPLITS"].severity == "grave"


def test_pictures_of_one_scheme_are_no_copies_but_their_copies_are() -> None:
    images = [clouds(seed, scheme=0.7) for seed in range(40)]
    records, measured = tables(images, ["train", "test"] * 20)
    assert duplicates(records, measured, None, reader(images)) == []
    images += [copied(images[seed], seed=seed) for seed in range(8)]
    records, measured = tables(images, ["train", "test"] * 24)
    found = {pair for finding in duplicates(records, measured, None, reader(images)) for pair in numbers(finding)}
    assert found == {frozenset({seed, 40 + seed}) for seed in range(8)}


def test_a_copy_of_a_picture_whose_twin_stands_elsewhere_crosses_the_split() -> None:
    images = [clouds(seed) for seed in range(40)] + [clouds(0), copied(clouds(0))]
    records, measured = tables(images, ["train"] * 40 + ["test", "train"])
    found = by_code(duplicates(records, measured, None, reader(images), across_only=True))
    assert numbers(found["NEAR_DUPLICATE_ACROSS_SPLITS"]) == {frozenset({40, 41})}


def test_copies_within_a_group_are_a_note_and_quarantined_or_excluded_images_no_leak() -> None:
    images = [clouds(seed) for seed in range(40)] + [copied(clouds(0)), copied(clouds(1)), copied(clouds(2))]
    records, measured = tables(images, ["train"] * 40 + ["train", "excluded", "test"])
    records.loc[40, "group_id"] = "000.png"
    measured.loc[42, ["quarantine", "pixel_hash", "phash"]] = ["DECODE_FAILED", "", ""]
    asked: list[int] = []

    def pictures(positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        asked.extend(positions.tolist())
        return reader(images)(positions)

    (found,) = duplicates(records.drop(41), measured, None, lambda positions: pictures(np.where(positions < 41, positions, positions + 1)))
    assert (found.code, found.severity, numbers(found)) == ("NEAR_DUPLICATE", "note", {frozenset({0, 40})})
    assert 42 not in asked
    assert duplicates(records, measured, None, reader(images), across_only=True) == []


def test_without_pictures_nothing_is_called_a_copy() -> None:
    images = [clouds(seed) for seed in range(40)] + [copied(clouds(0), crop=0, brighter=1.02)]
    records, measured = tables(images, ["train"] * 40 + ["test"])
    (found,) = duplicates(records, measured)
    assert (found.code, found.severity, numbers(found)) == ("LOOK_ALIKE_ACROSS_SPLITS", "notable", {frozenset({0, 40})})
    assert not found.join
    assert not found.exclude


@pytest.mark.parametrize(("images", "frame"), [(0, 0), (1, 1), (2, 2)])
def test_hardly_any_images_are_no_trouble(images: int, frame: int) -> None:
    pictures = [clouds(seed) for seed in range(images)]
    records, measured = tables(pictures, ["train"] * images)
    records["frame"] = measured["frame"] = frame
    assert duplicates(records, measured, np.zeros((images, 4), np.float32), reader(pictures) if images else None) == []


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("data/cxr_adult", "images/*.jpg"),
        ("data/skin_lesions", "images/*.jpg"),
        pytest.param("data/breast_ultrasound", "*/*.png", marks=pytest.mark.slow),
        pytest.param("data/cxr_pediatric", "PNEUMONIA/*.jpeg", marks=pytest.mark.slow),
    ],
)
def test_copies_of_real_images_are_found(shared: Callable[[str], Path], tmp_path: Path, name: str, pattern: str) -> None:
    """20 of 100 images re-encoded, cropped by 3 % and brightened in another split: 18 pairs or more, one false at most."""
    files = sorted(shared(name).glob(pattern))
    chosen = [files[place] for place in np.random.default_rng(7).choice(len(files), 100, replace=False)]
    for number, file in enumerate(chosen):
        (tmp_path / f"{number:03d}").symlink_to(file)
    for number in range(20):
        Image.fromarray(copied(np.asarray(Image.open(chosen[number])), seed=number)).save(tmp_path / f"{100 + number}.png")
    names = [f"{number:03d}" for number in range(100)] + [f"{100 + number}.png" for number in range(20)]
    records = pd.DataFrame({"image": names, "frame": 0, "label": "ill", "patient_id": "", "group_id": "", "group_kind": "image"})
    records = records.assign(domain="here", split=["train"] * 100 + ["test"] * 20, fold="")
    settings = ImageSettings(size=128, channels=1, fit="squeeze" if "skin" in name else "pad")
    store = open_store(records[["image", "frame"]], tmp_path, settings, tmp_path / "cache")
    found = duplicates(records.assign(sha256=store.measurements["sha256"]), store.measurements, None, store.read, across_only=True)
    pairs = {pair for finding in found for pair in numbers(finding)}
    true = {frozenset({number, 100 + number}) for number in range(20)}
    assert len(pairs & true) >= 18
    without = duplicates(records[:100].assign(split="train", sha256=""), store.measurements, None, store.read)
    own = {pair for finding in without for pair in numbers(finding)}
    twins = {frozenset({number, 100 + copy}) for pair in own for copy in pair if copy < 20 for number in pair - {copy}}
    assert len(pairs - true - twins) <= 1
