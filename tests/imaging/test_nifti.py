"""NIfTI pictures come out as the same picture does from PNG, whatever their orientation on disk."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from medtl.errors import ImageError
from medtl.imaging.preprocessing import preprocess
from medtl.imaging.reader import read_image
from medtl.imaging.settings import ImageSettings, Volume

AXIAL = np.array([[-2.0, 0, 0, 5], [0, -3, 0, 6], [0, 0, 1, 7], [0, 0, 0, 1]])
"""First axis to the patient's left, second to the back: columns and rows of an axial picture; 2 mm and 3 mm."""
ALL_ORIENTATIONS = [
    "".join(letters) for axes in itertools.permutations(["LR", "PA", "IS"]) for letters in itertools.product(*axes)
]  # fmt: skip


def axial(picture: np.ndarray) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image(np.ascontiguousarray(picture.swapaxes(0, 1))[:, :, None], AXIAL)


@pytest.mark.parametrize("codes", ALL_ORIENTATIONS)
def test_every_stored_orientation_shows_the_same_picture(marker: np.ndarray, tmp_path: Path, codes: str) -> None:
    image = axial(marker)
    turned = image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(codes)))
    nibabel.save(turned, tmp_path / "x.nii")
    read = read_image(tmp_path / "x.nii")
    np.testing.assert_allclose(read.pixels[0], marker / 255, atol=1e-6)
    assert read.receipt.facts.spacing == pytest.approx((3, 2))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_planes_as_radiologists_see_them(marker: np.ndarray, tmp_path: Path, plane: str) -> None:
    """Columns and rows of the display run to: left and back, left and feet, back and feet."""
    left, back, feet = (np.eye(4)[axis] * -1 for axis in range(3))
    columns, rows = {"axial": (left, back), "coronal": (left, feet), "sagittal": (back, feet)}[plane]
    through = np.cross(columns[:3], rows[:3])
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = columns[:3], rows[:3], through
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(marker.T)[:, :, None], affine), tmp_path / "x.nii.gz")
    np.testing.assert_allclose(read_image(tmp_path / "x.nii.gz").pixels[0], marker / 255, atol=1e-6)


def test_shapes_and_colours(marker: np.ndarray, tmp_path: Path) -> None:
    flat = np.ascontiguousarray(marker.T)
    colour = np.stack([flat, 255 - flat, flat // 2], axis=-1)
    expected = colour.transpose(2, 1, 0) / 255
    rgb24 = colour.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    files = {
        "plane": (flat, marker[None] / 255), "singleton": (flat[:, :, None], marker[None] / 255), "last": (colour, expected),
        "vector": (colour[:, :, None, None, :], expected), "fourth": (colour[:, :, None, :], expected),
        "rgb24": (rgb24[:, :, None], expected),
    }  # fmt: skip
    for name, (stored, wanted) in files.items():
        nibabel.save(nibabel.Nifti1Image(stored, AXIAL), tmp_path / f"{name}.nii")
        np.testing.assert_allclose(read_image(tmp_path / f"{name}.nii").pixels, wanted, atol=1e-6, err_msg=name)


def test_slope_and_display_range(tmp_path: Path, marker: np.ndarray) -> None:
    image = nibabel.Nifti1Image(marker.T[:, :, None].astype(np.int16), AXIAL)
    image.header.set_slope_inter(2.0, -100.0)
    nibabel.save(image, tmp_path / "x.nii")
    read = read_image(tmp_path / "x.nii")
    values = nibabel.load(tmp_path / "x.nii").get_fdata()[..., 0].T
    np.testing.assert_allclose(read.pixels[0], (values - values.min()) / np.ptp(values), atol=1e-6)
    image.header["cal_min"], image.header["cal_max"] = 0, 200
    nibabel.save(image, tmp_path / "x.nii")
    np.testing.assert_allclose(read_image(tmp_path / "x.nii").pixels[0], np.clip(values / 200, 0, 1), atol=1e-6)


def test_a_slice_of_a_volume_is_asked_for(tmp_path: Path, marker: np.ndarray) -> None:
    volume = np.stack([marker.T, 255 - marker.T], axis=-1)
    nibabel.save(nibabel.Nifti1Image(volume, AXIAL), tmp_path / "x.nii.gz")
    assert code_of(tmp_path / "x.nii.gz") == "MULTI_FRAME"
    np.testing.assert_allclose(read_image(tmp_path / "x.nii.gz", 1).pixels[0], 1 - marker / 255, atol=1e-6)
    assert code_of(tmp_path / "x.nii.gz", frame=2) == "MULTI_FRAME"


def code_of(path: Path, **options: Any) -> str:
    with pytest.raises(ImageError) as refusal:
        read_image(path, **options)
    return refusal.value.code


def test_refusals(tmp_path: Path, marker: np.ndarray) -> None:
    path = tmp_path / "x.nii"
    broken = marker.T[:, :, None].astype(np.float32)
    broken[3, 3] = np.nan
    nibabel.save(nibabel.Nifti1Image(broken, AXIAL), path)
    assert code_of(path) == "NOT_FINITE"
    nibabel.save(nibabel.Nifti1Image(broken.astype(np.complex64), AXIAL), path)
    assert code_of(path) == "UNSUPPORTED"
    nibabel.save(axial(marker), path)
    whole = path.read_bytes()
    assert code_of(path, largest_pixels=2399) == "TOO_LARGE"
    path.write_bytes(whole[:-100])
    assert code_of(path) == "DECODE_FAILED"
    path.write_bytes(whole[:42] + np.array([30000, 30000], "<i2").tobytes() + whole[46:])
    assert code_of(path) == "TOO_LARGE"
    path.write_bytes(whole[:108] + np.array([1e12], "<f4").tobytes() + whole[112:])
    assert code_of(path) == "BAD_HEADER"
    path.write_bytes(gzip.compress(whole)[:-6])
    assert code_of(path) == "DECODE_FAILED"


def test_real_volumes_are_told_from_pictures(shared: Callable[[str], Path]) -> None:
    folder = shared("data/nifti")
    for path in folder.iterdir():
        assert code_of(path) == "MULTI_FRAME"
    pixels = read_image(folder / "example_ct.nii.gz", 50).pixels[0]
    assert pixels[:, :40].mean() > 0
    assert pixels[-15:].mean() > pixels[:5].mean()  # the table that the patient lies on is at the bottom


PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}


def body() -> np.ndarray:
    """(5, 6, 7) along left, back, feet: every slice of every plane differs."""
    return np.random.default_rng(0).integers(0, 2000, (5, 6, 7)).astype(np.int16)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("codes", ALL_ORIENTATIONS[::5])
def test_slices_of_a_plane_are_counted_alike_however_stored(tmp_path: Path, plane: str, codes: str) -> None:
    image = nibabel.Nifti1Image(body(), np.diag([-2.0, -3.0, -4.0, 1.0]))
    image.header["cal_max"] = 2000
    nibabel.save(image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(codes))), tmp_path / "x.nii")
    read = read_image(tmp_path / "x.nii", 1, volume=Volume(plane=plane))
    np.testing.assert_allclose(read.pixels[0], body().take(1, axis=PLANES[plane]).T / 2000, atol=1e-6)
    assert read.receipt.facts.spacing == pytest.approx({"axial": (3, 2), "coronal": (4, 2), "sagittal": (4, 3)}[plane])
    with pytest.raises(ImageError, match=f"{plane} slice 9"):
        read_image(tmp_path / "x.nii", 9, volume=Volume(plane=plane))


