"""A kill or a full disk never costs the last good checkpoint."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from medtl.errors import MedtlError
from medtl.files import locked, write_atomically
from medtl.training.checkpoints import SafeCheckpointIO, newest
from medtl.training.weights import load_weights, save_weights


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "epoch-0000.ckpt"
    SafeCheckpointIO().save_checkpoint({"epoch": 0}, path)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        SafeCheckpointIO().save_checkpoint({"epoch": 1}, path)
    assert torch.load(path) == {"epoch": 0}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_read_back_does_not_replace(tmp_path):
    path = tmp_path / "file"
    path.write_text("good")

    def refuse(written: Path) -> None:
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        write_atomically(path, lambda temporary: temporary.write_text("bad"), refuse)
    assert path.read_text() == "good"


def test_the_newest_readable_checkpoint_is_resumed(tmp_path):
    for epoch in range(3):
        SafeCheckpointIO().save_checkpoint({"epoch": epoch}, tmp_path / f"epoch-{epoch:04d}.ckpt")
    torn = tmp_path / "epoch-0002.ckpt"
    torn.write_bytes(torn.read_bytes()[:100])
    (tmp_path / "epoch-0003.ckpt").write_bytes(b"")
    assert newest(tmp_path) == tmp_path / "epoch-0001.ckpt"
    assert newest(tmp_path / "nowhere") is None


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    torch.save({"epoch": Evil()}, tmp_path / "epoch-0000.ckpt")
    assert newest(tmp_path) is None
    assert not (tmp_path / "ran").exists()


def test_equal_weights_are_equal_files(classifier, tmp_path):
    save_weights(classifier, tmp_path / "a")
    save_weights(classifier.to(memory_format=torch.channels_last), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    torch.nn.init.zeros_(classifier.head.weight)
    load_weights(classifier, tmp_path / "a")
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())


def test_a_second_writer_is_refused_and_the_lock_goes_with_its_holder(tmp_path):
    with locked(tmp_path), pytest.raises(MedtlError, match="being written by another"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_what_is_written_can_be_read_by_whom_the_umask_allows(classifier, tmp_path):
    before = os.umask(0o022)
    try:
        save_weights(classifier, tmp_path / "weights")
    finally:
        os.umask(before)
    assert (tmp_path / "weights").stat().st_mode & 0o777 == 0o644
