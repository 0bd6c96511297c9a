"""Bombs, lies and cuts: refused with a code and a reason, quickly, before memory is taken."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import PIL.Image
import pydicom
import pytest
from pydicom.uid import CTImageStorage

from medtl.errors import ImageError, MedtlError
from medtl.imaging import unpacking
from medtl.imaging.decoding import decode_many
from medtl.imaging.inputs import gathered
from medtl.imaging.reader import read_image
from medtl.imaging.settings import ImageSettings

from .mutants import PIXEL_DATA, made

SEEDS = {each.name: each.data for each in made()}
SETTINGS = ImageSettings(size=32, channels=1, largest_pixels=4_000_000)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int) -> bytes:
    """A file of a few bytes that claims any size."""
    claim = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + claim + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def saved(kind: str) -> bytes:
    held = io.BytesIO()
    PIL.Image.fromarray(np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)).save(held, kind)
    return held.getvalue()


def claiming(name: str, **elements: object) -> bytes:
    """A DICOM file whose header says something else than its pixel data."""
    dataset = pydicom.dcmread(io.BytesIO(SEEDS[name]))
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    held = io.BytesIO()
    dataset.save_as(held)
    return held.getvalue()


def unnamed(name: str) -> bytes:
    """No pixels, and a person's name where the kind of object should stand."""
    data = SEEDS[name][: SEEDS[name].index(PIXEL_DATA)]
    return data.replace(CTImageStorage.encode() + b"\x00", b"Structured Report ZZCANARY")


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


def volume(shape: tuple[int, ...]) -> bytes:
    return nibabel.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), np.eye(4)).to_bytes()


def nifti_claiming(*sides: int) -> bytes:
    data = bytearray(volume((8, 8)))
    data[40:56] = struct.pack("<8h", len(sides), *sides, *[1] * (7 - len(sides)))
    return bytes(data)


def deep_sequences(depth: int) -> bytes:
    """Sequences within sequences, of undefined length."""
    inner = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    head = SEEDS["explicit"]
    return head[: head.index(b"\x10\x00\x10\x00PN")] + inner * depth


