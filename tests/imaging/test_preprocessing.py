"""The MONAI pipeline: one picture in five containers becomes one tensor; shapes, ranges, fits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import PIL.Image
import pydicom
import pytest

from medtl.errors import ImageError
from medtl.imaging import preprocessing
from medtl.imaging.image import sixteen_bits
from medtl.imaging.reader import read_image
from medtl.imaging.settings import ImageSettings

SAME_SIZE = ImageSettings(size=60, channels=1)


def save_png(marker: np.ndarray, path: Path) -> Path:
    PIL.Image.fromarray(marker).save(path, format="PNG")
    return path


@pytest.fixture
def containers(marker: np.ndarray, tmp_path: Path, dicom: Callable[..., Path]) -> dict[str, Path]:
    """The same picture in every lossless container that medtl reads."""
    PIL.Image.fromarray(marker).save(tmp_path / "x.tif")
    PIL.Image.fromarray(np.stack([marker] * 3, axis=-1)).save(tmp_path / "rgb.png")
    PIL.Image.fromarray(marker.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    exif = PIL.Image.Exif()
    exif[274] = 6
    PIL.Image.fromarray(np.ascontiguousarray(np.rot90(marker))).save(tmp_path / "turned.png", exif=exif)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(marker.T)[:, :, None], affine), tmp_path / "x.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(marker.T[::-1, ::-1])[:, :, None], np.eye(4)), tmp_path / "ras.nii")
    np.savez(tmp_path / "x.npz", images=np.stack([255 - marker, marker]))
    return {
        "png": save_png(marker, tmp_path / "x.png"), "tiff": tmp_path / "x.tif", "rgb": tmp_path / "rgb.png", "deep": tmp_path / "deep.png",
        "turned": tmp_path / "turned.png", "nifti": tmp_path / "x.nii.gz", "ras": tmp_path / "ras.nii",
        "dicom": dicom(marker), "monochrome1": dicom(255 - marker, "m1.dcm", PhotometricInterpretation="MONOCHROME1"),
        "npz": tmp_path / "x.npz" / "images",
    }  # fmt: skip


def test_one_picture_in_every_container_is_one_tensor(marker: np.ndarray, containers: dict[str, Path]) -> None:
    expected = np.zeros((60, 60, 1), np.uint8)
    expected[10:50, :, 0] = marker
    hashes = set()
    for name, path in containers.items():
        pixels, measurement = preprocessing.preprocess(path, int(name == "npz"), SAME_SIZE)
        assert (pixels.dtype, pixels.flags.c_contiguous) == (np.uint8, True)
        np.testing.assert_array_equal(pixels, expected, err_msg=name)
        hashes.add(measurement["pixel_hash"])
    assert len(hashes) == 1


def test_any_monai_pipeline_can_use_the_reader(containers: dict[str, Path], marker: np.ndarray) -> None:
    from monai.transforms import Compose, LoadImaged, ScaleIntensityd

    from medtl.imaging.reader import MedtlReader

    with warnings.catch_warnings(action="ignore"):  # MONAI sets up all its readers and warns about what is not installed
        pipeline = Compose([LoadImaged("image", reader=MedtlReader, ensure_channel_first=True), ScaleIntensityd("image")])
        for path in (containers["monochrome1"], containers["npz"] / "1"):
            image = pipeline({"image": str(path)})["image"]
            np.testing.assert_allclose(np.asarray(image)[0], marker / 255, atol=1e-6)
            assert image.meta["receipt"]["sha256"]
        with pytest.raises(RuntimeError) as refusal:  # Compose wraps what a step raises
            pipeline({"image": str(containers["npz"])})
    assert isinstance(refusal.value.__cause__, ImageError)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["pad", "crop", "squeeze"])
@pytest.mark.parametrize("shape", [(40, 60), (600, 417), (28, 28), (1, 90), (512, 512, 3)])
def test_shapes(tmp_path: Path, shape: tuple[int, ...], fit: str, channels: int) -> None:
    stored = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = save_png(stored, tmp_path / "x.png")
    settings = ImageSettings(size=64, fit=fit, channels=channels)  # type: ignore[arg-type]
    pixels, measurement = preprocessing.preprocess(path, 0, settings)
    assert pixels.shape == (64, 64, channels)
    assert pixels.flags.c_contiguous
    assert (measurement["height"], measurement["width"]) == shape[:2]


def test_the_two_step_reduction_is_close_to_one_area_mean(tmp_path: Path) -> None:
    """Against block means computed by numpy: 8 x 8 blocks, reached in two steps."""
    smooth = np.add.outer(np.sin(np.arange(512) / 40), np.cos(np.arange(512) / 25))
    stored = ((smooth - smooth.min()) / np.ptp(smooth) * 255).astype(np.uint8)
    pixels, _ = preprocessing.preprocess(save_png(stored, tmp_path / "x.png"), 0, ImageSettings(size=64, channels=1))
    blocks = stored.reshape(64, 8, 64, 8).mean(axis=(1, 3))
    assert np.abs(pixels[..., 0] - blocks).max() <= 0.51


def test_percentiles_stretch(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(80, 121, (300, 300)).astype(np.uint8)
    stored[0, :20], stored[1, :20] = 0, 255
    pixels, _ = preprocessing.preprocess(
        save_png(stored, tmp_path / "x.png"), 0, ImageSettings(size=300, channels=1, intensity="percentile")
    )
    low, high = np.percentile(stored, [0.5, 99.5])
    expected = np.clip((stored - low) / (high - low), 0, 1) * 255
    assert np.abs(pixels[..., 0] - expected).max() <= 0.51


def test_colour_becomes_luminance(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    pixels, _ = preprocessing.preprocess(save_png(stored, tmp_path / "x.png"), 0, ImageSettings(size=32, channels=1))
    assert np.abs(pixels[..., 0] - stored @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_constant_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as refusal:
        preprocessing.preprocess(save_png(np.full((30, 30), 9, np.uint8), tmp_path / "x.png"), 0, SAME_SIZE)
    assert refusal.value.code == "CONSTANT"


@pytest.fixture
def radiographs(tmp_path: Path, dicom: Callable[..., Path]) -> dict[str, Path]:
    """One smooth picture of 900 x 700 with a little noise, in the containers that can be decoded at less than full size, and as it is."""
    import cv2
    import imagecodecs
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    rng = np.random.default_rng(0)
    picture = cv2.resize(rng.random((9, 7)), (700, 900), interpolation=cv2.INTER_CUBIC) * 3500 + rng.normal(300, 8, (900, 700))
    stored = picture.clip(0, 4095).astype(np.uint16)
    header = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096}
    stream = imagecodecs.jpeg2k_encode(stored, level=0, codecformat="j2k", bitspersample=12, reversible=True)
    wavelets = dicom(stored, "j2k.dcm", **header, PixelData=encapsulate([stream]))
    dataset = pydicom.dcmread(wavelets)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset["PixelData"].VR = "OB"
    dataset.save_as(wavelets)
    exif = PIL.Image.Exif()
    exif[274] = 6
    PIL.Image.fromarray(np.rot90((stored >> 4).astype(np.uint8))).save(tmp_path / "x.jpg", quality=95, exif=exif)
    return {"plain": dicom(stored, **header), "JPEG 2000": wavelets, "JPEG": tmp_path / "x.jpg"}


def test_reduced_decoding_is_near_and_says_the_full_size(radiographs: dict[str, Path]) -> None:
    exact = ImageSettings(size=64, channels=1)
    reduced = exact.model_copy(update={"decode": "reduced"})
    for name, path in radiographs.items():
        whole, measured = preprocessing.preprocess(path, 0, exact)
        part, about = preprocessing.preprocess(path, 0, reduced)
        difference = np.abs(whole.astype(int) - part) / 255
        assert (about["height"], about["width"]) == (900, 700), name
        assert difference.mean() < 0.004, name
        assert difference.max() < 0.03, name
        assert (about["pixel_hash"] == measured["pixel_hash"]) == (name == "plain")
        assert abs(float(str(about["brightness"])) - float(str(measured["brightness"]))) < 0.005


def test_the_image_for_the_eye_is_of_the_same_decoding_where_that_shows_enough(
    radiographs: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reduced, decoded = ImageSettings(size=64, channels=1, decode="reduced"), []
    read = preprocessing.read_location
    monkeypatch.setattr(preprocessing, "read_location", lambda *given: (decoded.append(given[3]), read(*given))[1])
    for name, times in {"plain": (1, 1), "JPEG 2000": (1, 2), "JPEG": (1, 2)}.items():
        expected, _ = preprocessing.preprocess(radiographs[name], 0, reduced)
        for longest, count in zip((200, 800), times, strict=True):
            decoded.clear()
            pixels, _, seen = preprocessing.preprocess_and_view(radiographs[name], 0, reduced, longest)
            assert len(decoded) == count, (name, longest)
            assert np.array_equal(pixels, expected), "the network's input does not depend on the picture's size"
            assert max(seen.words.shape) == longest


def test_the_pipeline_of_monai_gives_the_same_bytes(radiographs: dict[str, Path], containers: dict[str, Path]) -> None:
    from medtl.imaging.monai_reader import pipeline

    for settings in (ImageSettings(size=64), ImageSettings(size=48, channels=1, fit="crop", intensity="percentile", decode="reduced")):
        for path in (*radiographs.values(), containers["rgb"], containers["turned"], containers["monochrome1"]):
            np.testing.assert_array_equal(pipeline(settings)(str(path)), preprocessing.preprocess(path, 0, settings)[0])


def test_looked_up_pixels_are_their_sixteen_bits(containers: dict[str, Path]) -> None:
    for name in ("dicom", "monochrome1", "png", "deep", "tiff"):
        image = read_image(containers[name])
        np.testing.assert_array_equal(image.sixteen_bits, sixteen_bits(image.pixels[0]), err_msg=name)
        assert image.size == image.pixels.shape[1:] == (40, 60)
