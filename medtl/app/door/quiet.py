"""What goes wrong inside Gradio is said by kind and place: its tracebacks quote what was sent, such as names of files."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

log = logging.getLogger("medtl.page")
_PRINTING = ("queueing", "routes", "route_utils", "utils")
"""Gradio's modules that print tracebacks."""


@contextmanager
def without_values() -> Iterator[None]:
    """Meanwhile, `traceback.print_exc` of these modules says one line."""
    import gradio

    modules = [getattr(gradio, name) for name in _PRINTING]
    kept = [vars(module).get("traceback") for module in modules]
    for module in modules:
        module.traceback = SimpleNamespace(**{**vars(traceback), "print_exc": _said})
    try:
        yield
    finally:
        for module, before in zip(modules, kept, strict=True):
            module.traceback = before


def _said(*_: Any, **__: Any) -> None:
    error = sys.exc_info()[1]
    if error is not None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
        log.warning("refused: a request that the page cannot take (%s)", place)
