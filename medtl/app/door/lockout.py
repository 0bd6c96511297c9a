"""Wrong passwords: after a few, a name and the address they come from have to wait, longer each time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE_BY_NAME, FREE_BY_ADDRESS = 5, 20
"""Wrong attempts without a wait: of one name, and from one address, behind which a whole ward may sit."""
FIRST, LONGEST = 60.0, 3600.0
"""Seconds of the first wait; each further attempt doubles it, up to the longest."""
_FORGOTTEN = 24 * 3600.0
_MOST = 10_000
"""Names and addresses that are remembered."""


@dataclass
class _Tries:
    wrong: int = 0
    until: float = 0.0
    last: float = 0.0


class Lockout:
    """Counts in memory: a restart forgets. `clock`: seconds that only go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, name: str, address: str) -> float:
        """Seconds until this name may be tried from this address; 0: now."""
        now = self._clock()
        with self._lock:
            known = (self._tries.get(key) for key in self._keys(name, address))
            return max(0.0, *(each.until - now if each else 0.0 for each in known))

    def wrong(self, name: str, address: str) -> None:
        """A wrong attempt."""
        now = self._clock()
        with self._lock:
            for key, free in zip(self._keys(name, address), (FREE_BY_NAME, FREE_BY_ADDRESS), strict=True):
                tries = self._tries.pop(key, _Tries())
                if now - tries.last > _FORGOTTEN:
                    tries = _Tries()
                tries.wrong, tries.last = tries.wrong + 1, now
                if tries.wrong >= free:
                    tries.until = now + min(LONGEST, FIRST * 2 ** min(tries.wrong - free, 16))
                self._tries[key] = tries
            while len(self._tries) > _MOST:
                self._tries.popitem(last=False)

    def right(self, name: str, address: str) -> None:
        """The name's count is over; the address's stays: its owner could otherwise clear it with a password of one's own."""
        with self._lock:
            self._tries.pop(self._keys(name, address)[0], None)

    @staticmethod
    def _keys(name: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
        return ("name", name.lower()[:64]), ("address", address)
