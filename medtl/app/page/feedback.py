"""Below an answer, where who serves the page wants it: was this right? What is said is stored for `medtl update` (docs/page.md).

The upload itself is gone with the answer as ever. Its pixels are kept in memory, for the person alone, until the feedback is sent, the next
image comes, or :data:`LONGEST` seconds are over; only what is sent with consent is written.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

import gradio as gr

from medtl.app.desk import Answer
from medtl.app.door.belongings import NAME
from medtl.app.page.feedback_folder import BASES, FACTS, FeedbackFolder, Picture, Said
from medtl.app.page.readings import Opinion
from medtl.cohorts.ids import installation_key
from medtl.contracts import NONE, Task
from medtl.errors import MedtlError

LONGEST = 600.0
MOST_BYTES = 512 << 20
"""Of all pictures that wait in memory."""
_LONGEST_COMMENT = 500
_UNTOLD = "cannot be told"
Changes = dict[str, Any]


@dataclass(eq=False)
class Owed:
    """An answer that a person may say something about."""

    answer: Answer
    first: Opinion | None = None
    """What the person had said before the model, where people read first."""
    png: bytes = field(default=b"", repr=False)
    since: float = field(default_factory=time.monotonic)


class Feedback:
    """How the page is served. `folder`: where it is stored."""

    def __init__(self, folder: FeedbackFolder, logins: bool = False):
        self.folder, self.logins = folder, logins
        self._waiting: weakref.WeakSet[Owed] = weakref.WeakSet()
        installation_key()  # whoever cannot have one hears it now

    def form(self) -> dict[str, Any]:
        """Makes the parts."""
        return _parts()

    def wire(self, parts: dict[str, Any]) -> None:
        """What happens when they are used."""
        names = ("owed", "right_one", "right_any", "basis", "comment", "consent")
        outputs = [parts[name] for name in ("owed", "thanks", "send")]

        def sent(*given: Any) -> dict[Any, Any]:
            *values, request = given
            return {parts[name]: value for name, value in self.sent(*values, person=self._person(request)).items()}

        def send(owed: Any, one: Any, several: Any, basis: Any, comment: Any, consent: Any, request: gr.Request) -> dict[Any, Any]:
            return sent(owed, one, several, basis, comment, consent, request)

        parts["send"].click(send, [parts[name] for name in names], outputs, api_visibility="private", show_progress="hidden")

    def offered(self, answer: Answer, first: Opinion | None = None) -> Changes:
        """The form for an answer that was just given. `first`: see :class:`Owed`."""
        self.sweep()
        png = answer.reading.view.copy
        if sum(len(each.png) for each in self._waiting) + len(png) > MOST_BYTES:
            png = b""
        owed = Owed(answer, first, png)
        self._waiting.add(owed)
        task, several = answer.package.task, answer.package.task.kind == "multi"
        return {
            "feedback": gr.Accordion(visible=True, open=False), "owed": owed,
            "right_one": gr.Radio(choices=[*task.names, _UNTOLD], value=None, visible=not several),
            "right_any": gr.CheckboxGroup(choices=[*task.names, ("none of these", NONE), _UNTOLD], value=[], visible=several),
            "basis": gr.Radio(value=None), "comment": "", "consent": gr.Checkbox(value=False, interactive=bool(png)), "thanks": "",
            "send": gr.Button(visible=True),
        }  # fmt: skip

    def sent(
        self, owed: Owed | None, one: str | None, several: Sequence[str], basis: str | None, comment: str, consent: bool, person: str = ""
    ) -> Changes:
        """Store what was said; the pixels are forgotten."""
        try:
            if owed is None or time.monotonic() - owed.since > LONGEST:
                raise MedtlError("Too late: the image is forgotten by now. Choose it again")
            package, reading = owed.answer.package, owed.answer.reading
            called = _called(package.task, several if package.task.kind == "multi" else one)
            if basis not in BASES:
                raise MedtlError("Say what it rests on")
            if len(comment) > _LONGEST_COMMENT:
                raise MedtlError(f"The comment has {len(comment):,} letters; {_LONGEST_COMMENT} at most")
            seen = owed.first is None or called != owed.first.called
            known = {fact: str(reading.measurement[fact] or owed.answer.given.get(fact, "")) for fact in FACTS}
            keeps = consent and bool(owed.png)
            picture = Picture(owed.png, reading.patient_id, str(reading.measurement["pixel_hash"]), known) if keeps else None
            about = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"), "model_fingerprint": package.fingerprint,
                "model_decision": owed.answer.decision, "model_reason": owed.answer.reason.rpartition("[")[2].rstrip("]"),
            }  # fmt: skip
            self.folder.add(package.name, package.task, Said(called, basis, seen, comment.strip(), person), picture, about)
        except MedtlError as error:
            return {"thanks": f'<p role="alert">{escape(str(error))}.</p>'}
        owed.png = b""
        told = "Stored, with the image." if picture else "Stored, without the image."
        return {"owed": None, "thanks": f'<p role="status">{told}</p>', "send": gr.Button(visible=False)}

    def sweep(self) -> None:
        """Forget pixels that waited too long."""
        for owed in list(self._waiting):
            if time.monotonic() - owed.since > LONGEST:
                owed.png = b""

    def _person(self, request: gr.Request) -> str:
        return str(request.request.scope.get(NAME, "")) if self.logins and request.request is not None else ""


def _called(task: Task, given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    chosen = [given] if isinstance(given, str) else list(given or ())
    if not chosen:
        raise MedtlError("Say what it is, or that it cannot be told")
    if len(chosen) > 1 and (NONE in chosen or _UNTOLD in chosen):
        raise MedtlError("You chose findings and that there is none, or that it cannot be told; untick one")
    if chosen == [_UNTOLD]:
        return None
    return tuple(name for name in task.names if name in chosen)


def _parts() -> dict[str, Any]:
    with gr.Accordion("Was this right?", open=False, visible=False, elem_id="medtl-feedback") as fold:
        parts: dict[str, Any] = {"feedback": fold}
        parts["right_one"] = gr.Radio([], label="What is it?", interactive=True)
        parts["right_any"] = gr.CheckboxGroup([], label="What is there?", interactive=True, visible=False)
        parts["basis"] = gr.Radio(list(BASES), label="It rests on", interactive=True)
        parts["comment"] = gr.Textbox(
            label="Comment (no names, no numbers of patients; it is stored as it stands)", max_length=_LONGEST_COMMENT, lines=2
        )
        parts["consent"] = gr.Checkbox(
            label="The image may be kept here for further training (its pixels alone, under a random name)", value=False
        )
        parts["thanks"] = gr.HTML()
        parts["send"] = gr.Button("Send", size="sm", elem_id="medtl-send")
    parts["owed"] = gr.State(None, time_to_live=LONGEST)
    return parts
