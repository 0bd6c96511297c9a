"""Images named by paths of another machine: a file's path ends in what the table writes, or the other way round."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import pandas as pd

from medtl.cohorts.files import composed

Parts = tuple[str, ...]


def parts_of(path: str) -> Parts:
    """The folders and the name of a path as any system writes it, without `.` and empty ones.

    >>> parts_of(".\\\\a//b.png")
    ('a', 'b.png')
    """
    return tuple(part for part in composed(path).replace("\\", "/").split("/") if part not in ("", "."))


def by_ending(images: Iterable[str]) -> Callable[[str], str]:
    """Cell → the one image whose path ends in the cell's, or in whose path the cell's ends, by whole parts; empty where there is none.

    `siteY/001.png` is therefore never `siteX/001.png`, which may be another patient's. An equal path comes first, then a longer one,
    where it is the only one, then the longest of the shorter ones: folders that were dropped lost the first parts of theirs.
    """
    alike: dict[str, list[tuple[Parts, str]]] = defaultdict(list)
    for image in images:
        if parts := parts_of(image):
            alike[parts[-1]].append((parts, image))

    def image_of(cell: str) -> str:
        written = parts_of(cell)
        there = alike.get(written[-1], []) if written else []
        longer = [image for parts, image in there if parts[-len(written) :] == written]
        equal = [image for parts, image in there if parts == written]
        if longer:
            return _only(equal or longer)
        shorter = [(parts, image) for parts, image in there if written[-len(parts) :] == parts]
        most = max((len(parts) for parts, _ in shorter), default=0)
        return _only([image for parts, image in shorter if len(parts) == most])

    return image_of


def _only(found: list[str]) -> str:
    return found[0] if len(found) == 1 else ""


def uncontested(cells: pd.Series[str], named: pd.Series[str]) -> pd.Series[str]:
    """`named`, the image of each cell, less those that different paths claim: `a/1.png` and `b/1.png` cannot both be the file `1.png`.

    A cell that is the image's own path keeps it.
    """
    written = cells.map(parts_of)
    own = written == named.map(parts_of)
    claims = written.groupby(named).nunique()
    contested = named.map(claims) > 1
    return named.where(~contested | own, "")
