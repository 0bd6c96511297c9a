"""Files, folders, zips and npz files become one list in which everything asked for has a place."""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medtl.cohorts.files import list_images
from medtl.errors import MedtlError
from medtl.imaging.inputs import gathered


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"content")


def test_names_are_relative_to_the_one_folder_asked(tmp_path):
    touch(tmp_path / "d" / "b.png", tmp_path / "d" / "a" / "c.dcm", tmp_path / "d" / ".hidden", tmp_path / "d" / ".git" / "x.png")
    with gathered([tmp_path / "d"]) as inputs:
        assert [each.image for each in inputs] == ["b.png", "a/c.dcm"]
        assert all(each.path.read_bytes() == b"content" for each in inputs)


def test_names_are_as_given_where_several_things_are_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(Path("d/a.png"), Path("e/a.png"))
    with gathered([Path("d"), Path("e/a.png"), Path("d/a.png")]) as inputs:
        assert [each.image for each in inputs] == ["d/a.png", "e/a.png"]


def test_links_to_folders_are_not_followed_round_in_circles(tmp_path):
    touch(tmp_path / "d" / "a.png")
    (tmp_path / "d" / "round").symlink_to(tmp_path / "d")
    with gathered([tmp_path / "d"]) as inputs:
        assert [each.image for each in inputs] == ["a.png"]


def test_linked_folders_are_followed_once_as_in_training(tmp_path):
    touch(tmp_path / "elsewhere" / "b.png", tmp_path / "d" / "p1" / "a.png")
    (tmp_path / "d" / "p2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "d")
    with gathered([tmp_path / "d"]) as inputs:
        assert [each.image for each in inputs] == ["p1/a.png", "p2/b.png"] == list_images(tmp_path / "d").images


def test_a_folder_that_cannot_be_listed_has_a_row(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "1.png", tmp_path / "b" / "2.png", tmp_path / "c" / "3.png")
    listing = os.scandir

    def closed(path="."):
        if str(path).endswith(("/b", "/c")):
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", closed)  # root may list everything
    with gathered([tmp_path]) as inputs:
        said = {each.image: each.reason for each in inputs}
    refused = "the folder cannot be listed (Permission denied) [NOT_FOUND]"
    assert said == {"a/1.png": "", "b": refused, "c": refused}
    with gathered([tmp_path / "b"]) as inputs:
        assert [(each.image, each.file, each.reason) for each in inputs] == [((tmp_path / "b").as_posix(), None, refused)]


def test_a_name_that_is_no_utf8_is_spelt_out_and_its_file_read(tmp_path):
    (tmp_path / os.fsdecode(b"M\xfcller.png")).write_bytes(b"content")
    with gathered([tmp_path]) as inputs:
        [only] = inputs
        assert only.image == "M\\xfcller.png"
        assert only.path.read_bytes() == b"content"


def test_zip_members_live_in_a_private_folder_that_ends(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", b"one")
        archive.writestr("../b.png", b"two")
    with contextlib.suppress(KeyboardInterrupt), gathered([tmp_path / "x.zip"]) as inputs:
        good, bad = inputs
        assert good.image.endswith("x.zip/a.png")
        assert good.path.read_bytes() == b"one"
        assert good.path.parents[1].stat().st_mode & 0o777 == 0o700
        assert bad.file is None
        assert bad.reason
        raise KeyboardInterrupt
    assert not good.path.parents[1].exists()


def test_a_name_that_stands_twice_in_an_archive_keeps_both_rows(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.png", b"one")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.png", b"two")
    with gathered([tmp_path, tmp_path / "x.zip"]) as inputs:  # given twice, the archive is one
        assert len({each.image for each in inputs}) == 1
        assert [each.reason for each in inputs] == ["", "this name stands twice in the archive [NOT_AN_IMAGE]"]


@pytest.mark.parametrize(("name", "content"), [("x.zip", b""), ("x.zip", b"PK\x03\x04 no"), ("x.npz", b"no"), ("x.npz", b"")])
def test_broken_archives_are_one_row(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with gathered([tmp_path]) as inputs:
        [only] = inputs
        assert only.image == name
        assert "cannot be opened" in only.reason


def test_npz_rows_are_images(tmp_path):
    np.savez(tmp_path / "set.npz", test_images=np.zeros((3, 8, 8), np.uint8), test_labels=np.zeros((3, 1)))
    with gathered([tmp_path]) as inputs:
        assert [(each.image, each.frame) for each in inputs] == [("set.npz/test_images", frame) for frame in range(3)]
        assert inputs[2].path == tmp_path / "set.npz" / "test_images"


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(MedtlError, match=r"no such file.*typo\.png"), gathered([tmp_path, tmp_path / "typo.png"]):
        pass
    with pytest.raises(MedtlError, match="holds no files"), gathered([tmp_path]):
        pass
