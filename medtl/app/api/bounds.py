"""How much may come at once: the size of an upload, and the length of the line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.exceptions import HTTPException

from medtl.app.api.counter import Counter
from medtl.app.door.replies import problem

WAITING = 16
"""Requests in line; further ones are told to come again."""
BUSY_SECONDS = 5
LARGEST = 256 << 20
"""Bytes of an upload: it is one image, and held in memory."""


class Bounded:
    """Refuses what is too large, and whoever comes when the line is full, before a byte is read."""

    def __init__(self, app: Callable[..., Any], counter: Counter, largest: int):
        self.app, self.counter, self.largest = app, counter, largest

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.largest + (1 << 16):
            await problem(413, "TOO_LARGE", self._too_large())(scope, receive, send)
        elif self.counter.inside > WAITING:
            said = f"{WAITING} requests are waiting already; try again in a moment"
            await problem(503, "BUSY", said, ("retry-after", str(BUSY_SECONDS)))(scope, receive, send)
        else:
            self.counter.inside += 1
            try:
                await self.app(scope, self._counted(receive), send)
            finally:
                self.counter.inside -= 1

    def _counted(self, receive: Any) -> Any:
        taken = 0

        async def counted() -> Any:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.largest + (1 << 16):
                raise HTTPException(413, self._too_large())
            return message

        return counted

    def _too_large(self) -> str:
        return f"the file is too large; allowed are {self.largest >> 20} MiB"
