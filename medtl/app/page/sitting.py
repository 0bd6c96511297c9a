"""One reader before some cases: their order, which one is shown, and what was said of them. Knows nothing of Gradio.

Cases come in random order, another one at every sitting, so that none is always read tired and no pattern of the upload shows. Files lie in
the private folder until they are read, and are removed one by one.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import medtl
from medtl.app.desk import Answer, Desk
from medtl.app.page.held import Held
from medtl.app.page.many import images
from medtl.app.page.readings import WITH, WITHOUT, Opinion, rows
from medtl.app.page.study_folder import StudyFolder
from medtl.app.reading import Reading, Unreadable, read
from medtl.errors import MedtlError

MOST_CASES = 2_000


@dataclass(frozen=True)
class Case:
    """An image that is to be read."""

    file: Path
    number: int | None
    """Which image of the file, from 1; None: as the page chooses."""


@dataclass
class Sitting:
    """Grows as the reader goes on; of one person."""

    label: str
    given: Mapping[str, str]
    cases: Sequence[Case]
    """In the order in which they are shown."""
    seed: int | None
    """Of that order; None of a single case."""
    session: str = field(default_factory=lambda: secrets.token_hex(4))
    reader: str = ""
    place: int = -1
    """Which case is shown; -1 before the first."""
    reading: Reading | None = None
    first: Opinion | None = None
    answer: Answer | None = None
    since: float = 0.0
    """When what is shown was sent (monotonic seconds)."""
    left_out: int = 0
    """Files that cannot be read."""
    before: int = 0
    """Cases that this reader had read before."""
    table: list[dict[str, str]] = field(default_factory=list)

    @property
    def last(self) -> bool:
        return self.place + 1 >= len(self.cases)

    def begin(self, reader: str) -> None:
        self.reader = reader

    def next(self, desk: Desk, study: StudyFolder | None) -> bool:
        """Go to the next case that can be read and was not; False where there is none. A single one that cannot be read: Unreadable."""
        known = study.read_before(self.reader) if study else set()
        self.reading = self.first = self.answer = None
        self._forget()
        while not self.last:
            self.place += 1
            case, model = self.cases[self.place], desk.model(self.label)
            try:
                reading = read(case.file, case.number, model.image, copy=desk.copies)
            except Unreadable:
                if len(self.cases) == 1:
                    raise
                self.left_out += 1
                self._forget()
                continue
            if (_key(reading), model.package.name) in known:
                self.before += 1
                self._forget()
                continue
            self.reading, self.since = reading, time.monotonic()
            return True
        self.place = len(self.cases)
        return False

    def read_first(self, desk: Desk, said: Opinion, seconds: float | None, study: StudyFolder | None) -> None:
        """Store what was said without the model; only then is the model asked."""
        assert self.reading is not None
        self._store(rows(said, WITHOUT, self._facts(desk, seconds)), study)
        self.first = said
        self.answer = desk.answer_read(self.label, self.reading, self.given)
        self.since = time.monotonic()

    def read_again(self, desk: Desk, said: Opinion, seconds: float | None, study: StudyFolder | None) -> None:
        """Store what is said with the model's answer in view."""
        assert self.answer is not None
        verdict = self.answer
        code = verdict.reason.rpartition("[")[2].rstrip("]") if verdict.reason else ""
        facts = {**self._facts(desk, seconds), "model_decision": verdict.decision, "model_reason": code}
        self._store(rows(said, WITH, facts, verdict.probabilities), study)

    def _store(self, made: list[dict[str, str]], study: StudyFolder | None) -> None:
        if study is not None:
            study.add(self.reader, made)
        self.table.extend(made)

    def _facts(self, desk: Desk, seconds: float | None) -> dict[str, Any]:
        assert self.reading is not None
        model, here = desk.model(self.label), time.monotonic() - self.since
        measured = (
            seconds if seconds is not None and 0 <= seconds <= here else here
        )  # the browser knows when the image was there to be seen
        return {
            "reader": self.reader, "case": _key(self.reading), "seconds": f"{measured:.2f}", "session": self.session,
            "order": self.place + 1, "cases": len(self.cases), "seed": self.seed, "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "sha256": self.reading.measurement["sha256"], "number": self.reading.number, "model": model.package.name,
            "model_fingerprint": model.fingerprint, "engine": "torch" if model.engine is None else "onnxruntime",
            "medtl": medtl.__version__,
        }  # fmt: skip

    def _forget(self) -> None:
        """Remove the file of the case that was shown, once no other case lies in it."""
        if 0 <= self.place < len(self.cases):
            file = self.cases[self.place].file
            if all(case.file != file for case in self.cases[self.place + 1 :]):
                file.unlink(missing_ok=True)


def sitting(label: str, held: Held, given: Mapping[str, str], number: int | None) -> Sitting:
    """The cases of an upload, an archive unpacked, in random order. Raises MedtlError: none can be read, or too many."""
    if not held.several:
        return Sitting(label, dict(given), (Case(held.uploads[0].file, number),), None)
    found, refused, rows_of = [], 0, dict[Path, int]()
    for each in images(held):
        if each.file is None:
            refused += 1
            continue
        rows_of[each.file] = rows_of.get(each.file, 0) + 1
        found.append(Case(each.file, rows_of[each.file] if each.member else None))
        if len(found) > MOST_CASES:
            raise MedtlError(f"More than {MOST_CASES:,} cases for one sitting; choose fewer")
    if not found:
        raise MedtlError("No image was found in it; choose others")
    for upload in held.uploads:
        if upload.holds_many:
            upload.file.unlink(missing_ok=True)
    seed = secrets.randbelow(1 << 32)
    random.Random(seed).shuffle(found)
    return Sitting(label, dict(given), tuple(found), seed, left_out=refused)


def _key(reading: Reading) -> str:
    """By which truth is joined: the file's hash, and where a file holds several images which one."""
    sha256 = str(reading.measurement["sha256"])
    return sha256 if reading.count == 1 else f"{sha256}#{reading.number}"
