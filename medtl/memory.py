"""How the C library deals with the memory of this process: what it keeps, what it gives back, how much it may take."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
"""Of malloc.h."""


def keep_freed_memory() -> None:
    """Let the C library keep the memory that arrays free, for the rest of this process (glibc only; elsewhere nothing happens).

    By default every large block goes back to the system at once and comes anew, page by page, zeroed: of reading a large radiograph, and
    of a training step on a CPU, that is a third of the time and more (docs/performance.md). The process's memory stays at its peak instead.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        library.mallopt(_M_MMAP_MAX, 0)
        library.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def share_pools() -> None:
    """Let all threads of this process share two pools of memory (glibc only), for what each of many leaves in its own adds up."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, 2)


def return_freed_memory() -> None:
    """Let the C library give back now what was freed (glibc only)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def limit_memory(more: int) -> None:
    """Let this process take at most `more` bytes of address space beyond what it has."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more,) * 2)
    except (OSError, ValueError):
        pass  # no such limit on this system: the time limit and the header check remain
