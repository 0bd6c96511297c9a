"""Images: what is wrong on purpose is found, upright and ordinary ones are left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from medtl.audit.findings import Finding
from medtl.audit.image_health import image_health
from medtl.audit.outliers import isolation
from medtl.audit.uprightness import WAYS, signs_of, suspicious
from medtl.imaging.measuring import perceptual_hash

Make = Callable[..., tuple[pd.DataFrame, pd.DataFrame]]
Grey = np.ndarray
TURN: dict[str, Callable[[Grey], Grey]] = {
    "inverted": lambda grey: 1 - grey,
    "upside down": lambda grey: grey[::-1, ::-1],
    "turned to the left": lambda grey: np.rot90(grey),
    "turned to the right": lambda grey: np.rot90(grey, -1),
    "mirrored top to bottom": lambda grey: grey[::-1],
    "rows and columns swapped": lambda grey: grey.T,
    "rows and columns swapped, upside down": lambda grey: grey.T[::-1, ::-1],
}


def found(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.code: finding for finding in findings}


def hashed(grey: Grey) -> str:
    return perceptual_hash(np.ascontiguousarray(grey, dtype=np.float32))


def chest(chance: np.random.Generator) -> Grey:
    """Something with a fixed way of lying, another each time: two dark lungs, a bright heart, black corners, noise."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    x, y = x + chance.normal(0, 0.04), y + chance.normal(0, 0.04)
    body = 0.7 * (np.abs(x) < 0.8 + 0.15 * y)
    lungs = sum(0.5 * np.exp(-(((x - side) / 0.22) ** 2 + ((y + 0.15) / 0.5) ** 2)) for side in (-0.4, 0.42))
    heart = 0.25 * np.exp(-(((x - 0.15) / 0.25) ** 2 + ((y - 0.3) / 0.25) ** 2))
    blur = cv2.GaussianBlur(chance.normal(0, 1, (64, 64)), (0, 0), 6)
    return np.clip(body - lungs + heart + 0.4 * blur, 0, 1).astype(np.float32)


@pytest.mark.parametrize("way", list(WAYS))
def test_the_hash_of_a_turned_picture_is_the_turned_hash(way: str) -> None:
    chance = np.random.default_rng(0)
    agreement = []
    for _ in range(30):
        upright = chest(chance)
        agreement.append(np.mean(WAYS[way](signs_of(hashed(TURN[way](upright)))) == signs_of(hashed(upright))))
    assert np.mean(agreement) > 0.93


def test_turned_and_inverted_images_among_upright_ones() -> None:
    chance = np.random.default_rng(0)
    phashes = [hashed(chest(chance)) for _ in range(200)]
    planted = {150 + 5 * number: way for number, way in enumerate(WAYS)}
    for place, way in planted.items():
        phashes[place] = hashed(TURN[way](chest(chance)))
    table = pd.Series(phashes, index=range(1000, 1200))
    found = suspicious(table, pd.Series("chest", index=table.index))
    assert {place - 1000: way for place, way in found["way"].items()} == planted
    assert suspicious(table[150:175], pd.Series("chest", index=table.index[150:175])).empty  # 25 do not say what is usual


def test_images_without_an_upright_are_never_suspicious() -> None:
    chance = np.random.default_rng(0)
    phashes = pd.Series([hashed(cv2.GaussianBlur(chance.random((64, 64)), (0, 0), 5)) for _ in range(200)])
    assert suspicious(phashes, pd.Series("skin", index=phashes.index)).empty


def test_two_ways_of_lying_in_two_domains_are_each_usual() -> None:
    chance = np.random.default_rng(0)
    phashes = pd.Series([hashed(chest(chance)) if number % 2 else hashed(chest(chance).T) for number in range(200)])
    assert suspicious(phashes, pd.Series(np.arange(200) % 2).astype(str)).empty


def test_a_picture_and_its_inverse_in_however_small_a_cohort(cohort: Make) -> None:
    records, measured = cohort(40)
    chance = np.random.default_rng(0)
    pictures = [chest(chance) for _ in range(40)]
    pictures[30] = 1 - pictures[4]
    for number, picture in enumerate(pictures):
        values = {"phash": hashed(picture), "brightness": picture.mean(), "contrast": picture.std(), "border": picture[0].mean()}
        measured.loc[number, list(values)] = list(values.values())
    finding = found(image_health(records, measured, None))["INVERTED_PAIR"]
    assert [tuple(image for image, _ in pair) for pair in finding.pairs] == [(records["image"][4], records["image"][30])]
    assert finding.table[["image", "image of the other"]].to_numpy().tolist() == [[records["image"][4], records["image"][30]]]
    measured.loc[30, "contrast"] += 0.02
    assert "INVERTED_PAIR" not in found(image_health(records, measured, None))


