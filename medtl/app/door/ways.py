"""Who can reach the page, and how: on this machine alone, or with a login and https from elsewhere. What cannot be safe is refused."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from medtl.app.door.passwords import Users
from medtl.errors import MedtlError

if TYPE_CHECKING:
    from medtl.app.desk import Desk
    from medtl.app.door.belongings import App, Receive, Scope, Send

HOST = "127.0.0.1"
LOOPBACK = (HOST, "localhost")
_API = "/api/v1"


@dataclass(frozen=True)
class Way:
    """A way in that was found to be safe; see :func:`ways`."""

    host: str = HOST
    users: Users | None = None
    certificate: Path | None = None
    key: Path | None = None
    behind_proxy: str = ""

    def said(self) -> str:
        """In words, for the terminal."""
        where = "this machine only" if self.host in LOOPBACK and not self.behind_proxy else f"listening on {self.host}"
        return where if self.users is None else f"{where}; {len(self.users.known())} can log in"

    @property
    def hosts(self) -> list[str]:
        """By which names browsers may ask: on this machine alone only by its own, so that another site cannot point its own name here
        (DNS rebinding). From elsewhere no name helps without a login's cookie, which a browser keeps to the name it got it under."""
        if self.behind_proxy:
            return [str(urlsplit(self.behind_proxy).hostname), *LOOPBACK]
        return [*LOOPBACK] if self.host in LOOPBACK else ["*"]

    def for_launch(self) -> dict[str, Any]:
        """What Gradio has to know of it."""
        given: dict[str, Any] = {}
        if self.certificate is not None:  # Gradio asks its own address whether it is up, which the certificate need not name
            given |= {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key), "ssl_verify": False}
        return given | ({"root_path": self.behind_proxy} if self.behind_proxy else {})

    def before(self, desk: Desk, folder: Path, largest: int, answers: bool = True) -> dict[str, Any]:
        """What stands before the page: names, door, guard; and the API beside it, which `answers` or only tells about the models."""
        from starlette.middleware import Middleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        from starlette.routing import Mount

        from medtl.app.api.routes import build
        from medtl.app.door.belongings import Guard
        from medtl.app.door.entrance import Door, Entry

        entry = Entry(self.users, self.behind_proxy, secure=self.certificate is not None or bool(self.behind_proxy))
        middleware = [
            Middleware(TrustedHostMiddleware, allowed_hosts=self.hosts, www_redirect=False),
            Middleware(Door, entry=entry),
            Middleware(Guard, folder=folder, largest=largest),
        ]
        return {"middleware": middleware, "routes": [Mount(_API, app=_below(_API, build(desk, folder, answers)))]}


def _below(place: str, app: App) -> App:
    """The application sees its own part of a path. Starlette takes off the root path, which behind a proxy is a whole address
    (`https://…`) that no path begins with."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        own = {**scope, "path": scope["path"].removeprefix(place)} if scope["type"] == "http" else scope
        await app(own, receive, send)

    return called


def ways(
    host: str = HOST,
    users: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: str | None = None,
) -> Way:
    """Raises MedtlError: a host that others reach without a login, or without https; half a certificate; a proxy without https."""
    if (certificate is None) != (key is None):
        raise MedtlError("--certificate and --key belong together; give both, as PEM files")
    if behind_proxy is not None and urlsplit(behind_proxy).scheme != "https":
        raise MedtlError(
            f"--behind-proxy {behind_proxy}: give the https address under which the proxy shows the page, such as https://medtl.example"
        )
    if (host not in LOOPBACK or behind_proxy) and users is None:
        given = f"--behind-proxy {behind_proxy}" if behind_proxy else f"--host {host}"
        raise MedtlError(
            f"{given}: the page shows patients' images, so without a login it opens on {HOST} only; give --users FILE "
            "(see medtl users), or use an SSH tunnel"
        )
    if host not in LOOPBACK and certificate is None and not behind_proxy:
        raise MedtlError(
            f"--host {host}: passwords and images would cross the network unencrypted; give --certificate and --key, or --behind-proxy URL "
            "where a proxy does the encryption"
        )
    if certificate is not None and key is not None:
        _check_pair(certificate, key)
    return Way(host, Users(users) if users is not None else None, certificate, key, (behind_proxy or "").rstrip("/"))


def _check_pair(certificate: Path, key: Path) -> None:
    for option, file in (("--certificate", certificate), ("--key", key)):
        if not file.is_file():
            raise MedtlError(f"{option} {file}: there is no such file; give a PEM file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError, TypeError):
        raise MedtlError(f"--certificate {certificate} and --key {key}: are no pair of PEM files, or the key has a password") from None
