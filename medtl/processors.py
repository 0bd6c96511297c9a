"""How many processors this process may use, which is not how many the machine has."""

from __future__ import annotations

import os


def processors() -> int:
    """At least 1; respects the affinity that a job scheduler or a container has set."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
