"""Who is logged in: random tokens in memory, ended by time, by logging out, and by another password."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

IDLE, LONGEST = 30 * 60.0, 12 * 3600.0
"""Seconds without a request, and in all, after which a session ends."""


@dataclass
class _Session:
    name: str
    mark: str
    began: float
    seen: float


class Sessions:
    """Keeps hashes of the tokens only. `clock`: seconds that only go on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._open: dict[str, _Session] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, mark: str) -> str:
        """A new token. `mark`: of :meth:`medtl.app.door.passwords.Users.mark`."""
        token, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            for key in [key for key, each in self._open.items() if self._over(each, now)]:
                del self._open[key]
            self._open[_digest(token)] = _Session(name, mark, now, now)
        return token

    def who(self, token: str, mark: Callable[[str], str]) -> str:
        """The name behind a token; empty where it is none, has ended, or `mark` of the name is another now."""
        key, now = _digest(token), self._clock()
        with self._lock:
            session = self._open.get(key)
            if session is None:
                return ""
            if self._over(session, now) or mark(session.name) != session.mark:
                del self._open[key]
                return ""
            session.seen = now
            return session.name

    def end(self, token: str) -> None:
        """Log out."""
        with self._lock:
            self._open.pop(_digest(token), None)

    @staticmethod
    def _over(session: _Session, now: float) -> bool:
        return now - session.seen > IDLE or now - session.began > LONGEST


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
