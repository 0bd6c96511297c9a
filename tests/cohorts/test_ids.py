"""The installation's key: private, made once, never in what is written."""

from __future__ import annotations

import hashlib
import hmac
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from medtl.cohorts.ids import installation_key, key_file, keyed_hash, unit_of
from medtl.errors import MedtlError


def test_key_is_private_and_lasts(own_key: Path) -> None:
    first = installation_key()
    assert stat.S_IMODE(own_key.stat().st_mode) == 0o600
    assert len(first) == 32
    assert installation_key() == first
    assert [path.name for path in own_key.parent.iterdir()] == ["key"], "no temporary file is left"


def test_key_stands_in_the_users_settings_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDTL_KEY_FILE")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    installation_key()
    assert key_file() == tmp_path / "config" / "medtl" / "key"
    assert key_file().is_file()


def test_many_processes_get_one_key(own_key: Path) -> None:
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        keys = [job.result() for job in [pool.submit(installation_key) for _ in range(16)]]
    assert len(set(keys)) == 1


def test_a_key_that_others_can_read_is_refused(own_key: Path) -> None:
    installation_key()
    own_key.chmod(0o644)
    with pytest.raises(MedtlError, match="chmod 600"):
        installation_key()


@pytest.mark.parametrize("content", ["", "abc", "Ä" * 64])
def test_what_is_no_key_is_refused_without_showing_it(own_key: Path, content: str) -> None:
    own_key.write_text(content, encoding="utf-8")
    own_key.chmod(0o600)
    with pytest.raises(MedtlError) as refusal:
        installation_key()
    assert "MEDTL_KEY_FILE" in str(refusal.value)
    assert not content or content not in str(refusal.value)


def test_keyed_hash_is_hmac_sha256() -> None:
    expected = hmac.new(b"k" * 32, b"patient\0\x00007", hashlib.sha256).hexdigest()[:16]
    assert keyed_hash(b"k" * 32, unit_of("patient", "", "007")) == expected
    assert keyed_hash(b"k" * 32, unit_of("patient", "", "7")) != expected
    assert keyed_hash(b"j" * 32, unit_of("patient", "", "007")) != expected
