"""A nursery whose picture decoder does what damaged native decoders do; the file's own bytes say what. Run as the nursery's program."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

import numpy as np


def misbehave(data: bytes) -> None:
    """Act on the first word behind `MISBEHAVE ` in a file."""
    if not data.startswith(b"MISBEHAVE "):
        return
    deed = data.split()[1]
    if deed == b"abort":
        os.abort()
    if deed == b"segfault":
        signal.raise_signal(signal.SIGSEGV)
    if deed == b"exit":
        os._exit(0)
    if deed == b"sleep":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # deaf to everything but SIGKILL
        time.sleep(3600)
    if deed == b"eat":
        np.ones(1 << 40, np.uint8)
    if deed == b"panic":
        raise type("PanicException", (BaseException,), {})("ZZCANARY^ANN")
    if deed == b"leave":
        raise SystemExit(3)
    if deed == b"babble":  # onto every open descriptor, as wild writes do: a length that promises much, then nothing
        for descriptor in range(3, 64):
            _write(descriptor, b"\x7f\xff\xff\xf0" + bytes(range(256)))
        time.sleep(3600)
    if deed == b"stammer":  # half an answer
        for descriptor in range(3, 64):
            _write(descriptor, b"\x00\x00\x01\x00[0,")
        time.sleep(3600)


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(descriptor, data)


def main(control_descriptor: int) -> None:
    from medtl.imaging import nursery, pictures

    honest = pictures.read

    def read(encoded: Any) -> Any:
        misbehave(encoded.data)
        return honest(encoded)

    pictures.read = read
    nursery.main(control_descriptor)
