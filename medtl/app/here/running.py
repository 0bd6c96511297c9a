"""The page's end of an evaluation's process: begun, listened to, ended."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LONGEST = 3600.0
"""Seconds that an evaluation may take."""
_PROGRAM = "import sys; sys.path[:] = {path!r}; from medtl.app.here.worker import main; main()"
_BEAT = 0.5
_running: set[Running] = set()


class Running:
    """One evaluation.

    package: the model's folder. manifest: see :mod:`medtl.app.here.manifest`. classes: label → class. place: below it lies everything that
    is written on the way, and what comes of it in `out`.
    """

    def __init__(self, package: Path, manifest: Path, classes: Mapping[str, str], place: Path):
        job = {"package": str(package), "manifest": str(manifest), "classes": dict(classes), "out": str(place / "out")}
        for name in ("cache", "tmp"):
            (place / name).mkdir(mode=0o700)
        own = {"MEDTL_CACHE": str(place / "cache"), "TMPDIR": str(place / "tmp")}  # pixels are kept in neither of the user's
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(path=sys.path)], env={**os.environ, **own}, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        _running.add(self)
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError):
                self._events.put(json.loads(line))
        self._events.put(None)

    def events(self) -> Iterator[dict[str, Any]]:
        """What happens, at least an empty event in every half second, the outcome last."""
        until = time.monotonic() + LONGEST
        while time.monotonic() < until:
            try:
                event = self._events.get(timeout=_BEAT)
            except queue.Empty:
                yield {}
                continue
            if event is None:
                yield {"defect": f"the process ended, exit code {self._process.wait()}"}
                return
            yield event
            if not {"progress", "said"} & event.keys():
                return
        yield {"refused": f"it took more than {LONGEST / 60:.0f} minutes; hand over fewer cases in one go"}

    def end(self) -> None:
        """Whatever it is doing; twice is no harm."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
        _running.discard(self)


@contextmanager
def ended() -> Iterator[None]:
    """At the end of the block no evaluation runs any more."""
    try:
        yield
    finally:
        for each in list(_running):
            each.end()
