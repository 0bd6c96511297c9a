"""What is in the pictures: opacities lighten their place, lesions lie in theirs, the looks differ as said, the hospitals differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from medtl.phantom.cases import draw_cases
from medtl.phantom.lesion import LOOKS, look_of
from medtl.phantom.photograph import Photograph, photograph
from medtl.phantom.radiograph import Radiograph, radiograph
from medtl.phantom.settings import LESION_CLASSES, PhantomSettings


def chests(number: int, findings: bool = True, truth: str = "", **settings: Any) -> list[Radiograph]:
    chosen = PhantomSettings(kind="chest", patients=60, **{"size": 96} | settings)
    cases = [case for case in draw_cases(chosen) if truth in ("", case.truth)]
    return [radiograph(case, chosen, findings) for case in cases[:number]]


def lesions(diagnosis: str, number: int, **settings: Any) -> list[Photograph]:
    chosen = PhantomSettings(kind="lesions", patients=70, rarity=1, images=1, **{"size": 96} | settings)
    return [photograph(case, chosen) for case in draw_cases(chosen) if case.truth == diagnosis][:number]


@pytest.mark.parametrize("hospital", ["a", "b"])
def test_an_opacity_lightens_its_place_and_little_else(hospital: str) -> None:
    with_them = chests(12, truth="pneumonia", hospital=hospital)
    without = chests(12, truth="pneumonia", hospital=hospital, findings=False)
    for sick, same in zip(with_them, without, strict=True):
        gain = sick.shown - same.shown
        inside = np.minimum.reduce([place.radius2(gain.shape) for place in sick.places])
        assert gain[inside < 0.3].mean() > 0.05
        assert np.abs(gain[inside > 1.3]).mean() < 0.01  # scatter reaches a little farther
        assert not same.places


def test_a_weaker_contrast_lightens_less() -> None:
    gains = []
    for contrast in (0.3, 1.0):
        pairs = [chests(6, truth="pneumonia", contrast=contrast, findings=findings) for findings in (True, False)]
        gains.append(np.mean([(sick.shown - same.shown).max() for sick, same in zip(*pairs, strict=True)]))
    assert gains[0] < 0.5 * gains[1]


def test_a_chest_is_laid_out_like_one() -> None:
    """Air outside is black, lungs dark, mediastinum and abdomen light, the heart on the patient's left: at the image's right."""
    mean = np.mean([np.clip(chest.shown, 0, 1) for chest in chests(24, truth="normal")], axis=0)
    lung, middle, belly, air = mean[30:45, 18:30].mean(), mean[20:80, 45:51].mean(), mean[85:94, 30:66].mean(), mean[70:90, 1:4].mean()
    assert air < 0.1 < lung < 0.5 < middle
    assert belly > 0.6
    assert mean[50:60, 55:65].mean() > mean[50:60, 31:41].mean() + 0.1
    assert mean[40:50, 62:74].mean() < middle - 0.2


def test_hospitals_differ_in_noise_borders_and_shape() -> None:
    a, b = chests(8, hospital="a"), chests(8, hospital="b")
    assert a[0].shown.shape == (96, 96)
    assert b[0].shown.shape == (96, 83)

    def roughness(taken: list[Radiograph]) -> float:
        return float(np.mean([np.abs(np.diff(one.shown[80:92, 30:60], axis=1)).mean() for one in taken]))

    def border(taken: list[Radiograph]) -> float:
        return float(np.mean([(np.clip(one.shown, 0, 1) == 0).all(axis=1).sum() for one in taken]))

    assert roughness(b) > 1.3 * roughness(a)
    assert border(b) > border(a) + 2
    assert {one.device.name for one in chests(40, hospital="b")} == {"b1", "b2", "b3", "b4"}


def test_every_picture_has_black_and_white() -> None:
    """So that devices without a window show the same greys as those with one."""
    for hospital in "ab":
        for one in chests(20, hospital=hospital):
            assert one.shown.min() <= 0
            assert one.shown.max() >= 1


@pytest.mark.parametrize("diagnosis", LESION_CLASSES)
def test_a_lesion_differs_from_skin_inside_its_place(diagnosis: str) -> None:
    for hospital in "ab":
        for photo in lesions(diagnosis, 3, hospital=hospital):
            radius2 = photo.place.radius2(photo.pixels.shape)
            skin = photo.pixels[(radius2 > 1.5) & (radius2 < 2.2)].astype(float)
            off_skin = np.abs(photo.pixels[radius2 < 0.7] - skin.mean(axis=0))
            assert off_skin.mean() > 1.5 * np.abs(skin - skin.mean(axis=0)).mean()


def test_melanomas_are_asymmetric_jagged_and_many_coloured() -> None:
    melanomas, nevi = ([photo.look for photo in lesions(name, 8)] for name in ("melanoma", "nevus"))
    for trait in ("asymmetry", "border", "variegation"):
        assert min(getattr(look, trait) for look in melanomas) > max(getattr(look, trait) for look in nevi), trait
    spread = []
    for name in ("melanoma", "nevus"):
        inside = [photo.pixels[photo.place.radius2(photo.pixels.shape) < 0.6] for photo in lesions(name, 8)]
        spread.append(np.mean([pixels.std(axis=0).mean() for pixels in inside]))
    assert spread[0] > 1.3 * spread[1]


def test_contrast_draws_the_looks_together() -> None:
    for name in ("asymmetry", "first", "dot"):
        assert getattr(look_of("melanoma", 1.0), name) == pytest.approx(getattr(LOOKS["melanoma"], name))
    distances = [abs(look_of("melanoma", contrast).border - look_of("nevus", contrast).border) for contrast in (0.001, 0.3, 1.0)]
    assert distances[0] < 0.01
    assert distances[1] == pytest.approx(0.3 * distances[2])


def test_images_of_one_lesion_show_the_same_lesion_in_other_poses() -> None:
    settings = PhantomSettings(kind="lesions", patients=20, images=2, size=96)
    taken: dict[str, list[Photograph]] = {}
    for case in draw_cases(settings):
        taken.setdefault(case.lesion, []).append(photograph(case, settings))
    pairs = [photos for photos in taken.values() if len(photos) == 2]
    assert len(pairs) > 3
    for first, second in pairs:
        assert first.look == second.look
        assert first.place.a == pytest.approx(second.place.a, rel=0.1)
        assert not np.array_equal(first.pixels, second.pixels)


def test_a_marker_is_burnt_in_and_changes_nothing_else() -> None:
    for kind, draw in (
        ("chest", lambda case, s: radiograph(case, s).shown),
        ("lesions", lambda case, s: photograph(case, s).pixels[..., 1]),
    ):
        plain, marked = (PhantomSettings(kind=kind, patients=12, size=96, faults=faults) for faults in ({}, {"marker": 1.0}))
        changed = 0
        for case, other in zip(draw_cases(plain), draw_cases(marked), strict=True):
            difference = draw(case, plain) != draw(other, marked)
            assert difference.any() == other.marker
            assert difference.mean() < 0.05
            changed += other.marker
        assert changed
