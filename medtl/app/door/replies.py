"""Short answers of the doors before the page, without a framework."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """An ASGI application that always says the same."""

    status: int
    body: bytes
    kind: str
    headers: tuple[tuple[str, str], ...] = ()

    async def __call__(self, scope: Message, receive: Callable[..., Any], send: Callable[[Message], Awaitable[None]]) -> None:
        """Send it."""
        headers = [("content-type", self.kind), ("content-length", str(len(self.body))), ("cache-control", "no-store"), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": [(k.encode(), v.encode()) for k, v in headers]})
        await send({"type": "http.response.body", "body": self.body if scope.get("method") != "HEAD" else b""})


def plain(status: int, sentence: str, *headers: tuple[str, str]) -> Reply:
    """One sentence."""
    return Reply(status, sentence.encode(), "text/plain; charset=utf-8", headers)


def problem(status: int, code: str, sentence: str, *headers: tuple[str, str]) -> Reply:
    """As the API says that something is wrong: see :class:`medtl.app.api.schema.Problem`."""
    content = {"error": {"code": code, "message": sentence}}
    return Reply(status, json.dumps(content).encode(), "application/json", headers)
