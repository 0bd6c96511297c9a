"""Comparing all near pairs of five thousand pictures takes a minute or two; what one command found out, the next one reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medtl.files import write_atomically
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store

if TYPE_CHECKING:
    from medtl.audit.same_picture import Picture

_DIGEST = 16


class Agreements:
    """:func:`medtl.audit.same_picture.agreement` with a memory. Call it with two pictures."""

    def __init__(self, known: dict[bytes, float]):
        self.known = known
        self.new = 0

    def __call__(self, first: Picture, second: Picture) -> float:
        from medtl.audit.same_picture import agreement

        key = _digest(first.thumbnail) + _digest(second.thumbnail)
        if key not in self.known:
            self.known[key] = agreement(first, second)
            self.new += 1
        return self.known[key]


@contextmanager
def remembered(store: Store) -> Iterator[Agreements]:
    """The agreements among a store's pictures found so far; new ones are added to the cache at the end of the block."""
    from medtl.audit import same_picture

    method = hashlib.sha256(Path(same_picture.__file__).read_bytes()).hexdigest()  # another method, another memory
    pictures = sorted(store.measurements["pixel_hash"])
    name = hashlib.sha256("\n".join([method, *pictures]).encode()).hexdigest()[:32]
    file = cache_dir() / "agreements" / f"{name}.npy"
    agreements = Agreements(_read(file))
    yield agreements
    if agreements.new:
        with suppress(OSError):  # a cache that cannot be written costs time, nothing else
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, lambda part: _write(part, agreements.known))


def _digest(picture: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(picture.tobytes(), digest_size=_DIGEST).digest()


def _read(file: Path) -> dict[bytes, float]:
    """Empty where there is none, or a damaged one."""
    try:
        with file.open("rb") as stream:
            stored = np.load(stream, allow_pickle=False)
        return {row["pair"].tobytes(): float(row["agreement"]) for row in stored}
    except (OSError, ValueError, IndexError, EOFError):
        return {}


def _write(file: Path, known: dict[bytes, float]) -> None:
    stored = np.empty(len(known), [("pair", np.uint8, 2 * _DIGEST), ("agreement", np.float64)])
    stored["pair"] = np.frombuffer(b"".join(known), np.uint8).reshape(-1, 2 * _DIGEST)
    stored["agreement"] = list(known.values())
    with file.open("wb") as stream:
        np.save(stream, stored)
