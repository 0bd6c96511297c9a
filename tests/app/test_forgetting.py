"""What the page keeps of a person in memory: nothing of the picture, and no session for long."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import gradio as gr
import pytest

from medtl.app.door.forgetting import CLOSED, UNUSED, Forgetful

SHOWN = -1
"""The number of a part of the page."""


@pytest.fixture
def parts():
    """Sessions of a page with a part and a state, which is told when it goes; a whole page would start event loops of its own."""
    gone: list[str] = []
    held = gr.State("nothing", delete_callback=lambda value: gone.append(value))
    config = SimpleNamespace(blocks={SHOWN: SimpleNamespace(stateful=False), held._id: held},
                             config_for_block=lambda key, parts, block: {"props": {}})  # fmt: skip
    sessions = Forgetful()
    sessions.set_blocks(SimpleNamespace(default_config=config, blocks=config.blocks, state_session_capacity=2))
    return sessions, held._id, gone


def test_what_was_shown_is_not_kept(parts):
    sessions, held, _ = parts
    session = sessions["anna"]
    session._update_value_in_config(SHOWN, "a picture")
    session[held] = "a table"
    assert sessions["anna"] is session
    assert session[held] == "a table"
    assert list(session.components) == []
    assert "a picture" not in repr(vars(session))


@pytest.mark.parametrize(("closed", "limit"), [(True, CLOSED), (False, UNUSED)])
def test_a_session_is_forgotten_after_a_while_with_what_it_held(parts, closed, limit):
    sessions, held, gone = parts
    sessions["anna"][held] = "an upload"
    sessions["anna"].is_closed = closed
    sessions.time_last_used["anna"] -= limit - timedelta(seconds=30)
    sessions.delete_all_expired_state()
    assert "anna" in sessions
    sessions.time_last_used["anna"] -= timedelta(seconds=60)
    sessions.delete_all_expired_state()
    assert "anna" not in sessions
    assert gone == ["an upload"]