GREY = ("explicit", "run-lengths", "jpeg", "lossless", "jpeg-ls", "jpeg-2000", "htj2k")
LARGE = b"\x00\x00\xea\x60"
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "PNG of 144 Mpx": (lambda: png(12_000, 12_000), "TOO_LARGE"),
    "PNG of 196 Mpx": (lambda: png(14_000, 14_000), "TOO_LARGE"),
    "PNG of 4 Gpx": (lambda: png(65_535, 65_535), "TOO_LARGE"),
    "PNG of no width": (lambda: png(0, 10), "NOT_AN_IMAGE|DECODE_FAILED|BAD_HEADER"),
    "PNG whose pixels end early": (lambda: png(1000, 1000), "DECODE_FAILED"),
    "BMP of 900 Mpx": (lambda: saved("BMP")[:18] + struct.pack("<ii", 30_000, 30_000) + saved("BMP")[26:], "TOO_LARGE|NOT_AN_IMAGE"),
    "JPEG of 4 Gpx": (lambda: patched(saved("JPEG"), struct.pack(">HH", 48, 64), b"\xff\xfe\xff\xfe"), "TOO_LARGE"),
    "JPEG cut": (lambda: saved("JPEG")[:-200], "DECODE_FAILED"),
    "TIFF cut": (lambda: saved("TIFF")[:-500], "DECODE_FAILED|NOT_AN_IMAGE"),
    **{f"{name} of 4 Gpx": (lambda name=name: claiming(name, Rows=65_535, Columns=65_535), "TOO_LARGE") for name in GREY},
    **{f"{name} of a million frames": (lambda name=name: claiming(name, NumberOfFrames=1_000_000), "TOO_LARGE") for name in GREY},
    **{f"{name} larger than it is": (lambda name=name: claiming(name, Rows=1500, Columns=1500), "DECODE_FAILED") for name in GREY},
    "JPEG 2000 of 3.6 Gpx inside": (lambda: patched(SEEDS["jpeg-2000"], struct.pack(">II", 64, 48), LARGE * 2), "DECODE_FAILED"),
    "HTJ2K of 3.6 Gpx inside": (lambda: patched(SEEDS["htj2k"], struct.pack(">II", 64, 48), LARGE * 2), "DECODE_FAILED"),
    "JPEG-LS of 3.6 Gpx inside": (lambda: patched(SEEDS["jpeg-ls"], struct.pack(">HH", 48, 64), b"\xea\x60\xea\x60"), "DECODE_FAILED"),
    "JPEG of 3.6 Gpx inside": (lambda: patched(SEEDS["jpeg"], struct.pack(">HH", 48, 64), b"\xea\x60\xea\x60"), "DECODE_FAILED"),
    "a thousandfold deflated file": (lambda: deflated(bytes(80 << 20)), "TOO_LARGE"),
    "sequences 5000 deep": (lambda: deep_sequences(5000), "BAD_HEADER|NO_PIXELS"),
    "a name in place of a UID": (lambda: unnamed("explicit"), "NO_PIXELS"),
    "header alone": (lambda: SEEDS["explicit"][: SEEDS["explicit"].index(PIXEL_DATA)], "NO_PIXELS"),
    "preamble alone": (lambda: SEEDS["explicit"][:132], "NOT_AN_IMAGE|BAD_HEADER"),
    "no bytes": (lambda: b"", "NOT_AN_IMAGE"),
    "noise": (lambda: np.random.default_rng(0).bytes(5000), "NOT_AN_IMAGE"),
    "a zip called otherwise": (lambda: zipped({"a.dcm": b"x"}), "NOT_AN_IMAGE"),
    "NIfTI of 32767 cubed": (lambda: nifti_claiming(32767, 32767, 32767), "TOO_LARGE"),
    "NIfTI of negative sides": (lambda: nifti_claiming(-5, 8), "BAD_HEADER"),
    "NIfTI cut": (lambda: volume((60, 40))[:-900], "DECODE_FAILED"),
    "gzip of NIfTI that goes on": (lambda: gzip.compress(volume((60, 40)) + bytes(160 << 20), 1), "TOO_LARGE|DECODE_FAILED"),
    "gzip of NIfTI cut": (lambda: gzip.compress(volume((60, 40)))[:-30], "DECODE_FAILED|BAD_HEADER"),
}  # fmt: skip


def deflated(more: bytes) -> bytes:
    """A deflated DICOM file with an element of nothing that is as long as `more`."""
    packer = zlib.compressobj(wbits=-15)
    head = SEEDS["deflated"]
    start = head.index(b"\x02\x00\x10\x00UI") + 8
    start += struct.unpack("<H", head[start - 2 : start])[0]
    while head[start : start + 2] == b"\x02\x00":
        start += 8 + struct.unpack("<H", head[start + 6 : start + 8])[0]
    private = b"\x09\x00\x10\x10OB\x00\x00" + struct.pack("<I", len(more))
    return head[:start] + packer.compress(private + more) + packer.flush()


