"""Untrusted bytes are decoded in processes of their own: a decoder that aborts, hangs or eats memory costs one image."""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError
from medtl.imaging import nursery
from medtl.imaging.settings import ImageSettings
from medtl.imaging.viewing import LARGEST_COPY, View, from_bytes
from medtl.measurements import row
from medtl.processors import processors

Decoded = tuple[int, NDArray[np.uint8] | None, dict[str, object]]
"""Position in what was asked, uint8 (size, size, channels) or None where quarantined, measurements row without key."""

_AT_ONCE = 16
"""Images sent to a worker before it has answered the earlier ones, so that it never waits."""
_IDLE_DEATHS = 100
"""Workers in a row that may end before they are asked anything."""
_MOST_THREADS = 4
"""For one image; each takes address space (64 MiB) from what a worker may have."""
_START_SECONDS = 300.0
_LONGEST_ANSWER = 1 << 20
"""Bytes of one measurement; a worker whose memory a decoder has overwritten may claim anything."""
_PROGRAM = "import sys; sys.path[:] = {path!r}; from medtl.imaging.nursery import main; main({descriptor})"


def decode_with_views(
    items: Sequence[tuple[Path, int]], settings: ImageSettings, longest: int, processes: int | None = None, copy: bool = False
) -> Iterator[tuple[Decoded, View | None]]:
    """:func:`decode_many`, and each image for the eye too, at no more than `longest` pixels a side; None where it is quarantined.

    copy: with :attr:`View.copy`.
    """
    views: dict[int, View] = {}
    for each in _decoded(items, settings, processes, longest, views, copy):
        yield each, views.pop(each[0], None)


def decode_many(items: Sequence[tuple[Path, int]], settings: ImageSettings, processes: int | None = None) -> Iterator[Decoded]:
    """Preprocess images in isolated worker processes; results come as they are ready, every item once.

    Arguments:
        items: `(path, frame)` as :func:`medtl.imaging.preprocessing.preprocess` takes them.
        settings: `timeout` seconds may pass for one image, `largest_pixels` bounds its memory.
        processes: workers; default one per processor that this process may use.
    Yields:
        `(position, pixels or None, measurement)`; an image that killed its worker is quarantined as DECODE_FAILED, one that took
        too long as DECODE_TIMEOUT, and the rest goes on in a fresh worker.
    """
    yield from _decoded(items, settings, processes, 0, {})


