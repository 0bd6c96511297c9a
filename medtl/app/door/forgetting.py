"""What the page keeps of a person in memory, and for how long.

Gradio keeps the last values of every part of the page, the picture among them, of each of the last 10,000 sessions: for links to a page
with its answer, which are not open here (:mod:`medtl.app.door.belongings`). So it is not kept at all; and a session with its table of
answers goes when its page is closed, or is not used for long.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gradio.state_holder import SessionState, StateHolder

if TYPE_CHECKING:
    import gradio as gr

CLOSED = timedelta(minutes=10)
"""After the last use of a page that is closed: its connection may only have been lost."""
UNUSED = timedelta(hours=1)
MOST_SESSIONS = 200
"""The one that was not used for the longest gives way."""


class Forgetful(StateHolder):
    """The sessions of a page."""

    def __getitem__(self, session_id: str) -> SessionState:
        session = super().__getitem__(session_id)
        if not isinstance(session.config_values, _Nothing):
            session.config_values = _Nothing()
        return session

    def delete_all_expired_state(self) -> None:
        """Gradio calls it once a minute."""
        super().delete_all_expired_state()
        now = datetime.now()
        for session_id, session in list(self.session_data.items()):
            if now - self.time_last_used.get(session_id, now) > (CLOSED if session.is_closed else UNUSED):
                self._forget(session_id)

    def _forget(self, session_id: str) -> None:
        self.delete_state(session_id)  # an upload that waits goes too
        with self.lock:
            self.session_data.pop(session_id, None)
            self.time_last_used.pop(session_id, None)


class _Nothing(dict[int, Any]):
    """What is put into it is not kept."""

    def __setitem__(self, key: int, value: Any) -> None:
        pass

    def __missing__(self, key: int) -> dict[str, Any]:
        return {}


def forgetful(page: gr.Blocks) -> Forgetful:
    """From now on the sessions of a launched page are kept like this."""
    sessions = Forgetful()
    sessions.set_blocks(page)
    page.app.state_holder = sessions
    return sessions
