"""Uploads from their arrival until they are answered: under random names, in a folder that only this process can read, and then gone.

What waits for the person (the page asks what a header leaves unsaid) is gone when another upload comes, or after :data:`LONGEST` seconds.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medtl.app.door.uploads import NAMES
from medtl.app.reading import Reading

LONGEST = 600
_KEPT_ENDINGS = re.compile(r"(?i)\.(npz|zip)$")
"""By which an archive is told; every other ending is dropped with the name."""


@dataclass(frozen=True)
class Upload:
    """One file."""

    name: str
    """As the person calls it: for the page alone, never for disk or log."""
    file: Path

    @property
    def holds_many(self) -> bool:
        """Whether it is an archive of images."""
        return self.file.suffix == ".zip"


@dataclass(frozen=True)
class Held:
    """What was handed over in one go."""

    folder: Path
    uploads: tuple[Upload, ...]
    label: str = ""
    """The model that `reading` was read for."""
    reading: Reading | None = None
    """Of a single image: it need not be read again."""

    @property
    def several(self) -> bool:
        """Whether a table of answers is wanted rather than one."""
        return len(self.uploads) > 1 or any(each.holds_many for each in self.uploads)

    def discard(self) -> None:
        """Remove the files; twice is no harm."""
        shutil.rmtree(self.folder, ignore_errors=True)


def take(uploads: Sequence[Path], place: Path | None = None) -> Held:
    """Move uploads out of Gradio's folders, which keep their names, into one of their own below `place` (default: where those lie)."""
    folder = Path(tempfile.mkdtemp(dir=place or uploads[0].parents[1], prefix="answering-"))
    moved = []
    try:
        for number, each in enumerate(dict.fromkeys(uploads)):  # the same file under the same name is one upload of Gradio's
            ending = _KEPT_ENDINGS.search(each.name)
            moved.append(Upload(NAMES.of(each), each.rename(folder / f"{number:06d}{ending[0].lower() if ending else ''}")))
            with suppress(OSError):  # it holds something else, which is not ours
                each.parent.rmdir()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Held(folder, tuple(moved))


def discard(held: Held | None) -> None:
    """:meth:`Held.discard`, where there is something to discard."""
    if held is not None:
        held.discard()
