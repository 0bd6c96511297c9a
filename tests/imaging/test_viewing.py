"""The image for the eye: the file's own values under the windows of its header, and first of all what the reader shows."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Picture
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medtl.imaging.decoding import decode_with_views
from medtl.imaging.reader import read_image
from medtl.imaging.settings import ImageSettings
from medtl.imaging.viewing import from_bytes, to_bytes, view

STORED = np.add.outer(np.arange(48) * 40, np.arange(64) * 5).astype(np.uint16)


def dicom(path: Path, stored: np.ndarray, **elements: object) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = CTImageStorage, generate_uid(), "CT"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_ct_is_in_hounsfield_units_with_the_windows_of_its_header(tmp_path):
    file = dicom(tmp_path / "ct", STORED, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=[40, -600], WindowWidth=[400, 1500])
    seen = view(read_image(file), 1024)
    small = seen.words[:: seen.words.shape[0] // 48, :: seen.words.shape[1] // 64]
    assert np.array_equal(seen.low + seen.step * small.astype(float), 2.0 * STORED - 1024)
    assert seen.unit == "HU"
    assert [(name, window.centre, window.width) for name, window in seen.windows[:4]] == [
        ("Window of the file", 40, 400), ("Window 2 of the file", -600, 1500), ("Lung", -600, 1500), ("Soft tissue", 40, 400),
    ]  # fmt: skip
    assert seen.windows[-1][0] == "Whole range"
    assert seen.windows[-1][1].width == 2.0 * (STORED.max() - STORED.min())


WINDOW = {"WindowCenter": 900, "WindowWidth": 700}


@pytest.mark.parametrize("elements", [{}, WINDOW, WINDOW | {"VOILUTFunction": "SIGMOID"}, {"PhotometricInterpretation": "MONOCHROME1"}])
@pytest.mark.parametrize("stored", [STORED, STORED.astype(np.int16) - 900])
def test_what_is_shown_first_is_what_the_reader_shows(tmp_path, stored, elements):
    image = read_image(dicom(tmp_path / "file", stored, **elements))
    seen = view(image, 1024)
    times = seen.words.shape[0] // 48
    assert np.abs(seen.as_read()[::times, ::times, 0] - 255 * image.pixels[0]).max() <= 0.51
    assert seen.inverted == (elements.get("PhotometricInterpretation") == "MONOCHROME1")


def test_sixteen_bits_of_a_picture_are_kept(tmp_path):
    Picture.fromarray(STORED).save(tmp_path / "deep.png")
    seen = view(read_image(tmp_path / "deep.png"), 1024)
    assert seen.words.dtype == np.uint16
    assert len(np.unique(seen.words)) == len(np.unique(STORED)) > 256
    assert (seen.low, seen.step, seen.unit) == (0, 1, "")


def test_colour_is_eight_bits_and_has_no_window(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "colour.png"), colours[..., ::-1])
    seen = view(read_image(tmp_path / "colour.png"), 1024)
    assert np.array_equal(seen.as_read(), colours)
    assert seen.windows == ()


def test_it_comes_out_of_the_decode_worker_beside_the_networks_input(tmp_path):
    large = cv2.resize(STORED, (1200, 900))
    Picture.fromarray(large).save(tmp_path / "large.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    items = [(tmp_path / "large.png", 0), (tmp_path / "none.png", 0)]
    found = {decoded[0]: (decoded, seen) for decoded, seen in decode_with_views(items, ImageSettings(size=64), 600)}
    (_, pixels, measurement), seen = found[0]
    assert pixels.shape == (64, 64, 3)
    assert measurement["width"] == 1200
    assert seen.words.shape == (450, 600)
    whole = view(read_image(tmp_path / "large.png"), 600)
    assert np.array_equal(seen.words, whole.words)
    assert seen.windows == whole.windows
    assert found[1][0][2]["quarantine"] == "NOT_AN_IMAGE"
    assert found[1][1] is None


def test_bytes_that_do_not_fit_together_are_refused(tmp_path):
    Picture.fromarray(STORED).save(tmp_path / "deep.png")
    header, contents = to_bytes(view(read_image(tmp_path / "deep.png"), 1024))
    assert from_bytes(header, contents).low == 0
    with pytest.raises(ValueError, match="reshape"):
        from_bytes(header, contents[:-2])
