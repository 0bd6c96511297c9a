"""Who may open the page: a file of names and hashed passwords, written by `medtl users`, read by `medtl serve --users`.

scrypt (RFC 7914) of the standard library with 64 MiB and two passes, one of the settings that OWASP's Password Storage Cheat Sheet names;
a salt of its own for each. The file is its owner's alone.
"""

from __future__ import annotations

import base64
import getpass
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtl import own_json
from medtl.contracts import FORMAT
from medtl.errors import MedtlError

SHORTEST, LONGEST = 12, 1024
"""Letters of a password."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_COST = {"n": 1 << 16, "r": 8, "p": 2}
_MEMORY = 128 << 20
_AT_ONCE = threading.BoundedSemaphore(2)
"""Hashes at a time: each takes 64 MiB, so that many wrong passwords at once are slow and not expensive."""

Stored = Mapping[str, Any]


def hashed(password: str) -> dict[str, Any]:
    """What is stored of a password."""
    salt = secrets.token_bytes(16)
    return {**_COST, "salt": base64.b64encode(salt).decode(), "hash": base64.b64encode(_scrypt(password, salt, _COST)).decode()}


def matches(password: str, stored: Stored) -> bool:
    """In a time that tells nothing of how wrong it is."""
    return hmac.compare_digest(_scrypt(password, base64.b64decode(stored["salt"]), stored), base64.b64decode(stored["hash"]))


def _scrypt(password: str, salt: bytes, cost: Stored) -> bytes:
    with _AT_ONCE:
        return hashlib.scrypt(
            password[:LONGEST].encode("utf-8", "surrogatepass"), salt=salt, n=cost["n"], r=cost["r"], p=cost["p"], maxmem=_MEMORY, dklen=32
        )


_NOBODY = hashed(secrets.token_hex(16))


class Users:
    """The file, read again when it has changed: who is taken out of it is locked out at once."""

    def __init__(self, file: Path):
        """Raises MedtlError: no such file, damaged, readable by others, nobody in it."""
        self.file = file
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, Stored] = {}
        if not self.known():
            raise MedtlError(f"{file}: has nobody in it; add somebody with: medtl users {file} --add NAME")

    def known(self) -> dict[str, Stored]:
        """Name → what is stored."""
        status = self.file.stat() if self.file.is_file() else None
        stamp = (status.st_mtime_ns, status.st_ino) if status else None
        if stamp is None or stamp != self._stamp:
            self._users, self._stamp = read(self.file), stamp
        return self._users

    def right(self, name: str, password: str) -> bool:
        """Whether the password is this person's; an unknown name takes as long as a known one."""
        stored = self.known().get(name)
        return matches(password, stored or _NOBODY) and stored is not None

    def mark(self, name: str) -> str:
        """Changes with the password; empty where there is no such person (any more)."""
        stored = self.known().get(name)
        return str(stored["hash"]) if stored else ""


def read(file: Path) -> dict[str, Stored]:
    """Raises MedtlError where it is no users file, or others may read or write it."""
    if not file.is_file():
        raise MedtlError(f"{file}: there is no such users file; make one with: medtl users {file} --add NAME")
    if file.stat().st_mode & 0o077:
        raise MedtlError(f"{file}: others may read or change it; take that away with: chmod 600 {file}")
    mend = f"make a new one with: medtl users {file} --add NAME"
    content = own_json.read(file, mend)
    with own_json.whole(file, mend, AttributeError):
        assert content is not None
        users: dict[str, Stored] = {str(name): dict(stored) for name, stored in content["users"].items()}
        if not all({"n", "r", "p", "salt", "hash"} <= stored.keys() for stored in users.values()):
            raise ValueError
    return users


def add(file: Path, name: str, password: str) -> None:
    """Add a person, or give one another password. Raises MedtlError: a name or a password that cannot be used."""
    if not _NAME.fullmatch(name):
        raise MedtlError(f"--add {name}: is no name; allowed: up to 64 letters, digits, and . _ @ - after the first")
    if len(password) < SHORTEST or name.lower() in password.lower() or len(set(password)) < 5:
        raise MedtlError(f"the password is too easy to guess; allowed: {SHORTEST} letters or more, five different ones, without the name")
    if len(password) > LONGEST:
        raise MedtlError(f"the password is too long; allowed: up to {LONGEST} letters")
    users = read(file) if file.exists() else {}
    _write(file, {**users, name: hashed(password)})


def remove(file: Path, name: str) -> None:
    """Raises MedtlError where there is no such person."""
    users = read(file)
    if name not in users:
        raise MedtlError(f"--remove {name}: is not in {file}; there are: {', '.join(sorted(users)) or 'nobody'}")
    _write(file, {other: stored for other, stored in users.items() if other != name})


def change(file: Path, add_name: str | None, remove_name: str | None) -> None:
    """`medtl users`: a new password is asked for twice where there is a terminal, else it is the first line of the input."""
    if add_name is not None and remove_name is not None:
        raise MedtlError("--add and --remove: give one of them")
    if add_name is not None:
        add(file, add_name, _asked())
    elif remove_name is not None:
        remove(file, remove_name)
    names = sorted(read(file))
    print(f"{file}: {', '.join(names) or 'nobody'}")


def _asked() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first, again = getpass.getpass("Password: "), getpass.getpass("Once more: ")
    if first != again:
        raise MedtlError("the two passwords differ; nothing was changed")
    return first


def _write(file: Path, users: Mapping[str, Stored]) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump({"format": FORMAT, "users": users}, out, indent=2)
        out.flush()
        os.fsync(out.fileno())
    os.replace(temporary, file)
