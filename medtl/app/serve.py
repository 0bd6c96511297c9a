"""`medtl serve`: the page, on this machine alone unless people log in and browsers come by https."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from medtl.app.desk import Desk
from medtl.app.door.forgetful import forget, nothing_kept
from medtl.app.door.private import private_folder
from medtl.app.door.quiet import without_values
from medtl.app.door.uploads import swept
from medtl.app.door.ways import HOST, Way, ways
from medtl.app.engines import desk_of
from medtl.app.here.running import ended
from medtl.errors import MedtlError
from medtl.memory import return_freed_memory, share_pools

FIRST_PORT, PORTS = 7860, 100


def serve(
    models: Sequence[Path | str],
    port: int | None = None,
    open_browser: bool = True,
    host: str = HOST,
    users: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    behind_proxy: str | None = None,
    engine: str = "torch",
    examples: Path | None = None,
    reading_first: bool = False,
    study: Path | None = None,
    feedback: Path | None = None,
) -> None:
    """Open the page and stay until Ctrl-C or SIGTERM.

    Arguments:
        models: package or run folders, the first is chosen at first.
        port: default the first free one from 7860 on.
        open_browser: show it, where there is a screen.
        host: 127.0.0.1, or the name for it; another only with `users` and https.
        users: a file of `medtl users`; then everybody has to log in.
        certificate, key: PEM files; then the page speaks https.
        behind_proxy: the https address under which a reverse proxy shows the page.
        engine: `torch`, or `onnxruntime`.
        reading_first: people read every image before the model's answer is shown (docs/reader_study.md).
        study: a folder for their readings, where they read first.
        feedback: a folder for what people say about answers (docs/page.md).
        examples: a folder of images that the page offers to try.
    Raises:
        MedtlError: no models, a taken port, no folder of examples, a host without login or without https, a study without reading first.
    """
    way = ways(host, users, certificate, key, behind_proxy)
    with opened(models, port, HOST, way, engine, reading_first, study, feedback, examples) as address:
        print(f"The page is open at {address} ({way.said()}). Ctrl-C ends it.", flush=True)
        if open_browser and _has_screen():
            webbrowser.open(address)
        _until_stopped()
    print("The page is closed; nothing that was uploaded is left.", flush=True)


@contextmanager
def opened(
    models: Sequence[Path | str], port: int | None = None, host: str = HOST, way: Way | None = None, engine: str = "torch",
    reading_first: bool = False, study: Path | None = None, feedback: Path | None = None,
    examples: Path | None = None,
) -> Iterator[str]:  # fmt: skip
    """The page, up and ready to answer, as its address; closed at the end of the block. See :func:`serve`."""
    way = way or ways(host)
    _check_free(port)
    if study is not None and not reading_first:
        raise MedtlError(f"--study {study}: readings are stored where people read first; give --reading-first too")
    if examples is not None and not examples.is_dir():
        raise MedtlError(f"--examples {examples}: there is no such folder; give a folder of images")
    share_pools()
    desk = desk_of(models, engine)
    with private_folder() as folder:
        from medtl.app.page.building import LARGEST_UPLOAD, WAITING, build  # reads the environment that was just made
        from medtl.app.page.feedback import Feedback
        from medtl.app.page.feedback_folder import FeedbackFolder
        from medtl.app.page.reading_first import ReadingFirst
        from medtl.app.page.study_folder import StudyFolder
        from medtl.app.programs import for_programs

        first = ReadingFirst(StudyFolder(study) if study else None, way.users is not None) if reading_first else None
        told = Feedback(FeedbackFolder(feedback), way.users is not None) if feedback else None
        _rehearse(desk, folder)
        before = way.before(desk, folder, LARGEST_UPLOAD, answers=first is None)
        page = build(models, desk, examples, first, told, way.users is not None)
        page = (page if first else for_programs(page, desk, folder)).queue(max_size=WAITING, default_concurrency_limit=1)
        try:
            _, address, _ = page.launch(
                server_name=way.host, server_port=port, share=False, inbrowser=False, prevent_thread_lock=True, quiet=True,
                show_error=False, max_file_size=LARGEST_UPLOAD, strict_cors=True, enable_monitoring=False, run_history=False,
                footer_links=[], ssr_mode=False, mcp_server=False, pwa=False, app_kwargs=before, **way.for_launch(), **_look(),
            )  # fmt: skip
        except OSError:
            raise _taken(port) from None
        try:
            sweeps = [lambda: forget(page.state_holder), *([told.sweep] if told else []), return_freed_memory]
            with swept(also=sweeps), without_values(), nothing_kept(), ended():
                yield way.behind_proxy or address
        finally:
            page.close(verbose=False)


def _check_free(port: int | None) -> None:
    """Before minutes are spent on loading; the page itself finds out for good."""
    if port is None:
        return
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((HOST, port))
        except OSError:
            raise _taken(port) from None


def _taken(port: int | None) -> MedtlError:
    tried = f"port {port}" if port is not None else f"every port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1}"
    return MedtlError(f"{tried} is taken on this machine, or not allowed; choose another with --port")


def _rehearse(desk: Desk, folder: Path) -> None:
    """Answer for a made image with every model, so that a defect shows now and the first person does not wait."""
    file = folder / "rehearsal.png"
    cv2.imwrite(str(file), np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8))
    for label in desk.labels:
        desk.answer(label, file)
    file.unlink()


def _look() -> dict[str, Any]:
    """Fonts of the system, so that none is fetched, and quiet colours."""
    import gradio as gr

    from medtl.app.page.building import STYLES

    fonts = ["system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif"]
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.blue, neutral_hue=gr.themes.colors.slate, radius_size=gr.themes.sizes.radius_sm,
        font=fonts, font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
    ).set(body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_300",
          block_label_text_color="*neutral_600", block_label_text_color_dark="*neutral_300",
          block_title_text_color="*neutral_700", block_title_text_color_dark="*neutral_200")  # fmt: skip
    return {"theme": theme, "css_paths": list(STYLES)}


def _has_screen() -> bool:
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _until_stopped() -> None:
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            stop.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    else:
        stop.wait()