@pytest.mark.parametrize("plane", PLANES)
def test_projections(tmp_path: Path, plane: str) -> None:
    image = nibabel.Nifti1Image(body(), np.diag([-2.0, -3.0, -4.0, 1.0]))
    image.header.set_slope_inter(-0.5, 100)  # larger stored values are darker
    nibabel.save(image, tmp_path / "x.nii.gz")
    values = nibabel.load(tmp_path / "x.nii.gz").get_fdata()
    axis = PLANES[plane]
    count = values.shape[axis]
    for show, expected in {"mean": values.mean(axis), "maximum": values.max(axis), "middle": values.take(count // 2, axis)}.items():
        read = read_image(tmp_path / "x.nii.gz", volume=Volume(show=show, plane=plane))
        np.testing.assert_allclose(read.pixels[0], ((expected - expected.min()) / np.ptp(expected)).T, atol=1e-5)
        assert read.receipt.notes == (f"the {show} of {count} {plane} slices",)
    named = read_image(tmp_path / "x.nii.gz", 0, volume=Volume(show="mean", plane=plane))  # a named slice goes first
    first = values.take(0, axis)
    np.testing.assert_allclose(named.pixels[0], ((first - first.min()) / np.ptp(first)).T, atol=1e-5)


def test_the_setting_reaches_the_network_input(tmp_path: Path) -> None:
    """Training, prediction and the page all go through `preprocess`."""
    nibabel.save(nibabel.Nifti1Image(body(), np.diag([-1.0, -1.0, -1.0, 1.0])), tmp_path / "x.nii")
    with pytest.raises(ImageError, match=r"volume of 7 slices.*image\.volume"):
        preprocess(tmp_path / "x.nii", 0, ImageSettings(size=16))
    projected = ImageSettings(size=16, fit="squeeze", channels=1, volume=Volume(show="mean", plane="coronal"))
    mean = body().mean(axis=1).T
    expected = cv2.resize(((mean - mean.min()) / np.ptp(mean)).astype(np.float32), (16, 16), interpolation=cv2.INTER_LINEAR)
    pixels, measurement = preprocess(tmp_path / "x.nii", 0, projected)
    np.testing.assert_allclose(pixels[..., 0], 255 * expected, atol=0.51)
    assert (measurement["height"], measurement["width"]) == (7, 5)
    asked, _ = preprocess(tmp_path / "x.nii", 3, projected)  # the table's `frame` goes first
    assert not np.array_equal(asked, pixels)


def test_eight_bits_have_the_range_of_their_type_whatever_their_slope(tmp_path: Path, marker: np.ndarray) -> None:
    dark = (marker // 2).astype(np.uint8)
    for slope, intercept, expected in ((1, 0, dark / 255), (0.1, -7, dark / 255), (-1, 255, 1 - dark / 255), (np.nan, 0, dark / 255)):
        image = nibabel.Nifti1Image(dark.T, AXIAL)
        image.header["scl_slope"], image.header["scl_inter"] = slope, intercept
        data = image.header.binaryblock + b"\0" * 4 + np.asfortranarray(dark.T).tobytes(order="F")
        (tmp_path / "x.nii").write_bytes(bytes_with_scaling(data, slope, intercept))
        np.testing.assert_allclose(read_image(tmp_path / "x.nii").pixels[0], expected, atol=1e-6, err_msg=str(slope))


def bytes_with_scaling(data: bytes, slope: float, intercept: float) -> bytes:
    """nibabel clears scl_slope, scl_inter and vox_offset in headers of images in memory."""
    return data[:108] + np.array([352, slope, intercept], "<f4").tobytes() + data[120:]


def test_a_declared_display_range_goes_first(tmp_path: Path, marker: np.ndarray) -> None:
    image = nibabel.Nifti1Image(marker.T, AXIAL)
    image.header["cal_min"], image.header["cal_max"] = 50, 150
    nibabel.save(image, tmp_path / "x.nii")
    read = read_image(tmp_path / "x.nii")
    np.testing.assert_allclose(read.pixels[0], np.clip((marker - 50.0) / 100, 0, 1), atol=1e-6)
    assert "cal_min" in read.receipt.intensity


def test_alpha_becomes_black_and_three_planes_are_noted(tmp_path: Path, marker: np.ndarray) -> None:
    flat = np.ascontiguousarray(marker.T)
    rgba = np.stack([flat, flat, 255 - flat, np.where(flat > 100, 255, 0).astype(np.uint8)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(rgba.view([(name, "u1") for name in "RGBA"])[..., 0], AXIAL), tmp_path / "x.nii")
    read = read_image(tmp_path / "x.nii")
    np.testing.assert_allclose(read.pixels, (rgba[..., :3] * (rgba[..., 3:] / 255) / 255).transpose(2, 1, 0), atol=1e-6)
    assert read.receipt.notes == ("transparent parts became black",)
    nibabel.save(nibabel.Nifti1Image(rgba[..., :3].copy(), AXIAL), tmp_path / "x.nii")
    assert "three 8-bit planes" in read_image(tmp_path / "x.nii").receipt.notes[0]
    narrow = np.ascontiguousarray(flat[:, :3])  # a picture of three rows is no colour
    nibabel.save(nibabel.Nifti1Image(narrow, AXIAL), tmp_path / "x.nii")
    np.testing.assert_allclose(read_image(tmp_path / "x.nii").pixels[0], narrow.T / 255, atol=1e-6)


def test_spacing_is_in_millimetres(tmp_path: Path, marker: np.ndarray) -> None:
    for unit, expected in (("mm", (3, 2)), ("micron", (0.003, 0.002)), ("meter", (3000, 2000)), ("unknown", (3, 2))):
        image = axial(marker)
        image.header.set_xyzt_units(unit)
        nibabel.save(image, tmp_path / "x.nii")
        assert read_image(tmp_path / "x.nii").receipt.facts.spacing == pytest.approx(expected)


def test_a_series_of_volumes_and_a_nan_elsewhere(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 2), np.int16), AXIAL), tmp_path / "x.nii")
    with pytest.raises(ImageError, match="4 dimensions"):
        read_image(tmp_path / "x.nii", 0, volume=Volume(show="mean"))
    broken = body().astype(np.float32)
    broken[0, 0, 6] = np.nan
    nibabel.save(nibabel.Nifti1Image(broken, AXIAL), tmp_path / "x.nii")
    assert np.isfinite(read_image(tmp_path / "x.nii", 0).pixels).all()
    assert code_of(tmp_path / "x.nii", frame=6) == "NOT_FINITE"
    assert code_of(tmp_path / "x.nii", volume=Volume(show="maximum")) == "NOT_FINITE"


def test_a_real_ct_is_projected_like_a_radiograph(shared: Callable[[str], Path]) -> None:
    path = shared("data/nifti") / "example_ct.nii.gz"
    scan = nibabel.as_closest_canonical(nibabel.load(path))
    expected = np.flipud(np.fliplr(scan.get_fdata().mean(axis=1).T))  # right-to-left, feet-to-head → left on the right, feet down
    pixels = read_image(path, volume=Volume(show="mean", plane="coronal")).pixels[0]
    np.testing.assert_allclose(pixels, (expected - expected.min()) / np.ptp(expected), atol=1e-5)
