"""Zips of strangers: what is good comes out under a harmless name, what is not says why, and nothing leaves the folder."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medtl.imaging import unpacking
from medtl.imaging.unpacking import BrokenArchive, Member, npz_images, zip_members


def packed(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unpacked(archive: Path, tmp_path: Path) -> dict[str, Member]:
    place = tmp_path / "place"
    place.mkdir()
    found = {member.name: member for member in zip_members(archive, place)}
    assert all(member.file is None or member.file.parent == place for member in found.values())
    assert set(place.iterdir()) == {member.file for member in found.values() if member.file}
    return found


def test_good_members_keep_bytes_and_suffix(tmp_path):
    members = {"a/b.png": b"one", "IM0001": b"two", "c.NII.GZ": b"three"}
    found = unpacked(packed(tmp_path / "x.zip", members), tmp_path)
    assert {name: member.file.read_bytes() for name, member in found.items()} == members
    assert [member.file.name for member in found.values()] == ["000000.png", "000001", "000002.nii.gz"]


def test_folders_and_hidden_files_are_passed_over(tmp_path):
    found = unpacked(packed(tmp_path / "x.zip", {"a/": b"", ".DS_Store": b"x", "__MACOSX/._a.png": b"x", "a/b.png": b"x"}), tmp_path)
    assert list(found) == ["a/b.png"]


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png", "a/.."])
def test_names_that_lead_out_are_refused_and_not_repeated(tmp_path, name):
    found = unpacked(packed(tmp_path / "x.zip", {name: b"x", "good.png": b"y"}), tmp_path)
    assert found["good.png"].file is not None
    assert "leads out" in found["(member 0)"].reason
    assert not list(tmp_path.parent.glob("evil*"))


@pytest.mark.parametrize("name", ["inner.zip", "inner.tar.gz", "set.npz", "innocent.png"])
def test_archives_in_archives_are_not_opened(tmp_path, name):
    inner = packed(tmp_path / "inner.zip", {"a.png": b"x"}).read_bytes()
    assert "archive inside an archive" in unpacked(packed(tmp_path / "x.zip", {name: inner}), tmp_path)[name].reason


def test_a_bomb_is_refused_unopened(tmp_path):
    found = unpacked(packed(tmp_path / "x.zip", {"bomb.png": bytes(50 << 20)}), tmp_path)
    assert "times its size" in found["bomb.png"].reason


def test_sizes_are_bounded_a_member_and_in_all(tmp_path, monkeypatch):
    archive = packed(tmp_path / "x.zip", {f"{i}.png": bytes([i] * 60) for i in range(3)} | {"big.png": bytes(200)}, zipfile.ZIP_STORED)
    monkeypatch.setattr(unpacking, "LARGEST_MEMBER", 100)
    monkeypatch.setattr(unpacking, "LARGEST_TOTAL", 150)
    found = unpacked(archive, tmp_path)
    assert [member.file is not None for member in found.values()] == [True, True, False, False]
    assert all("TOO_LARGE" in member.reason for member in found.values() if member.file is None)


def test_too_many_members_are_one_refusal(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MOST_MEMBERS", 3)
    [refused] = unpacked(packed(tmp_path / "x.zip", {f"{i}.png": b"x" for i in range(4)}), tmp_path).values()
    assert "more than 3 files" in refused.reason


def test_encrypted_members_and_links(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("secret.png", b"x")
        opened.writestr(link, "/etc/passwd")
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the central entry of the first member says "encrypted"
    archive.write_bytes(content)
    found = unpacked(archive, tmp_path)
    assert "encrypted" in found["secret.png"].reason
    assert "link" in found["link.png"].reason


def test_a_size_that_lies_costs_one_member(tmp_path):
    archive = packed(tmp_path / "x.zip", {"lie.png": b"x" * 1000, "good.png": b"y"}, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 10)
    archive.write_bytes(content)
    found = unpacked(archive, tmp_path)
    assert found["lie.png"].file is None
    assert found["good.png"].file is not None


def test_a_name_that_stands_twice(tmp_path):
    archive = tmp_path / "x.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("a.png", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("a.png", b"2")
    (tmp_path / "place").mkdir()
    reasons = [member.reason for member in zip_members(archive, tmp_path / "place")]
    assert reasons[0] == ""
    assert "twice" in reasons[1]


@given(cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=4))
def test_damage_is_a_refusal_never_a_crash(tmp_path_factory, cut, flips):
    tmp_path = tmp_path_factory.mktemp("damage")
    archive = packed(tmp_path / "x.zip", {"a.png": b"one" * 20, "b.png": b"two" * 20})
    content = bytearray(archive.read_bytes())
    for position, value in flips:
        content[position % len(content)] = value
    archive.write_bytes(content[: max(0, len(content) - cut)] if cut < 300 else content)
    place = tmp_path / "place"
    place.mkdir()
    try:
        members = list(zip_members(archive, place))
    except BrokenArchive:
        return
    assert all((member.file is None) == bool(member.reason) for member in members)


def test_arrays_of_images_are_counted_without_loading(tmp_path):
    file = tmp_path / "set.npz"
    arrays = {
        "train_images": np.zeros((5, 8, 8), np.uint8),
        "val_images": np.zeros((2, 8, 8, 3), np.uint8),
        "labels": np.zeros((5, 1)),
    }
    np.savez(file, **arrays)
    assert npz_images(file) == {"train_images": 5, "val_images": 2}


def test_one_picture_in_colour_is_not_a_stack_of_narrow_ones(tmp_path):
    file = tmp_path / "one.npz"
    np.savez(file, img=np.zeros((48, 64, 3), np.uint8), rgba=np.zeros((48, 64, 4), np.uint8), narrow=np.zeros((48, 64, 5), np.uint8))
    assert npz_images(file) == {"img": 1, "rgba": 1, "narrow": 48}


def test_a_header_that_claims_too_many_images(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)})
    with pytest.raises(BrokenArchive, match="claims more than"):
        npz_images(packed(tmp_path / "set.npz", {"images.npy": header.getvalue()}))


def test_objects_in_an_array_are_no_images(tmp_path):
    file = tmp_path / "set.npz"
    np.savez(file, images=np.empty((2, 3, 3), object))
    assert npz_images(file) == {}
