"""The door of the page: who may come in, from where, and under which name the rest knows them.

With a users file everything but the login page and the sign of life asks for a login: browsers and `gradio_client` by a form (`/login`),
other programs of the API by HTTP Basic. Without one the page is open to this machine alone, and each browser is a visitor of its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import math
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool

from medtl.app.door.belongings import NAME, VISITOR, App, Message, Receive, Scope, Send
from medtl.app.door.lockout import Lockout
from medtl.app.door.passwords import LONGEST, Users
from medtl.app.door.replies import Reply, plain, problem
from medtl.app.door.sessions import Sessions

log = logging.getLogger("medtl.page")
COOKIE = "medtl"
_OPEN = ("/api/v1/health", "/gradio_api/startup-events")
"""Without a login: they tell nothing."""
_BASIC_SECONDS = 600.0
"""A right password of the API is not hashed again for so long."""
_FIRST = ("/", "/config")
"""Where a browser, or `gradio_client`, begins."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with "no-referrer" browsers send a form with the origin "null", and no login would be from here
    "content-security-policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; form-action 'self'; "
    "base-uri 'self'; object-src 'none'",
}
"""On every answer. The page's own scripts stand in it, so they have to be allowed; another address is never asked."""


@dataclass
class Entry:
    """What decides who comes in."""

    users: Users | None = None
    """None: no login, this machine alone."""
    public: str = ""
    """The address that browsers see, where a proxy stands before the page."""
    secure: bool = False
    """Browsers come by https."""
    sessions: Sessions = field(default_factory=Sessions)
    lockout: Lockout = field(default_factory=Lockout)
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    basics: dict[str, tuple[float, str]] = field(default_factory=dict)

    async def try_password(self, name: str, password: str, address: str) -> float | None:
        """0: right; seconds to wait: locked, the password was not looked at; None: wrong."""
        assert self.users is not None
        wait = self.lockout.wait(name, address)
        if wait > 0:
            log.warning("refused: a login that is locked")
            return wait
        if len(password) <= LONGEST and await run_in_threadpool(self.users.right, name, password):
            self.lockout.right(name, address)
            return 0.0
        self.lockout.wrong(name, address)
        log.warning("refused: a wrong name or password")
        return None


