"""What a command says while it works: one line that is written over, and lines that stay. On stderr, so that tables can be piped."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


class Line:
    """One line on a terminal that is written over; where the output is no terminal, only finished lines are printed."""

    def __init__(self, out: TextIO | None = None):
        self.out = out or sys.stderr
        self._live = self.out.isatty()
        self._last = 0.0

    def show(self, text: str) -> None:
        """Replace the line, at most ten times a second."""
        if self._live and time.monotonic() - self._last > 0.1:
            self._last = time.monotonic()
            self.out.write(f"\r\x1b[K{text}")
            self.out.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._live:
            self.out.write("\r\x1b[K")
            self.out.flush()

    def keep(self, text: str) -> None:
        """Print a line that stays."""
        self.out.write(("\r\x1b[K" if self._live else "") + text + "\n")
        self.out.flush()

    def progress(self, what: str) -> Callable[[int, int], None]:
        """A callback `(done, total)` that shows `what: done/total`."""
        return lambda done, total: self.show(f"{what}: {done:,} of {total:,}")
