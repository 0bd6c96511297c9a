"""Where uploads lie while they are answered: a folder of this process and user alone, gone when the page ends.

Gradio keeps every upload, under its own name, until told otherwise. Here the folder has mode 0700, each upload is taken out of it and
renamed before it is read, removed when the answer is there (whatever happened), and the folder ends with the page. Of a page that was
killed, a guardian removes the folder: a process of its own that waits for the page to end in whatever way. Where that was killed too, or
the machine stopped, the next page does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medtl import files

_PREFIX = "medtl-page-"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for Gradio's uploads, and an environment in which this process alone decides what the page does.

    Must be entered before the page is built. GRADIO_* variables of the user's are left out of it: they could share the page with the
    network, serve other files or record calls.
    """
    with files.private_folder(_PREFIX) as folder, _guarded(folder), _private_environment(folder):
        yield folder


@contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """A shell that reads from a pipe until this process is no more, then removes the folder.

    A second time where something was just being written: an evaluation's process ends with the page, a moment later.
    In a session of its own, so that what is sent to the page's group of processes (Ctrl-C, a closed terminal) does not reach it.
    """
    command = ["/bin/sh", "-c", 'cat >/dev/null; rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }', "medtl-guardian", str(folder)]
    nowhere = subprocess.DEVNULL
    guardian = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True, cwd="/")
    try:
        yield
    finally:
        assert guardian.stdin is not None
        guardian.stdin.close()
        guardian.wait()


@contextmanager
def _private_environment(folder: Path) -> Iterator[None]:
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    hosts = [each for each in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if each]
    unproxied = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))  # the page asks itself whether it is up
    os.environ.update(
        GRADIO_TEMP_DIR=str(folder), GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1",
        NO_PROXY=unproxied, no_proxy=unproxied,
    )  # fmt: skip
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def taken(upload: Path) -> Iterator[Path]:
    """The upload under a neutral name (its suffix stays, which tells an .npz), removed with its folder at the end."""
    folder = Path(tempfile.mkdtemp(dir=upload.parents[1], prefix="answering-"))
    try:
        suffix = ".npz" if upload.suffix.lower() == ".npz" else ""
        yield upload.rename(folder / f"upload{suffix}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        upload.unlink(missing_ok=True)
        with suppress(OSError):  # it holds something else, which is not ours
            upload.parent.rmdir()