class Door:
    """ASGI middleware, outside of everything else."""

    def __init__(self, app: App, entry: Entry):
        self.app, self.entry = app, entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = self._with_headers(send)
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self._from_here(headers):
            log.warning("refused: a request that another site sent")
            await plain(403, "that request was sent by another site")(scope, receive, send)
            return
        await self._dispatch(scope, receive, send, headers)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        path, entry = scope["path"].rstrip("/") or "/", self.entry
        if scope["method"] == "HEAD" and path == "/":  # Gradio asks itself so whether it is up, and gives up after three seconds
            await plain(200, "")(scope, receive, send)
            return
        token = _cookie(headers)
        if entry.users is None:
            if not token and path in _FIRST:
                token = secrets.token_urlsafe(24)
                send = _with_cookie(send, self._cookie(token))
            scope[VISITOR] = hashlib.sha256(token.encode()).hexdigest() if token else ""
            await self.app(scope, receive, send)
        elif path == "/login":
            await self._login(scope, receive, send, headers)
        elif path == "/logout":
            entry.sessions.end(token)
            gone = ("set-cookie", f"{self._cookie('')}; Max-Age=0")
            await Reply(303, b"", "text/plain", (("location", "login"), gone))(scope, receive, send)
        elif path in _OPEN:
            await self.app(scope, receive, send)
        elif name := entry.sessions.who(token, entry.users.mark):
            scope[VISITOR], scope[NAME] = hashlib.sha256(f"{name} {token}".encode()).hexdigest(), name
            await self.app(scope, receive, send)
        elif path.startswith("/api/v1/"):
            await self._basic(scope, receive, send, headers)
        elif "text/html" in headers.get("accept", "") and scope["method"] == "GET":
            await Reply(303, b"", "text/plain", (("location", "login"),))(scope, receive, send)
        else:
            await plain(401, "log in first")(scope, receive, send)

    async def _login(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        entry = self.entry
        if scope["method"] != "POST":
            await _form(200)(scope, receive, send)
            return
        given = parse_qs(await _small_body(receive), keep_blank_values=True)
        name, password = (given.get(key, [""])[0] for key in ("username", "password"))
        found = await entry.try_password(name, password, _address(scope))
        browser = "text/html" in headers.get("accept", "")
        if found == 0 and entry.users is not None:
            cookie = ("set-cookie", self._cookie(entry.sessions.begin(name, entry.users.mark(name))))
            reply = (
                Reply(303, b"", "text/plain", (("location", "."), cookie)) if browser else Reply(200, b"{}", "application/json", (cookie,))
            )
        elif found is None:
            reply = _form(401, "The name or the password is wrong.") if browser else plain(401, "wrong name or password")
        else:
            wait = math.ceil(found)
            said, after = f"Too many wrong attempts. Try again in {wait:,} seconds.", ("retry-after", str(wait))
            reply = _form(429, said, after) if browser else plain(429, said, after)
        await reply(scope, receive, send)

    async def _basic(self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]) -> None:
        """For programs: name and password with every request."""
        entry, asking = self.entry, ("www-authenticate", 'Basic realm="medtl", charset="UTF-8"')
        name, password = _credentials(headers.get("authorization", ""))
        if not name or entry.users is None:
            await problem(401, "LOGIN", "log in: name and password by HTTP Basic, or a session of /login", asking)(scope, receive, send)
            return
        known = hmac.new(entry.key, f"{name}\0{password}".encode("utf-8", "replace"), "sha256").hexdigest()
        until, mark = entry.basics.get(known, (0.0, ""))
        found: float | None = 0.0
        if until < time.monotonic() or not mark or entry.users.mark(name) != mark:
            found = await entry.try_password(name, password, _address(scope))
            if found == 0:
                self._remember(known, entry.users.mark(name))
        if found == 0:
            scope[VISITOR] = hashlib.sha256(f"basic {name}".encode()).hexdigest()
            await self.app(scope, receive, send)
        elif found is None:
            await problem(401, "LOGIN", "wrong name or password", asking)(scope, receive, send)
        else:
            wait = str(math.ceil(found))
            said = f"too many wrong attempts; try again in {wait} seconds"
            await problem(429, "LOCKED", said, ("retry-after", wait))(scope, receive, send)

    def _remember(self, known: str, mark: str) -> None:
        now = time.monotonic()
        for key in [key for key, (until, _) in self.entry.basics.items() if until < now]:
            del self.entry.basics[key]
        self.entry.basics[known] = (now + _BASIC_SECONDS, mark)

    def _from_here(self, headers: Mapping[str, str]) -> bool:
        """Whether no browser says that another site's script or form sent the request."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        hosts = {headers.get("host", "")} | ({urlsplit(self.entry.public).netloc} if self.entry.public else set())
        return urlsplit(origin).netloc in hosts

    def _cookie(self, token: str) -> str:
        return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{'; Secure' if self.entry.secure else ''}"

    def _with_headers(self, send: Send) -> Send:
        more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        if self.entry.secure:
            more.append((b"strict-transport-security", b"max-age=31536000"))

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *more]
            await send(message)

        return sent


def _with_cookie(send: Send, cookie: str) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie.encode())]
        await send(message)

    return sent


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _credentials(header: str) -> tuple[str, str]:
    kind, _, text = header.partition(" ")
    try:
        name, _, password = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (name, password) if kind.lower() == "basic" else ("", "")


def _address(scope: Mapping[str, Any]) -> str:
    return str((scope.get("client") or ("",))[0])


async def _small_body(receive: Receive) -> str:
    """At most 8 KiB; of more, nothing."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > 8192 or message["type"] != "http.request":
            return ""
        if not message.get("more_body", False):
            return body.decode("utf-8", "replace")


def _form(status: int, said: str = "", *headers: tuple[str, str]) -> Reply:
    told = f'<p role="alert">{escape(said)}</p>' if said else ""
    page = f"""<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>medtl: log in</title><link rel="icon" href="data:,">
<style>:root {{ color-scheme: light dark; font-family: system-ui, sans-serif; background: light-dark(#fff, #0b0f19) }}
form {{ display: grid; gap: .7rem; max-width: 20rem; margin: 12vh auto; padding: 0 1rem }} input, button {{ font: inherit; padding: .5rem }}
label {{ display: grid; gap: .2rem }} p {{ margin: 0 }} button {{ background: #1d5fa8; border: 0; color: #fff; font-weight: 600 }}
[role=alert] {{ border-left: 4px solid #b45309; padding-left: .6rem }}</style>
<form method="post" action="login"><h1>medtl</h1><p>Research use only.</p>{told}
<label>Name <input name="username" autocomplete="username" autofocus required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button></form></html>"""
    return Reply(status, page.encode(), "text/html; charset=utf-8", headers)
