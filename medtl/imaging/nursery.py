"""The process that brings up decode workers: it imports the readers once and forks a worker for whoever asks.

It is started as a program of its own (`python -c`, see :mod:`medtl.imaging.decoding`), so that neither notebooks nor scripts without
`if __name__ == "__main__"` matter, and so that workers inherit nothing of the caller: no threads, no locks, no GPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import struct
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

from medtl.memory import keep_freed_memory, limit_memory

READY, FAILED = b"r", b"!"
IDLE_SECONDS = 900.0
"""After so long without a worker the nursery ends; the next decode starts a new one."""

_PER_PIXEL, _BESIDE = 40, 1 << 30
_POLL_SECONDS = 5.0


def main(control_descriptor: int) -> None:
    """Serve one caller until it goes away: every byte it sends comes with a descriptor, and brings one worker up."""
    control = socket.socket(fileno=control_descriptor)
    try:
        import imagecodecs  # noqa: F401  (with the next ones: what every fork shares)
        import scipy.sparse.csgraph  # noqa: F401

        import medtl.imaging.preprocessing  # noqa: F401
    except BaseException:
        control.sendall(FAILED + traceback.format_exc().encode())
        raise SystemExit(1) from None
    control.sendall(READY)
    control.settimeout(_POLL_SECONDS)
    _silence()
    idle = 0.0
    while idle < IDLE_SECONDS:
        try:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        except TimeoutError:
            idle = 0.0 if _children_live() else idle + _POLL_SECONDS
            continue
        if not message:
            break
        _children_live()
        idle = 0.0
        process = os.fork()
        if process == 0:
            _become_worker(control, descriptors[0])
        os.close(descriptors[0])
        control.sendall(struct.pack("<q", process))
    os.killpg(0, signal.SIGKILL)  # a worker that hangs in native code must not outlive its caller


def _silence() -> None:
    """Native decoders print what they think; nobody listens, and it may quote headers."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def _children_live() -> bool:
    """Reap what has ended; say whether any worker is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _become_worker(control: socket.socket, descriptor: int) -> None:
    status = 1
    try:
        control.close()
        _give_way()
        work(Connection(descriptor))
        status = 0
    finally:
        os._exit(status)


def _give_way() -> None:
    """Leave no picture behind in a core file, and be the one that is killed where the machine runs out of memory."""
    with contextlib.suppress(OSError, ValueError):  # the limit is lower already
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))  # not 0: Linux would still hand a core to a program (kernel, coredump.c)
    with contextlib.suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text("1000")


def work(connection: Connection) -> None:
    """Answer requests until the caller hangs up.

    A request is JSON: `{"settings": {...}, "longest": 0, "copy": false, "threads": 1, "items": [[number, path, frame], ...]}`. Each is
    answered by JSON `[number, measurement]` and, where the image is usable, its uint8 bytes; with `longest` above 0 by the image for the
    eye too. No pickles: what comes out of a decoder that met hostile bytes is data, never code.
    """
    import cv2

    from medtl.imaging import decoders
    from medtl.imaging.settings import ImageSettings

    cv2.setNumThreads(1)
    keep_freed_memory()
    limited = False
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        settings = ImageSettings.model_validate(request["settings"])
        if not limited:
            limit_memory(_BESIDE + _PER_PIXEL * settings.largest_pixels)
            limited = True
        decoders.use_threads(int(request["threads"]))
        for number, path, frame in request["items"]:
            _answer(connection, number, Path(path), frame, settings, int(request["longest"]), bool(request["copy"]))


def _answer(connection: Connection, number: int, path: Path, frame: int, settings: object, longest: int, copy: bool) -> None:
    from medtl.errors import ImageError
    from medtl.imaging.preprocessing import preprocess, preprocess_and_view
    from medtl.imaging.settings import ImageSettings
    from medtl.imaging.viewing import to_bytes
    from medtl.measurements import row

    assert isinstance(settings, ImageSettings)
    pixels, seen = None, None
    try:
        if longest:
            pixels, measurement, seen = preprocess_and_view(path, frame, settings, longest, copy)
        else:
            pixels, measurement = preprocess(path, frame, settings)
    except ImageError as error:
        measurement = row({"quarantine": error.code, "reason": error.reason})
    except MemoryError:
        measurement = row({"quarantine": "TOO_LARGE", "reason": "decoding it needs more memory than one image may take"})
    except BaseException as error:  # decoders written in Rust raise PanicException, which is no Exception
        measurement = row({"quarantine": "DECODE_FAILED", "reason": f"the decoder failed ({type(error).__name__})"})
    connection.send_bytes(json.dumps([number, {key: None if value != value else value for key, value in measurement.items()}]).encode())
    if pixels is not None:
        connection.send_bytes(pixels.tobytes())
    for part in to_bytes(seen) if seen is not None else ():
        connection.send_bytes(part)