def _decoded(
    items: Sequence[tuple[Path, int]],
    settings: ImageSettings,
    processes: int | None,
    longest: int,
    views: dict[int, View],
    copy: bool = False,
) -> Iterator[Decoded]:
    """`longest`: of the image for the eye, which goes into `views` under its position; 0 = none is wanted."""
    if not items:
        return
    waiting = deque((number, str(path), frame) for number, (path, frame) in enumerate(items))
    idle_deaths = 0
    workers = min(processes or processors(), len(items))
    threads = max(1, min(_MOST_THREADS, processors() // workers))
    crew = [_Worker(settings, longest, views, copy, threads) for _ in range(workers)]
    try:
        while waiting or any(worker.asked for worker in crew):
            for worker in crew:
                worker.top_up(waiting, fair=-(-len(items) // (4 * len(crew))))
            for place, worker in enumerate(crew):
                if worker.gone_wrong():
                    idle_deaths = 0 if worker.asked else idle_deaths + 1
                    if idle_deaths > _IDLE_DEATHS:
                        raise MedtlError("the processes that decode images end as soon as they start; is there memory left for them?")
                    if worker.asked:
                        number, *_ = worker.asked.popleft()
                        waiting.extendleft(reversed(worker.asked))
                        yield number, None, worker.verdict(settings)
                    worker.end()
                    crew[place] = _Worker(settings, longest, views, copy, threads)
            yield from _answers(crew, settings)
    finally:
        for worker in crew:
            worker.end()


def _answers(crew: list[_Worker], settings: ImageSettings) -> Iterator[Decoded]:
    busy = {worker.connection: worker for worker in crew if worker.asked and not worker.broken}
    if not busy or any(worker.broken for worker in crew):
        return
    soonest = min(worker.since for worker in busy.values()) + settings.timeout
    ready = wait(list(busy), timeout=max(0.0, soonest - time.monotonic()))
    for worker in busy.values():
        worker.overdue = worker.connection not in ready and time.monotonic() - worker.since > settings.timeout
    for connection in ready:
        answer = busy[connection].receive(settings)  # type: ignore[index]
        if answer is not None:
            yield answer


@dataclass(eq=False)
class _Worker:
    """The caller's end of one worker process."""

    settings: ImageSettings
    longest: int
    views: dict[int, View]
    copy: bool
    threads: int
    """For one image: where fewer images than processors are asked for, a decoder may take several."""
    connection: Connection = field(init=False)
    process: int = field(init=False)
    asked: deque[tuple[int, str, int]] = field(default_factory=deque)
    since: float = 0.0
    """When it began the image that it is working on."""
    broken: bool = False
    overdue: bool = False

    def __post_init__(self) -> None:
        try:
            self.process, self.connection = _nursery().bring_up(self.settings.timeout)
        except OSError:  # it had just ended (idle for long, or killed): once more with a new one
            self.process, self.connection = _nursery(fresh=True).bring_up(self.settings.timeout)

    def top_up(self, waiting: deque[tuple[int, str, int]], fair: int) -> None:
        """Send more once half of what was sent is answered."""
        if self.broken or not waiting or len(self.asked) > _AT_ONCE // 2:
            return
        more = [waiting.popleft() for _ in range(min(_AT_ONCE - len(self.asked), max(1, fair), len(waiting)))]
        idle = not self.asked
        how = {"settings": self.settings.model_dump(), "longest": self.longest, "copy": self.copy, "threads": self.threads}
        try:
            self.connection.send_bytes(json.dumps({**how, "items": more}).encode())
        except OSError:  # it is dead: of what it was asked before, answers may still be on their way; these images are not to blame
            waiting.extendleft(reversed(more))
            self.broken = idle
            return
        if idle:
            self.since = time.monotonic()
        self.asked.extend(more)

    def receive(self, settings: ImageSettings) -> Decoded | None:
        """The next answer; None where the worker died instead."""
        try:
            number, values = json.loads(self.connection.recv_bytes(_LONGEST_ANSWER))
            measurement = row({key: value for key, value in values.items() if value is not None})
            pixels = None
            if not measurement["quarantine"]:
                shape = (settings.size, settings.size, settings.channels)
                pixels = np.frombuffer(self.connection.recv_bytes(math.prod(shape)), np.uint8).reshape(shape)
            if number != self.asked[0][0]:
                raise ValueError("an answer out of turn")
            if pixels is not None and self.longest:
                header = self.connection.recv_bytes(_LONGEST_ANSWER)
                most = 65536 + 3 * self.longest**2 + (LARGEST_COPY if self.copy else 0)
                self.views[number] = from_bytes(header, self.connection.recv_bytes(most))
        except Exception:  # it died, or a decoder overwrote its memory and it talks nonsense
            self.broken = True
            return None
        self.asked.popleft()
        self.since = time.monotonic()
        return int(number), pixels, measurement

    def gone_wrong(self) -> bool:
        return self.broken or (bool(self.asked) and self.overdue)

    def verdict(self, settings: ImageSettings) -> dict[str, object]:
        """The measurement of the image that the worker was at when it went wrong."""
        if self.broken:
            return row({"quarantine": "DECODE_FAILED", "reason": "the decoder crashed on it"})
        return row({"quarantine": "DECODE_TIMEOUT", "reason": f"decoding it took more than {settings.timeout:g} seconds (image.timeout)"})

    def end(self) -> None:
        """Hang up and, if it is in the middle of something, kill it."""
        self.connection.close()
        if self.asked or self.broken or self.overdue:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)


class _Nursery:
    """The caller's end of the nursery process; it ends when the caller does, and by itself after a while without work."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        program = _PROGRAM.format(path=sys.path, descriptor=theirs.fileno())
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], pass_fds=[theirs.fileno()], start_new_session=True, env={**os.environ, **threads},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self._await_ready()

    def _await_ready(self) -> None:
        self._control.settimeout(_START_SECONDS)
        try:
            greeting = self._control.recv(1)
            if greeting == nursery.READY:
                return
            said = b"".join(iter(lambda: self._control.recv(65536), b"")).decode(errors="replace").strip()
        except TimeoutError:
            said = f"no sign of life within {_START_SECONDS:g} seconds"
        self.close()
        raise MedtlError(f"the processes that decode images cannot be started: {said.splitlines()[-1] if said else 'they ended at once'}")

    def bring_up(self, patience: float) -> tuple[int, Connection]:
        """A new worker: its process id and the connection to it; an answer that stops half-way for `patience` seconds is an OSError.

        Raises OSError where the nursery is gone.
        """
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", math.ceil(patience), 0))
        with self._lock, ours, theirs:
            socket.send_fds(self._control, [b"w"], [theirs.fileno()])
            answer = self._control.recv(8)
            if len(answer) < 8:
                raise ConnectionError("the nursery ended")
            return struct.unpack("<q", answer)[0], Connection(ours.detach())

    def alive(self) -> bool:
        return self.owner == os.getpid() and self._process.poll() is None

    def close(self) -> None:
        """Hang up; the nursery then ends its workers and itself."""
        self._control.close()
        if self.owner == os.getpid():
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()


_current: _Nursery | None = None
_starting = threading.Lock()


def _nursery(fresh: bool = False) -> _Nursery:
    """The one nursery of this process, started on first use, since bringing one up costs a second."""
    global _current
    with _starting:
        if fresh or _current is None or not _current.alive():
            close()
            _current = _Nursery()
        return _current


@atexit.register
def close() -> None:
    """End the nursery, if there is one; the next decode starts another. Happens by itself at exit."""
    global _current
    if _current is not None:
        _current.close()
        _current = None
