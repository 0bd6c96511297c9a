"""What all tests share: a cache, a state folder and a key of their own, and the way to the real data beside the checkout."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"

hypothesis.settings.register_profile("medtl", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("medtl")  # the same examples everywhere; a slow machine is no failure

_home = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Tests neither see nor leave anything in the user's own folders."""
    home = config.stash[_home] = Path(tempfile.mkdtemp(prefix="medtl-tests-"))
    os.environ.update(
        MEDTL_CACHE=str(home / "cache"),
        MEDTL_STATE=str(home / "state"),
        MEDTL_KEY_FILE=str(home / "key"),
        MPLBACKEND="Agg",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """`shared("data/dicom")` is that part of the real data beside the checkout; a test that asks for what is not there is skipped."""

    def part(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"{name} is not beside this checkout")
        return path

    return part


@pytest.fixture(scope="session")
def misbehaving() -> Iterator[Callable[[Path, str], Path]]:
    """`misbehaving(path, "abort")` writes a file whose decoding aborts (see tests/imaging/hostile_nursery.py), others are read as ever.

    From its first use to the end, since starting the processes that decode costs a second or two.
    """
    from medtl.imaging import decoding

    place = str(Path(__file__).parent / "imaging")
    program = f"import sys; sys.path[:] = [{place!r}, *{{path!r}}]; from hostile_nursery import main; main({{descriptor}})"
    decoding.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_PROGRAM", program)
        yield lambda path, deed: (path.write_bytes(f"MISBEHAVE {deed} for ZZCANARY^ANN".encode()), path)[1]
        decoding.close()
