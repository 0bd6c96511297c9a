"""What people were shown is not kept. Gradio keeps the last value of every part of the page, the image among them, for each of the last
10,000 sessions, so that a link can bring a session back; the page offers no such links (`belongings` lets no request for one through). What
handlers keep for each other goes when a session has not been used for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

_UNUSED = timedelta(hours=1)


class _Nothing(dict[int, dict[str, Any]]):
    """Takes values, and has none."""

    def __setitem__(self, key: int, value: dict[str, Any]) -> None:
        pass

    def __missing__(self, key: int) -> dict[str, Any]:
        return {}


@contextmanager
def nothing_kept() -> Iterator[None]:
    """Meanwhile, new sessions keep what handlers need of each other (`gradio.State`), and no value of any part."""
    from gradio.state_holder import SessionState

    SessionState.config_values = property(lambda _: _Nothing(), lambda *_: None)  # type: ignore[assignment]
    try:
        yield
    finally:
        del SessionState.config_values


def forget(sessions: Any, unused: timedelta = _UNUSED) -> None:
    """Drop those that nobody has used for so long, and the files they hold. `sessions`: Gradio's `StateHolder`."""
    limit = datetime.now() - unused
    for name in [name for name, used in list(sessions.time_last_used.items()) if used < limit]:
        sessions.delete_state(name)
        with sessions.lock:
            sessions.session_data.pop(name, None)
            sessions.time_last_used.pop(name, None)
