"""Uploads lie in a folder of their own, and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.state_holder import StateHolder

from medtl.app.door import uploads
from medtl.app.door.belongings import VISITOR, Guard
from medtl.app.door.forgetful import forget, nothing_kept
from medtl.app.door.private import private_folder, taken
from medtl.app.door.uploads import swept


def test_the_folder_is_private_and_ends(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_ALLOWED_PATHS", "/")
    monkeypatch.setenv("GRADIO_SHARE", "True")
    monkeypatch.setenv("NO_PROXY", "hospital.example")
    with private_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert os.environ["GRADIO_TEMP_DIR"] == str(folder)
        assert {name for name in os.environ if name.startswith("GRADIO_")} == {"GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"}
        assert os.environ["NO_PROXY"] == "hospital.example,127.0.0.1,localhost"
        (folder / "left").write_text("something")
    assert not folder.exists()
    assert os.environ["GRADIO_SHARE"] == "True"
    assert "GRADIO_TEMP_DIR" not in os.environ


def test_what_a_killed_page_left_is_removed_and_what_a_living_one_has_stays(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, link = tmp_path / "medtl-page-dead", tmp_path / "medtl-page-link"
    (dead / "upload").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    link.symlink_to(tmp_path / "elsewhere")
    with private_folder() as alive, private_folder() as second:
        assert not dead.exists()
        assert alive.exists()
        assert second != alive
        assert (tmp_path / "elsewhere").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "medtl-page-link"]


def uploaded(place: Path, name: str) -> Path:
    upload = place / "0123abcd" / name
    upload.parent.mkdir()
    upload.write_bytes(b"bytes")
    return upload


@pytest.fixture
def sessions():
    """Gradio's, of a page with one part and one `gradio.State`, whose callback is noted."""
    deleted = []
    state = gr.State("an answer", delete_callback=deleted.append, render=False)
    part = SimpleNamespace(stateful=False, _id=state._id + 1)
    parts = SimpleNamespace(blocks={each._id: each for each in (state, part)}, config_for_block=lambda *_: {"props": {}})
    holder = StateHolder()
    holder.set_blocks(SimpleNamespace(default_config=parts, blocks=parts.blocks, state_session_capacity=100))
    return SimpleNamespace(holder=holder, part=part, state=state._id, deleted=deleted)


def test_what_a_person_was_shown_is_not_kept(sessions):
    """By Gradio, for the last 10,000 sessions; what handlers keep for each other stays."""

    def kept(name: str) -> str:
        session = sessions.holder[name]
        session[sessions.part._id] = sessions.part
        session._update_value_in_config(sessions.part._id, "an image")
        assert session[sessions.state] == "an answer"
        return str(list(session.components))

    with nothing_kept():
        assert kept("here") == "[]"
    assert "an image" in kept("else"), "Gradio keeps it, or this is not needed"


def test_a_session_that_nobody_uses_is_forgotten_with_its_files(sessions):
    with nothing_kept():
        for name in ("old", "new"):
            sessions.holder[name][sessions.state] = f"files of {name}"
        sessions.holder.time_last_used["old"] -= timedelta(minutes=61)
        forget(sessions.holder)
    assert list(sessions.holder.session_data) == list(sessions.holder.time_last_used) == ["new"]
    assert sessions.deleted == ["files of old"]


def test_sweeping_goes_on_after_something_went_wrong():
    turns, done = [], threading.Event()

    def wrong() -> None:
        turns.append(1)
        if len(turns) == 3:
            done.set()
        raise KeyError("a session that another thread has just forgotten")

    with swept(every=0.01, also=[wrong]):
        assert done.wait(10)


@pytest.fixture
def arriving(tmp_path, monkeypatch):
    """Takes in an upload whose second piece comes `seconds` later, after the page has swept; `last`: what then comes."""
    clock = [time.monotonic()]
    monkeypatch.setattr(uploads, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    head = b'--zzz\r\nContent-Disposition: form-data; name="files"; filename="many.zip"\r\n\r\n'

    def take(seconds: float, last: bytes | BaseException = b"two\r\n--zzz--\r\n") -> list[Path]:
        pieces = [head + b"one", last]

        async def receive():
            piece = pieces.pop(0)
            if not pieces:
                clock[0] += seconds
                uploads.NAMES.sweep()
            if isinstance(piece, BaseException):
                raise piece
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        return asyncio.run(uploads.take_in({b"content-type": b"multipart/form-data; boundary=zzz"}, receive, tmp_path, 1000))

    yield SimpleNamespace(take=take, clock=clock)
    uploads.NAMES.sweep(older=-1.0, stuck=-1.0)


def test_an_upload_is_not_swept_while_it_arrives(arriving):
    [file] = arriving.take(3600)
    assert file.read_bytes() == b"onetwo"
    arriving.clock[0] += uploads.ABANDONED - 1
    uploads.NAMES.sweep()
    assert file.exists(), "its time runs from its end"
    assert uploads.NAMES.of(file) == "many.zip"
    arriving.clock[0] += 2
    uploads.NAMES.sweep()
    assert not file.parent.exists()


@pytest.mark.parametrize("last", [b"cut", asyncio.CancelledError(), ConnectionResetError()])
def test_an_upload_that_broke_off_is_gone_at_once(arriving, tmp_path, last):
    with pytest.raises((uploads.Refused, asyncio.CancelledError)):
        arriving.take(1, last)
    assert list(tmp_path.iterdir()) == []
    assert uploads.NAMES._names == {}


def test_an_upload_that_never_ends_is_swept_in_the_end(arriving, tmp_path):
    with pytest.raises(uploads.Refused, match="took longer than 24 hours"):
        arriving.take(uploads.STUCK + 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "neutral"), [("Ann Smith.dcm", "upload"), ("Ann Smith.NPZ", "upload.npz")])
def test_an_upload_loses_its_name_and_is_gone_whatever_happens(tmp_path, name, neutral):
    seen = []

    def fail() -> None:
        with taken(uploaded(tmp_path, name)) as file:
            seen.append((file.name, file.read_bytes()))
            raise ValueError("a broken image")

    with pytest.raises(ValueError, match="a broken image"):
        fail()
    assert seen == [(neutral, b"bytes")]
    assert list(tmp_path.iterdir()) == []


def test_only_the_upload_is_removed(tmp_path):
    upload = uploaded(tmp_path, "a.png")
    neighbour = upload.with_name("not ours.png")
    neighbour.write_bytes(b"x")
    with taken(upload):
        pass
    assert neighbour.exists()
    assert not upload.exists()


@pytest.mark.parametrize(("status", "stays"), [(200, True), (503, False)])
def test_an_upload_that_found_the_queue_full_is_not_kept(tmp_path, status, stays):
    upload = tmp_path / "random" / "upload"
    upload.parent.mkdir()
    upload.write_bytes(b"an image")
    body = json.dumps({"data": [{"path": str(upload)}], "session_hash": "s"}).encode()

    async def page(scope, receive, send):
        assert (await receive())["body"] == body
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        assert message["status"] == status

    guard = Guard(page, tmp_path, 10)
    guard.belongings.claim("file", str(upload), "anna")
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "query_string": b"", VISITOR: "anna"}
    asyncio.run(guard(scope, receive, send))
    assert upload.exists() == stays