def test_real_radiographs(shared: Callable[[str], Path]) -> None:
    """Every tenth of 200 turned on purpose."""
    folder = shared("data/cxr_adult/images")
    phashes, planted = [], {}
    for number, file in enumerate(sorted(folder.iterdir())[:200]):
        grey = np.asarray(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), dtype=np.float32) / 255
        if number % 10 == 5:
            planted[number] = "inverted" if number % 20 == 5 else "upside down"
        phashes.append(hashed(TURN[planted[number]](grey) if number in planted else grey))
    ways = suspicious(pd.Series(phashes), pd.Series("adults", index=range(200)))["way"]
    assert sum(number in ways.index for number in planted) >= 17
    assert sum(ways.get(number) == way for number, way in planted.items()) >= 15
    assert sum(number not in planted for number in ways.index) <= 2


def test_broken_images_are_counted_and_can_be_excluded(cohort: Make) -> None:
    records, measured = cohort(200)
    broken = [3, 50, 120]
    measured.loc[broken, ["quarantine", "reason", "phash"]] = ["DECODE_FAILED", "the pixel data end early", ""]
    records.loc[broken[0], "split"] = "excluded"  # as a run's own records have it
    finding = found(image_health(records, measured, None))["BROKEN"]
    assert finding.title == "3 of 200 images cannot be used: DECODE_FAILED 3"
    assert finding.severity == "notable"
    assert finding.exclude == [(records["image"][number], 0) for number in broken]
    measured.loc[:25, "quarantine"] = "TOO_LARGE"
    assert found(image_health(records, measured, None))["BROKEN"].severity == "grave"


def test_an_ordinary_cohort_is_left_alone(cohort: Make) -> None:
    chance = np.random.default_rng(0)
    assert image_health(*cohort(300), np.exp(chance.normal(-1, 0.5, (300, 100))).astype(np.float32)) == []
    assert image_health(*cohort(300), None) == []


def test_blank_saturated_lettered_and_foreign_images(cohort: Make) -> None:
    records, measured = cohort(300)
    measured.loc[4, "contrast"] = 0.01
    measured.loc[5, "blank_share"] = 0.95
    measured.loc[6, "saturated_share"] = 0.5
    measured.loc[[7, 8], "letters"] = [9, 5]
    measured.loc[9, "receipt"] = '{"notes":["the header says that annotation is burnt into the pixels"]}'
    measured["modality"] = "DX"
    measured.loc[10, "modality"] = "CT"
    findings = found(image_health(records, measured, None))
    names = {code: [int(image[7:12]) for image, _ in finding.images] for code, finding in findings.items()}
    assert names == {"BLANK": [4, 5], "SATURATED": [6], "BURNT_IN_TEXT": [7, 8, 9], "FOREIGN_KIND": [10]}
    assert findings["BLANK"].exclude == [(records["image"][4], 0)]


def test_saturation_that_all_images_have_is_none(cohort: Make) -> None:
    records, measured = cohort(100)
    measured["saturated_share"] = np.random.default_rng(0).uniform(0.2, 0.4, 100)
    assert "SATURATED" not in found(image_health(records, measured, None))


def test_images_out_of_family(cohort: Make) -> None:
    """Three of a thousand from elsewhere, one of them unread; rows of `features` are those of `records`."""
    chance = np.random.default_rng(0)
    records, measured = cohort(1000)
    axes = chance.normal(0, 0.15, (30, 120))
    features = np.exp(chance.normal(0, 1, (1000, 30)) @ axes + chance.normal(0, 0.3, (1000, 120)) - 1)
    strange = [100, 500, 900]
    features[strange] = np.exp(chance.normal(-1, 2, (3, 120)))
    features[900] = np.nan
    measured.loc[900, ["quarantine", "phash"]] = ["DECODE_FAILED", ""]
    finding = found(image_health(records, measured.sample(frac=1, random_state=0), features.astype(np.float32)))["OUT_OF_FAMILY"]
    assert {image for image, _ in finding.images} == {records["image"][100], records["image"][500]}


def test_isolation_by_its_definition() -> None:
    """Against a loop over all pairs."""
    chance = np.random.default_rng(0)
    features, groups = chance.gamma(1, 0.3, (60, 12)).astype(np.float32), np.arange(60) // 3
    level = np.arcsinh(features / 0.05)
    level = (level - level.mean(axis=0)) / level.std(axis=0)
    others = [[np.linalg.norm(level[i] - level[j]) for j in range(60) if groups[j] != groups[i]] for i in range(60)]
    mean = np.array([np.sort(row)[:10].mean() for row in others])
    log = np.log(mean)
    expected = (log - np.median(log)) / (1.4826 * np.median(np.abs(log - np.median(log))))
    assert isolation(features, groups) == pytest.approx(expected, abs=1e-3)
    assert np.isnan(isolation(features[:20], groups[:20])).all()
