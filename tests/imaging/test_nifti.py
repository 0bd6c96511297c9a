"""NIfTI pictures come out as the same picture does from PNG, whatever their orientation on disk."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

from medtl.errors import ImageError
from medtl.imaging.reader import read_image

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


def code_of(path: Path, **options: int) -> str:
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
