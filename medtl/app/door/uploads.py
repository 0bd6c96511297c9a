"""Uploads on their way in: from a multipart request straight to random names in the private folder; what they were called stays in memory.

Gradio would write them under their own names, which often are patients'.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from python_multipart.multipart import MultipartParser, parse_options_header

MOST_FILES = 5_000
"""In one request."""
LARGEST_IMAGE = 256 << 20
"""Bytes; the largest radiographs and most volumes are well below."""
ABANDONED = 600.0
"""Seconds from its end after which an upload that nobody asked about is removed."""
STUCK = 24 * 3600.0
"""Seconds from its beginning after which an upload that has not ended is removed: gigabytes over a slow line take hours."""
_ENDINGS = re.compile(r"(?i)(\.nii\.gz|\.(?:dcm|zip|npz|nii|png|jpe?g|tiff?|bmp|webp|gif|hei[cf]|csv|ima|dicom))$")
"""By which readers and forms tell a kind of file; every other ending is dropped with the name."""

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class Refused(Exception):
    """An upload that is not taken. `status`: of HTTP; the text quotes nothing of it."""

    def __init__(self, status: int, sentence: str):
        self.status = status
        super().__init__(sentence)


class Names:
    """What uploads were called by the persons who chose them, by path; in memory alone."""

    def __init__(self) -> None:
        self._names: dict[str, tuple[str, float]] = {}
        self._arriving: set[str] = set()
        self._lock = threading.Lock()

    def keep(self, file: Path, name: str) -> None:
        """Of an upload that begins to arrive."""
        with self._lock:
            self._names[str(file)] = (name, time.monotonic())
            self._arriving.add(str(file))

    def arrived(self, files: Sequence[Path]) -> bool:
        """They are whole: from now on somebody has to ask about them. False where one was swept before."""
        with self._lock:
            known = [path for path in map(str, files) if path in self._names]
            for path in known:
                self._names[path] = (self._names[path][0], time.monotonic())
                self._arriving.discard(path)
            return len(known) == len(files)

    def forget(self, files: Iterable[Path]) -> None:
        """They broke off."""
        with self._lock:
            for path in map(str, files):
                self._names.pop(path, None)
                self._arriving.discard(path)

    def of(self, file: Path) -> str:
        """The name that the person knows; else that of the path."""
        with self._lock:
            return self._names.get(str(file), (file.name, 0.0))[0]

    def sweep(self, older: float = ABANDONED, stuck: float = STUCK) -> None:
        """Forget those that ended longer than `older` seconds ago, or began longer than `stuck` ago and never ended, and remove their files
        where they still lie there."""
        now = time.monotonic()
        with self._lock:
            old = [path for path, (_, at) in self._names.items() if at < now - (stuck if path in self._arriving else older)]
            for path in old:
                del self._names[path]
                self._arriving.discard(path)
        for path in old:
            shutil.rmtree(Path(path).parent, ignore_errors=True)


NAMES = Names()
"""Of this process's uploads: whoever shows one to the person who sent it asks here."""


@contextmanager
def swept(every: float = 20.0, also: Sequence[Callable[[], None]] = ()) -> Iterator[None]:
    """Meanwhile, remove uploads that nobody asked about, and do what is `also` to be done now and then; at the end forget all names."""
    over = threading.Event()

    def sweep() -> None:
        while not over.wait(every):
            NAMES.sweep()
            for each in also:
                with suppress(Exception):  # the next time, then: uploads have to go on being removed
                    each()

    threading.Thread(target=sweep, name="medtl-sweep", daemon=True).start()
    try:
        yield
    finally:
        over.set()
        NAMES.sweep(older=-1.0, stuck=-1.0)


@dataclass
class _Intake:
    """One request's files, part by part."""

    folder: Path
    largest: int
    """Bytes of all files together."""
    written: list[Path] = field(default_factory=list)
    _headers: bytearray = field(default_factory=bytearray)
    _field: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""
    _out: BinaryIO | None = None
    _allowed: int = 0
    _size: int = 0
    _all: int = 0
    ended: bool = False
    """The form's last line was there."""

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._part_begins, "on_header_field": self._header_name, "on_header_value": self._header_value,
            "on_header_end": self._header_ends, "on_headers_finished": self._content_begins, "on_part_data": self._data,
            "on_part_end": self.close, "on_end": self._end,
        }  # fmt: skip

    def _part_begins(self) -> None:
        self._disposition, self._size = b"", 0
        self._field.clear()
        self._headers.clear()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers += data[start:end]

    def _header_ends(self) -> None:
        if bytes(self._field).lower() == b"content-disposition":
            self._disposition = bytes(self._headers)
        self._field.clear()
        self._headers.clear()

    def _content_begins(self) -> None:
        given = parse_options_header(self._disposition)[1].get(b"filename")
        if given is None:
            return
        if len(self.written) >= MOST_FILES:
            raise Refused(413, f"more than {MOST_FILES:,} files in one go; zip them")
        name = re.split(r"[/\\]", given.decode("utf-8", "replace"))[-1]
        ending = _ENDINGS.search(name)
        place = self.folder / secrets.token_hex(20)
        place.mkdir(mode=0o700)
        file = place / f"upload{ending[0].lower() if ending else ''}"
        self._allowed = self.largest if file.suffix == ".zip" else min(LARGEST_IMAGE, self.largest)
        self._out = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self.written.append(file)
        NAMES.keep(file, name)

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._out is None:
            return
        self._size += end - start
        self._all += end - start
        if self._size > self._allowed or self._all > self.largest:
            together = f"{self.largest >> 20:,} MiB for a zip or all files together"
            raise Refused(413, f"the file is too large; allowed are {LARGEST_IMAGE >> 20} MiB for an image, {together}")
        self._out.write(data[start:end])

    def _end(self) -> None:
        self.ended = True

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def discard(self) -> None:
        self.close()
        for file in self.written:
            shutil.rmtree(file.parent, ignore_errors=True)
        NAMES.forget(self.written)


async def take_in(headers: Mapping[bytes, bytes], receive: Receive, folder: Path, largest: int) -> list[Path]:
    """The files of a multipart request, each alone in a folder of random name (0700) below `folder`.

    Raises Refused: no multipart request, more than `largest` bytes, an image of more than LARGEST_IMAGE, too many files, broken off, more
    than STUCK seconds; then nothing is left.
    """
    kind, options = parse_options_header(headers.get(b"content-type", b""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Refused(400, "an upload is a multipart form")
    with suppress(ValueError):
        if int(headers.get(b"content-length", b"0")) > largest + (1 << 20):
            raise Refused(413, f"the upload is too large; allowed are {largest >> 20:,} MiB together")
    intake = _Intake(folder, largest)
    parser = MultipartParser(options[b"boundary"], intake.callbacks())  # type: ignore[arg-type]
    try:
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise Refused(400, "the upload broke off")
            parser.write(message.get("body", b""))
            if not message.get("more_body", False):
                break
        parser.finalize()
        if not intake.ended:
            raise Refused(400, "the upload broke off")
        intake.close()
        if not NAMES.arrived(intake.written):
            raise Refused(408, f"the upload took longer than {STUCK / 3600:.0f} hours; send it in parts")
    except BaseException as error:  # a request that is cancelled leaves nothing either
        intake.discard()
        if isinstance(error, Refused) or not isinstance(error, Exception):
            raise
        raise Refused(400, "the upload cannot be read as a multipart form") from None
    return intake.written
