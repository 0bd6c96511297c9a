"""Compressed DICOM: every family against its original, against pydicom's own decoders, and when it lies or ends early."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.processing import convert_color_space

from medtl.errors import ImageError
from medtl.imaging import decoders, dicom
from medtl.imaging.decoders import Header, decode
from medtl.imaging.dicom_frames import Stored, read_frame
from medtl.imaging.image import Encoded
from medtl.imaging.reader import read_image

Write = Callable[..., Path]
Encoder = Callable[[np.ndarray], bytes]


def run_lengths(stored: np.ndarray) -> bytes:
    """RLE Lossless: a PackBits segment per byte plane, most significant first, padded to even length."""
    samples = stored.reshape(*stored.shape[:2], -1)
    planes = [(samples[..., s] >> (8 * b)).astype("u1") for s in range(samples.shape[2]) for b in reversed(range(stored.dtype.itemsize))]
    segments = [bytes(imagecodecs.packbits_encode(plane.tobytes())) for plane in planes]
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    starts = np.cumsum([64, *map(len, segments)])[:-1]
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


LOSSLESS: dict[str, tuple[uid.UID, Encoder]] = {
    "rle": (uid.RLELossless, run_lengths),
    "jpeg-ls": (uid.JPEGLSLossless, lambda a: imagecodecs.jpegls_encode(a)),
    "jpeg-2000": (uid.JPEG2000Lossless, lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=True, level=0, resolutions=4)),
    "htj2k": (uid.HTJ2KLossless, lambda a: imagecodecs.htj2k_encode(a, resolutions=4)),
    "jpeg-lossless": (uid.JPEGLosslessSV1, lambda a: imagecodecs.jpeg8_encode(a, lossless=True, bitspersample=8 * a.dtype.itemsize)),
    "jpeg-lossless-7": (uid.JPEGLossless, lambda a: imagecodecs.jpeg8_encode(a, lossless=True, predictor=7, bitspersample=8 * a.itemsize)),
}


@pytest.fixture
def compressed(dicom: Write) -> Write:
    """Writes an array compressed by `encode`, with the header that fits."""

    def write(stored: np.ndarray, syntax: uid.UID, encode: Encoder, **elements: Any) -> Path:
        path = dicom(stored, **elements)
        dataset = pydicom.dcmread(path)
        dataset.PixelData = encapsulate([bytes(encode(stored))])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


def ramp(bits: int, seed: int = 1) -> np.ndarray:
    """uint8 or uint16 (37, 50): smooth with noise, holds 0 and the largest value."""
    rows, columns = np.mgrid[0:37, 0:50]
    picture = (rows / 36 + columns / 49) / 2 + np.random.default_rng(seed).normal(0, 0.01, rows.shape)
    values = np.clip(np.rint(picture * (2**bits - 1)), 0, 2**bits - 1).astype("u1" if bits <= 8 else "u2")
    values.flat[:2] = 0, 2**bits - 1
    return values


@pytest.mark.parametrize("family", LOSSLESS)
def test_the_marker_comes_out_upright_and_exact(marker: np.ndarray, compressed: Write, family: str) -> None:
    np.testing.assert_allclose(read_image(compressed(marker, *LOSSLESS[family])).pixels[0], marker / 255, atol=1e-6)


@pytest.mark.parametrize("bits", [10, 12, 15, 16])
@pytest.mark.parametrize("family", LOSSLESS)
def test_lossless_of_many_bits_is_exact(compressed: Write, family: str, bits: int) -> None:
    stored = ramp(bits)
    path = compressed(stored, *LOSSLESS[family], BitsStored=bits, HighBit=bits - 1, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_allclose(read_image(path).pixels[0], 1 - stored / (2**bits - 1), atol=1e-6)


@pytest.mark.parametrize("family", ["rle", "jpeg-ls", "jpeg-lossless", "jpeg-2000", "htj2k"])
def test_signed_values_keep_their_sign(compressed: Write, family: str) -> None:
    stored = ramp(12).astype("i2") - 2048
    syntax, encode = LOSSLESS[family]
    as_written = stored if family in ("jpeg-2000", "htj2k") else stored.view("u2")  # only JPEG 2000 knows signs itself
    if family in ("rle", "jpeg-lossless"):
        as_written = as_written & 0x0FFF  # unused bits may hold anything; JPEG-LS codes them as bits that count
    path = compressed(as_written, syntax, encode, BitsStored=12, HighBit=11, PixelRepresentation=1, WindowCenter=0, WindowWidth=4096)
    np.testing.assert_allclose(read_image(path).pixels[0], np.clip((stored + 0.5) / 4095 + 0.5, 0, 1), atol=1e-6)


@pytest.mark.parametrize("signed", [False, True])
def test_left_justified_run_lengths(compressed: Write, signed: bool) -> None:
    stored = ramp(12).astype("i2") - 2048 * signed
    window = {"WindowCenter": 0 if signed else 2048, "WindowWidth": 4096, "PixelRepresentation": int(signed)}
    path = compressed(stored.view("u2") << 4, *LOSSLESS["rle"], BitsStored=12, HighBit=15, **window)
    np.testing.assert_allclose(read_image(path).pixels[0], (stored + 2048.0 * signed) / 4095, atol=1e-6)


def test_lossy_syntaxes_stay_near(compressed: Write) -> None:
    stored = ramp(12)
    near = {
        uid.JPEGLSNearLossless: lambda a: imagecodecs.jpegls_encode(a, level=3),
        uid.JPEGExtended12Bit: lambda a: imagecodecs.jpeg8_encode(a, level=98, bitspersample=12),
        uid.JPEG2000: lambda a: imagecodecs.jpeg2k_encode(a, codecformat="j2k", reversible=False, level=85),
        uid.HTJ2K: lambda a: imagecodecs.htj2k_encode(a, level=0.0005),
    }
    for syntax, encode in near.items():
        image = read_image(compressed(stored, syntax, encode, BitsStored=12, HighBit=11, WindowCenter=2048, WindowWidth=4096))
        difference = np.abs(image.pixels[0] - stored / 4095)
        assert 0 < difference.max() < 0.03, syntax.name
        assert image.receipt.encoding == syntax.name


def test_lossy_overshoot_stays_white(compressed: Write) -> None:
    """Ten bits in a JPEG of twelve: the decoder may give 1025, which masking would turn black."""
    stored = np.full((32, 32), 1023, "u2")
    stored[8:20, 8:20] = 0
    path = compressed(stored, uid.JPEGExtended12Bit, lambda a: imagecodecs.jpeg8_encode(a, level=60, bitspersample=12),
                      BitsStored=10, HighBit=9, WindowCenter=512, WindowWidth=1024)  # fmt: skip
    stream = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    assert imagecodecs.jpeg8_decode(stream).max() > 1023
    assert read_image(path).pixels[0, 24:].min() > 0.9


@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("family", ["jpeg", "jpeg-ls", "jpeg-2000"])
@pytest.mark.parametrize("colour", [False, True])
def test_a_codestream_that_is_called_uncompressed_is_no_picture(dicom: Write, family: str, wrapped: bool, colour: bool) -> None:
    """There are bytes enough for all pixels, as there are of noise, so that the length alone tells nothing."""
    noise = np.random.default_rng(0).integers(0, 64, (64, 64, 3) if colour else (64, 64)).astype("u1")
    encode = LOSSLESS[family][1] if family in LOSSLESS else lambda a: imagecodecs.jpeg8_encode(a, level=100)
    stream = bytes(encode(noise)) + bytes(2 * noise.size)
    path = dicom(noise, PixelData=encapsulate([stream]) if wrapped else stream)
    with pytest.raises(ImageError, match="says that the pixel data are uncompressed, but they begin like compressed ones") as refusal:
        read_image(path)
    assert refusal.value.code == "DECODE_FAILED"


def test_pixels_that_begin_like_a_codestream_are_pixels(dicom: Write) -> None:
    stored = np.arange(15, dtype="u1").reshape(3, 5)[::-1].copy()
    stored[0, :4] = 0xFF, 0xD8, 0xFF, 0xE0
    assert len(stored.tobytes()) % 2 == 1
    np.testing.assert_allclose(read_image(dicom(stored)).pixels[0], stored / 255, atol=1e-6)


def stored_frame(path: Path, frame: int | None = None) -> Stored:
    """Stored values as the reader takes them, before the grey chain."""
    encoded = Encoded(path.name, path.read_bytes(), "", frame, 10**8)
    with dicom.quietly():
        dataset = dicom._open(encoded)
        number = dicom._check(dataset, encoded)
        dicom._complete(dataset, number)
        return read_frame(dataset, number, encoded)


@pytest.mark.parametrize(("largest", "count"), [(300_000, 21), pytest.param(3_000_000, 29, marks=pytest.mark.slow)])
def test_real_files_equal_pydicom(shared: Callable[[str], Path], largest: int, count: int) -> None:
    compared = 0
    for path in (file for file in shared("data/dicom").rglob("*") if file.is_file() and file.stat().st_size <= largest):
        with dicom.quietly():
            try:
                reference = pydicom.dcmread(path, force=True).pixel_array
            except Exception:
                continue
        if path.name == "rtdose.dcm":
            continue
        several = path.name == "emri_small_RLE.dcm"
        values = stored_frame(path, 7 if several else None).values()
        np.testing.assert_array_equal(values, reference[7] if several else reference, path.name)
        compared += 1
    assert compared == count


def test_real_jpeg_lossless_equals_another_implementation(shared: Callable[[str], Path]) -> None:
    for name in ("JPEG-LL.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm", "bad_sequence.dcm"):
        path = shared("data/dicom/transfer_syntaxes") / name
        stream = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
        np.testing.assert_array_equal(stored_frame(path).values(), imagecodecs.jpegsof3_decode(stream))


def test_real_jpeg_of_12_bits_is_near_its_lossless_twin(shared: Callable[[str], Path]) -> None:
    """No other decoder at hand reads these two files, but the same pictures lie beside them in lossless form."""
    folder = shared("data/dicom")
    for lossy, exact, most in [
        ("radiograph_other/RG3_JPLY", "radiograph_other/RG3_JLSL", 4.0),
        ("transfer_syntaxes/JPEG-lossy.dcm", "transfer_syntaxes/JPEG-LL.dcm", 3.0),
    ]:
        difference = stored_frame(folder / lossy).values() - stored_frame(folder / exact).values().astype(float)
        assert 0 < np.abs(difference).mean() < most
        assert abs(difference.mean()) < 1


COLOUR: dict[str, tuple[uid.UID, Encoder, str]] = {
    "rle": (uid.RLELossless, run_lengths, "RGB"),
    "jpeg-ls": (uid.JPEGLSLossless, lambda a: imagecodecs.jpegls_encode(a), "RGB"),
    "jpeg-2000": (uid.JPEG2000Lossless, LOSSLESS["jpeg-2000"][1], "YBR_RCT"),
    "htj2k": (uid.HTJ2KLossless, lambda a: imagecodecs.htj2k_encode(a, rgb=True), "YBR_RCT"),
    "jpeg-lossless": (
        uid.JPEGLosslessSV1,
        lambda a: imagecodecs.jpeg8_encode(a, lossless=True, colorspace="RGB", outcolorspace="RGB"),
        "RGB",
    ),
}


@pytest.mark.parametrize("family", COLOUR)
def test_colour_is_exact(marker: np.ndarray, compressed: Write, family: str) -> None:
    colour = np.ascontiguousarray(np.stack([marker, 255 - marker, marker // 2], axis=-1))
    syntax, encode, photometric = COLOUR[family]
    path = compressed(colour, syntax, encode, PhotometricInterpretation=photometric)
    np.testing.assert_allclose(read_image(path).pixels, colour.transpose(2, 0, 1) / 255, atol=1e-6)


@pytest.mark.parametrize(("coded", "photometric"), [("RGB", "RGB"), ("YCBCR", "YBR_FULL_422"), ("YCBCR", "RGB"), ("RGB", "YBR_FULL")])
def test_colours_of_jpeg_are_what_the_codestream_says(marker: np.ndarray, compressed: Write, coded: str, photometric: str) -> None:
    """Files exist whose header and codestream disagree; the codestream's own markers were written by whoever coded the colours."""
    colour = np.ascontiguousarray(np.stack([np.roll(marker, 7, 1) // 3 * 2, 200 - marker // 2, marker // 2 + 30], axis=-1))
    path = compressed(colour, uid.JPEGBaseline8Bit, lambda a: imagecodecs.jpeg8_encode(a, level=98, outcolorspace=coded, subsampling="444"),
                      PhotometricInterpretation=photometric)  # fmt: skip
    difference = np.abs(read_image(path).pixels * 255 - colour.transpose(2, 0, 1))
    assert difference.mean() < 4


def test_uncompressed_ybr_and_planes(marker: np.ndarray, dicom: Write) -> None:
    colour = np.stack([marker, 255 - marker, marker // 2], axis=-1)
    planes = dicom(colour, PlanarConfiguration=1, PixelData=np.ascontiguousarray(colour.transpose(2, 0, 1)).tobytes())
    np.testing.assert_allclose(read_image(planes).pixels, colour.transpose(2, 0, 1) / 255, atol=1e-6)
    ybr = convert_color_space(colour, "RGB", "YBR_FULL")
    expected = convert_color_space(ybr, "YBR_FULL", "RGB")
    path = dicom(ybr, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(read_image(path).pixels, expected.transpose(2, 0, 1) / 255, atol=1e-6)


@pytest.mark.parametrize("family", LOSSLESS)
def test_a_lying_or_cut_codestream_is_refused(compressed: Write, family: str) -> None:
    stored = ramp(12)
    syntax, encode = LOSSLESS[family]
    lying = compressed(stored, syntax, encode, BitsStored=12, HighBit=11, Rows=50, Columns=37)
    stream = bytes(encode(stored))
    for path in (
        lying,
        *(compressed(stored, syntax, lambda _, end=end: stream[:end]) for end in (1, 30, 70, len(stream) // 2, len(stream) - 40)),
    ):
        if path == lying and family == "rle":
            continue  # run lengths hold no size of their own
        with pytest.raises(ImageError) as refusal:
            read_image(path)
        assert refusal.value.code == "DECODE_FAILED"
        assert "secret" not in str(refusal.value).lower()


@pytest.mark.parametrize("family", ["plain", "rle", "jpeg-ls", "jpeg-2000", "jpeg-lossless"])
def test_a_cut_file_is_never_half_an_image(dicom: Write, compressed: Write, family: str) -> None:
    stored = ramp(12)
    path = dicom(stored) if family == "plain" else compressed(stored, *LOSSLESS[family], BitsStored=12, HighBit=11)
    data, whole, codes = path.read_bytes(), read_image(path).pixels, []
    for part in range(50):
        path.write_bytes(data[: len(data) * part // 50])
        try:
            np.testing.assert_array_equal(read_image(path).pixels, whole)
        except ImageError as refusal:
            codes.append(refusal.code)
    assert len(codes) > 45
    assert {"BAD_HEADER", "DECODE_FAILED"} & set(codes[20:])
    assert set(codes[7:]) <= {"BAD_HEADER", "NO_PIXELS", "DECODE_FAILED"}


def test_several_threads_give_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = np.random.default_rng(0).integers(0, 4096, (300, 200), dtype=np.uint16)
    whole, taken = imagecodecs.jpeg2k_decode, []
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", lambda *given, **how: (taken.append(how["numthreads"]), whole(*given, **how))[1])
    monkeypatch.setattr(decoders, "_threads", 1)
    for count in (1, 3):
        decoders.use_threads(count)
        decoded = decode(LOSSLESS["jpeg-2000"][1](stored), uid.JPEG2000Lossless, Header(300, 200, 1, 16, 12))
        np.testing.assert_array_equal(decoded.words, stored)
    assert taken == [1, 3]


def test_a_codestream_that_claims_gigabytes_is_not_decoded() -> None:
    stream = bytes(LOSSLESS["jpeg-2000"][1](ramp(12)))
    bomb = stream.replace(struct.pack(">II", 50, 37), struct.pack(">II", 60000, 60000))
    assert bomb != stream
    with pytest.raises(Exception, match="another size"):
        decode(bomb, uid.JPEG2000Lossless, Header(37, 50, 1, 16, 12))


@pytest.mark.parametrize(("at", "value"), [(36, 0x4000), (24, 0), (28, 0), (32, 7)])
def test_tiles_that_lead_astray_are_not_decoded(at: int, value: int) -> None:
    """Bytes 24 to 40 of JPEG 2000 hold the tiles' size and offset; with the first of these, OpenJPH goes on for minutes."""
    stream = bytearray(imagecodecs.htj2k_encode(ramp(12)))
    stream[at : at + 4] = struct.pack(">I", value)
    with pytest.raises(Exception, match="tiles"):
        decode(bytes(stream), uid.HTJ2KLossless, Header(37, 50, 1, 16, 12))


def test_unknown_syntaxes_are_refused_without_repeating_them(marker: np.ndarray, dicom: Write) -> None:
    for syntax, named in ((uid.MPEG2MPML, True), (uid.UID("1.2.3.4"), False)):
        path = dicom(marker)
        data = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", str(syntax).encode().ljust(20, b"\0"))
        data = data if len(syntax) < 21 else path.read_bytes()
        if len(syntax) >= 21:
            dataset = pydicom.dcmread(path)
            dataset.PixelData = encapsulate([dataset.PixelData])
            dataset["PixelData"].VR, dataset.file_meta.TransferSyntaxUID = "OB", syntax
            dataset.save_as(path, enforce_file_format=True)
        else:
            path.write_bytes(data)
        with pytest.raises(ImageError, match="no decoder is known") as refusal:
            read_image(path)
        assert (syntax.name in str(refusal.value)) is named