def zipped(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def test_every_bomb_lie_and_cut_is_refused_in_words(tmp_path: Path) -> None:
    items = []
    for number, (make, _) in enumerate(FILES.values()):
        (tmp_path / f"{number}").write_bytes(make())
        items.append((tmp_path / f"{number}", 0))
    answers = {list(FILES)[position]: (pixels, measured) for position, pixels, measured in decode_many(items, SETTINGS)}
    unexpected = {
        name: (measured["quarantine"], measured["reason"])
        for name, (pixels, measured) in answers.items()
        if pixels is not None or not re.fullmatch(FILES[name][1], str(measured["quarantine"]))
    }
    assert unexpected == {}
    for _, measured in answers.values():
        assert re.fullmatch(r"[^\n]{8,200}", str(measured["reason"]))
        assert not re.search(r"Traceback|ZZCANARY|line \d+|crashed|the decoder failed", str(measured["reason"]))


def test_a_cut_file_is_never_half_a_picture(tmp_path: Path) -> None:
    """Cut anywhere: refused, or, where only padding is missing, the same picture."""
    path = tmp_path / "cut.dcm"
    for name, data in SEEDS.items():
        path.write_bytes(data)
        whole = read_image(path).pixels
        for part in range(1, 50):
            path.write_bytes(data[: len(data) * part // 50])
            with contextlib.suppress(ImageError):
                np.testing.assert_array_equal(read_image(path).pixels, whole, err_msg=name)


def test_a_cut_codestream_in_a_whole_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    for name in ("jpeg", "lossless", "jpeg-ls", "jpeg-2000", "htj2k", "run-lengths"):
        dataset = pydicom.dcmread(io.BytesIO(SEEDS[name]))
        stream = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
        for share in (0.1, 0.5, 0.9, 0.97):
            dataset.PixelData = pydicom.encaps.encapsulate([stream[: int(len(stream) * share)]])
            dataset["PixelData"].is_undefined_length = True
            dataset.save_as(path)
            with pytest.raises(ImageError, match=r"\[DECODE_FAILED\]$"):
                read_image(path)


def test_pipes_and_files_beyond_all_measure_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.dcm")
    with (tmp_path / "large.dcm").open("wb") as file:
        file.truncate(1 << 40)
    answers = decode_many([(tmp_path / "pipe.dcm", 0), (tmp_path / "large.dcm", 0)], SETTINGS.model_copy(update={"timeout": 20.0}))
    assert {position: measured["quarantine"] for position, _, measured in answers} == {0: "NOT_FOUND", 1: "TOO_LARGE"}


def test_a_deflated_table_of_contents_is_not_expanded(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(deflated(bytes(1 << 20)))
    with (
        pytest.raises(MedtlError, match=r"DICOMDIR: no readable DICOMDIR \(ValueError\); give the folder instead"),
        gathered([tmp_path / "DICOMDIR"]),
    ):
        pass


def test_a_zip_of_good_and_bad_gives_a_row_for_each(tmp_path: Path) -> None:
    good, inner = SEEDS["explicit"], zipped({"a": b"x"})
    members = {"good.dcm": good, "../out.dcm": good, "inner.zip": inner, "renamed.dcm": inner, "bomb.dcm": bytes(64 << 20),
               "cut.dcm": good[:-700], "line\nbreak\x1b[2J.dcm": good}  # fmt: skip
    (tmp_path / "study.zip").write_bytes(zipped(members))
    with gathered([tmp_path]) as inputs:
        there = [each for each in inputs if each.file is not None]
        answers = decode_many([(each.path, 0) for each in there], SETTINGS)
        read = {there[position].image: measured["quarantine"] for position, _, measured in answers}
        refused = {each.image: each.reason for each in inputs if each.file is None}
    assert read == {"study.zip/good.dcm": "", "study.zip/cut.dcm": "DECODE_FAILED", "study.zip/(member 6)": ""}
    assert set(refused) == {"study.zip/(member 1)", "study.zip/inner.zip", "study.zip/renamed.dcm", "study.zip/bomb.dcm"}
    assert all(re.search(r"\[[A-Z_]+\]$", reason) for reason in refused.values())


def test_archives_that_would_take_any_memory_are_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "rare.npz", "w", zipfile.ZIP_LZMA) as archive:
        held = io.BytesIO()
        np.save(held, np.zeros((3, 8, 8), np.uint8))
        archive.writestr("images.npy", held.getvalue())
    with pytest.raises(unpacking.BrokenArchive, match="packed in a rare way"):
        unpacking.npz_images(tmp_path / "rare.npz")
    with pytest.raises(ImageError, match=r"packed in a rare way.*\[NOT_AN_IMAGE\]"):
        read_image(tmp_path / "rare.npz" / "images" / "0")
    (tmp_path / "many.zip").write_bytes(zipped({f"{number:04d}": b"" for number in range(200)}))
    monkeypatch.setattr(unpacking, "LARGEST_DIRECTORY", 4096)
    with pytest.raises(unpacking.BrokenArchive, match="list of members is larger"):
        next(unpacking.zip_members(tmp_path / "many.zip", tmp_path))
