"""Comparing all near pairs of five thousand pictures takes a minute or two; what one step or command found out, the next one reads."""

from __future__ import annotations

import io
import os
import zipfile
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
    from medtl.audit.comparisons import Comparisons


@contextmanager
def remembered(store: Store) -> Iterator[Comparisons]:
    """What is known of a store's pictures so far; what is found out within the block is kept in the cache at its end."""
    from medtl.audit.comparisons import identity  # brings OpenCV with it

    names = store.measurements.loc[store.usable, "pixel_hash"].drop_duplicates().tolist()
    of = identity(names)
    file = cache_dir() / "agreements" / store.key / f"{of}.npz"
    known = _read(file, of, len(names))
    yield known
    if known.new and known.of == of:
        with suppress(OSError):  # a cache that cannot be written costs time, nothing else
            write_atomically(file, lambda part: _write(part, known, len(names)))


def _read(file: Path, of: str, count: int) -> Comparisons:
    """Nothing known where there is no file, or a damaged one (a zip archive's checksums tell)."""
    from medtl.audit.comparisons import Comparisons, codes

    try:
        with zipfile.ZipFile(file) as archive:
            # read whole, so that all of it is checked: numpy itself reads no further than a header says
            found = [np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False) for name in ("nearest", "compared", "agreements")]
        os.utime(file)  # the cache lets go first of what was longest unused
    except Exception:  # whatever is wrong with a file of a cache: it is made again
        return Comparisons()
    nearest, compared, agreements = found
    if not (_are_pairs(nearest, count) and _are_pairs(compared, count) and _are_agreements(agreements, len(compared))):
        return Comparisons()
    return Comparisons(of, nearest, dict(zip(codes(compared, count).tolist(), agreements.tolist(), strict=True)))


def _are_pairs(pairs: NDArray[np.int64], count: int) -> bool:
    if pairs.dtype != np.int64 or pairs.ndim != 2 or pairs.shape[1] != 2:
        return False
    return bool(((pairs[:, 0] >= 0) & (pairs[:, 0] < pairs[:, 1]) & (pairs[:, 1] < count)).all())


def _are_agreements(values: NDArray[np.float64], count: int) -> bool:
    return values.dtype == np.float64 and values.shape == (count,) and bool((np.abs(values) <= 1.001).all())  # NaN is not


def _write(file: Path, known: Comparisons, count: int) -> None:
    assert known.nearest is not None
    compared = np.stack(np.divmod(np.array(list(known.agreements), np.int64), max(1, count)), axis=1)
    with file.open("wb") as stream:
        np.savez(stream, nearest=known.nearest, compared=compared, agreements=np.array(list(known.agreements.values()), np.float64))
