"""Where an image lies: a file, a member of an archive (`set.npz/train_images`), a frame of either.

An *address* is a path that may go on inside a file: `set.npz/train_images/12` is row 12 of that array, `cine.dcm/3` frame 3.
It cannot be mistaken for a real path, since nothing lies below a file. So any MONAI pipeline can name any image by one string.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Location:
    """One image: `frame` None means that the file must hold a single image."""

    file: Path
    member: str = ""
    frame: int | None = None

    @property
    def address(self) -> str:
        """One string for all of it; :func:`parse` undoes it."""
        parts = [part for part in (self.member, "" if self.frame is None else str(self.frame)) if part]
        return str(self.file.joinpath(*parts))

    @property
    def is_archive(self) -> bool:
        """Whether rows of an array are meant rather than a whole file."""
        return self.file.suffix.lower() == ".npz"


def parse(address: str | Path) -> Location:
    """The location that an address names; a path that does not exist names itself.

    Arguments:
        address: a file, or a path that goes on inside one: `FILE/MEMBER`, `FILE/FRAME`, `FILE/MEMBER/FRAME`.
    """
    path = Path(address)
    if path.exists():
        return Location(path)
    for file in path.parents:
        if file.is_file():
            parts = list(path.relative_to(file).parts)
            frame = int(parts.pop()) if parts[-1].isascii() and parts[-1].isdigit() else None
            return Location(file, "/".join(parts), frame)
        if file.exists():
            break
    return Location(path)


def at(path: Path, frame: int) -> Location:
    """A table's `(image, frame)` with `image` already joined to its root.

    In tables `frame` 0 means "the image": for ordinary files it asks for the only image there is, so that a multi-frame file is
    refused rather than read as its first frame. Rows of an archive count from 0.
    """
    location = parse(path)
    if location.frame is not None:
        return location
    return Location(location.file, location.member, frame if frame or location.member else None)


def locate(root: Path, image: str, frame: int = 0) -> Location:
    """A row of a table: `image` is a POSIX path relative to `root`, archive members follow the archive's name."""
    return at(root / image, frame)
