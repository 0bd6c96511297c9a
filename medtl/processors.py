"""How many processors this process may use, which is not how many the machine has."""

from __future__ import annotations

import os


def processors() -> int:
    """At least 1; counts the processors that this process may run on (affinity), not a share of time that it is limited to."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
