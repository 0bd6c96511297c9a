"""The JSON files that medtl writes for itself, each `{"format": 1, …}`: read back, or refused in one sentence."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medtl.contracts import FORMAT
from medtl.errors import MedtlError


def read(path: Path, mend: str) -> dict[str, Any] | None:
    """The content; None where there is no such file.

    Raises MedtlError where it is cut or damaged, with `mend`: what to do then; and where a newer medtl wrote it.
    """
    if not path.is_file():
        return None
    with whole(path, mend):
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(content["format"])
    refuse_newer(path, version)
    return content


def refuse_newer(path: Path, version: int) -> None:
    """Raise MedtlError for a format that this version does not know."""
    if version > FORMAT:
        raise MedtlError(f"{path}: has format {version}, written by a newer medtl; this one reads up to format {FORMAT}: update medtl")


@contextlib.contextmanager
def whole(path: Path, mend: str, *further: type[Exception]) -> Iterator[None]:
    """What goes wrong in here says that `path` is not as it was written. further: exceptions of its kind of file."""
    kinds: tuple[type[Exception], ...] = (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, *further)
    try:
        yield
    except kinds as error:
        raise MedtlError(f"{path}: is cut or damaged ({type(error).__name__}); {mend}") from None
