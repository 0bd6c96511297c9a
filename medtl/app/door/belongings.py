"""One person never sees another's: which upload, which event stream and which state belongs to whom, kept before every request of the page.

Gradio serves every file of its folder to whoever is logged in, and lets whoever names a session read its events. Here a visitor (a login,
or without logins a browser) owns what it uploaded and the sessions it opened, and only routes that the page needs are open at all.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from medtl.app.door.replies import Reply, plain
from medtl.app.door.uploads import Refused, take_in

log = logging.getLogger("medtl.page")
VISITOR = "medtl.visitor"
"""Key of a request's scope: an opaque name of who asks."""
NAME = "medtl.name"
"""The same for the name of the login, where there is one."""
_MOST_REMEMBERED = 50_000
_LARGEST_BODY = 64 << 20
_UPLOADS_AT_ONCE = 16
_API = "/gradio_api"
_READ = re.compile(
    rf"/|/config|/theme\.css|/favicon\.ico|/robots\.txt|/manifest\.json|/(?:assets|static|svelte)/[\w./@+-]+|/api/v1/[\w.-]+|"
    rf"{_API}/(?:info|openapi\.json|theme\.css|startup-events|app_id|user|login_check|upload_progress|queue/data|heartbeat/\w+|"
    rf"call/[\w-]+/\w+|file=.+)"
)
_WRITE = re.compile(rf"/api/v1/[\w.-]+|{_API}/(?:upload|queue/join|reset|cancel|call/(?:v2/)?[\w-]+|run/[\w-]+|api/[\w-]+)")
_FILE = f"{_API}/file="
_STREAMS = re.compile(rf"{_API}/(?:queue/data|call/[\w-]+/\w+|run/[\w-]+|api/[\w-]+)")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Belongings:
    """What belongs to whom: the first who uploads or names a thing."""

    def __init__(self) -> None:
        self._owners: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._lock = threading.Lock()

    def claim(self, kind: str, thing: str, visitor: str) -> bool:
        """Whether it is this visitor's, who becomes its owner where it had none."""
        with self._lock:
            owner = self._owners.setdefault((kind, thing), visitor)
            self._owners.move_to_end((kind, thing))
            while len(self._owners) > _MOST_REMEMBERED:
                self._owners.popitem(last=False)
            return owner == visitor

    def owned(self, kind: str, thing: str, visitor: str) -> bool:
        """Whether it is this visitor's; what nobody has is nobody's."""
        with self._lock:
            return self._owners.get((kind, thing)) == visitor


class Guard:
    """ASGI middleware before Gradio and the API. `folder`: the private one; `largest`: bytes of one upload, all its files together."""

    def __init__(self, app: App, folder: Path, largest: int):
        self.app, self.folder, self.largest = app, folder, largest
        self.belongings = Belongings()
        self._uploading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            await self._pass(scope, receive, send)
        except Refused as refusal:
            if refusal.status == 403:
                log.warning("refused: %s", refusal)
            await plain(refusal.status, str(refusal))(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, visitor = _path(scope), str(scope.get(VISITOR, ""))
        allowed = _WRITE if scope["method"] == "POST" else _READ
        if scope["method"] not in ("GET", "HEAD", "POST") or not allowed.fullmatch(path) or ".." in path.split("/"):
            raise Refused(404 if "file" not in path and "proxy" not in path else 403, "there is no such page here")
        if path.startswith("/api/v1/"):
            await self.app(scope, receive, send)
        elif path == f"{_API}/upload":
            await self._upload(scope, receive, send, visitor)
        elif path == f"{_API}/upload_progress":  # Gradio asks; it does not see what is written here, and the browser has its own bar
            self._check_address(path, scope, visitor)
            await Reply(200, b'data: {"msg": "done"}\n\n', "text/event-stream")(scope, receive, send)
        else:
            self._check_address(path, scope, visitor)
            if scope["method"] == "POST":
                receive, named = await self._checked_body(receive, visitor)
                send = _freed(send, named) if path == f"{_API}/queue/join" else send
            await self.app(scope, receive, self._watched(send, visitor) if _STREAMS.fullmatch(path) else send)

    def _check_address(self, path: str, scope: Scope, visitor: str) -> None:
        if path.startswith(_FILE) and not self.belongings.owned("file", path.removeprefix(_FILE), visitor):
            raise Refused(403, "that file is not yours, or not there")
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        named = [("session", each) for each in query.get("session_hash", [])] + [("upload", each) for each in query.get("upload_id", [])]
        if path.startswith(f"{_API}/heartbeat/"):
            named.append(("session", path.rsplit("/", 1)[1]))
        self._claim_all(named, visitor)

    async def _checked_body(self, receive: Receive, visitor: str) -> tuple[Receive, list[str]]:
        """Read the request, refuse what names another's things, hand it on; and the files that it names."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused(400, "the request broke off")
            body += message.get("body", b"")
            if len(body) > _LARGEST_BODY:
                raise Refused(413, "the request is too large")
            if not message.get("more_body", False):
                break
        try:
            content = json.loads(body) if body else None
        except (ValueError, RecursionError):
            raise Refused(400, "the request is no JSON") from None
        if isinstance(content, dict) and isinstance(content.get("session_hash"), str):
            self._claim_all([("session", content["session_hash"])], visitor)
        named = list(_paths(content, str(self.folder)))
        if not all(self.belongings.owned("file", each, visitor) for each in named):
            raise Refused(403, "a file was named that is not yours, or not there")
        return _replayed(bytes(body), receive), named

    def _claim_all(self, named: Iterable[tuple[str, str]], visitor: str) -> None:
        for kind, thing in named:
            if not self.belongings.claim(kind, thing, visitor):
                raise Refused(403, "that belongs to another person")

    def _watched(self, send: Send, visitor: str) -> Send:
        """What the page itself hands to a visitor as a file is that visitor's."""
        prefix = str(self.folder).encode()

        async def sent(message: Message) -> None:
            body = message.get("body", b"")
            at = body.find(prefix)
            while at >= 0:
                end = body.find(b'"', at)
                self.belongings.claim("file", body[at : end if end >= 0 else len(body)].decode("utf-8", "replace").rstrip("\\"), visitor)
                at = body.find(prefix, at + 1)
            await send(message)

        return sent

    async def _upload(self, scope: Scope, receive: Receive, send: Send, visitor: str) -> None:
        if self._uploading >= _UPLOADS_AT_ONCE:
            raise Refused(503, "too many uploads at once; try again in a moment")
        self._uploading += 1
        try:
            self._check_address(_path(scope), scope, visitor)
            files = await take_in(dict(scope["headers"]), receive, self.folder, self.largest)
        finally:
            self._uploading -= 1
        for file in files:
            self.belongings.claim("file", str(file), visitor)
        await Reply(200, json.dumps([str(file) for file in files]).encode(), "application/json")(scope, receive, send)


def _path(scope: Mapping[str, Any]) -> str:
    path = str(scope["path"])
    return path.rstrip("/") or "/"


def _paths(content: Any, folder: str) -> Iterator[str]:
    """Every file that a request names: what stands under `path`, and every text that begins with the private folder."""
    waiting = [content]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            if isinstance(each.get("path"), str):
                yield each["path"]
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, str) and each.startswith(folder):
            yield each


def _freed(send: Send, uploads: list[str]) -> Send:
    """Whoever is told that the queue is full comes again with the file: it need not lie there until then."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 503:
            for each in uploads:
                shutil.rmtree(Path(each).parent, ignore_errors=True)
        await send(message)

    return sent


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, then what else comes (that the client is gone)."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
