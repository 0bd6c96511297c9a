"""What came of an evaluation: its headline for the page, and its folder as a zip in which images have the person's own names again.

Everything is read into memory; the folder may go.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from medtl.app.here.manifest import Ready
from medtl.app.words import HEADLINES
from medtl.contracts import EXTERNAL
from medtl.document.table import Table
from medtl.evaluation import answering, here_and_there, metrics_file
from medtl.evaluation.table import plural
from medtl.flows.predict import harmless
from medtl.report import results
from medtl.report.here_and_there import tables

MADE = (".html", ".csv", ".json")
"""Of what an evaluation leaves, what is handed over."""


@dataclass(frozen=True)
class Outcome:
    """One evaluation that came to its end."""

    model: str
    judged: str
    """`489 images of 314 patients`."""
    drop: Table
    """Figures here, where the model was made, and their difference; here alone where the package has none of its own."""
    sentences: Sequence[str]
    """What follows, as the report and the terminal have it; the looks, and what was left out."""
    archive: bytes
    """The folder as `medtl evaluate --out` leaves it, zipped."""


def outcome(folder: Path, model: str, ready: Ready, notes: Sequence[str]) -> Outcome:
    """Read what the evaluation wrote. `notes`: further sentences, with neutral names."""
    metrics = metrics_file.read(folder / "metrics.json")
    entry = metrics["splits"][EXTERNAL]
    content = here_and_there.read(folder)
    assert content is not None
    shown = next((each for each in tables(content) if each.name == "external_drop"), None) or results.headline(entry, EXTERNAL)
    groups = f" of {entry['groups']:,} {plural(metrics['unit'])}" if metrics["unit"] != "image" else ""
    answered = [_in_words(line) for line in answering.lines(entry)]
    told = [*here_and_there.sentences(content), *answered, *ready.notes, *(named(note, ready) for note in notes if note)]
    return Outcome(model, f"{entry['n']:,} images{groups}", shown, [_sentence(each) for each in told], zipped(folder, ready))


def named(text: str, ready: Ready, written: Callable[[str], str] = str) -> str:
    """The text with the person's names in place of the neutral ones. `written`: how a name is written there."""
    return re.sub(rf"{ready.token}-\d{{6}}", lambda found: written(ready.names.get(found[0], found[0])), text)


def zipped(folder: Path, ready: Ready) -> bytes:
    """The files, named for the person; sums of files that the report states are those of the files handed over."""
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.suffix in MADE}
    contents = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    made = {name: _restored(name, text, ready) for name, text in contents.items()}
    sums = {_sum(contents[name]): _sum(made[name]) for name in made if not name.endswith(".html")}
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in made.items():
            archive.writestr(name, _replaced(text, sums) if name.endswith(".html") else text)
    return held.getvalue()


def _restored(name: str, text: str, ready: Ready) -> str:
    if ready.token not in text:
        return text
    if name.endswith(".html"):
        return named(text, ready, escape)
    if name.endswith(".json"):
        return named(text, ready, lambda each: json.dumps(each, ensure_ascii=False)[1:-1])
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in csv.reader(io.StringIO(text, newline="")):
        writer.writerow([harmless(named(cell, ready)) if ready.token in cell else cell for cell in row])
    return out.getvalue()


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _replaced(text: str, other: Mapping[str, str]) -> str:
    for before, after in other.items():
        text = text.replace(before, after)
    return text


def refusal(event: Mapping[str, Any], ready: Ready, place: Path) -> str:
    """What an evaluation that came to nothing says, for the person: their own names, no path of this machine."""
    if "seen" in event:
        images = [ready.names.get(name, name) for name in event["seen"]]
        return (
            f"The model learned from {len(images):,} of these images, or was chosen by them (such as '{images[0]}'); figures on them say "
            "nothing of other patients. Take their rows out of the table and hand it over again."
        )
    if "defect" in event:
        return f"medtl has a defect ({event['defect']}); please report it."
    text = str(event["refused"]).replace(f"{place}/", "")
    return named(text, ready) + "." if text.startswith(ready.token) else _sentence(named(text, ready))


def _in_words(line: str) -> str:
    """Codes of reasons as the page calls them."""
    for code, headline in HEADLINES.items():
        line = re.sub(rf"\b{code}\b", headline.removeprefix("No answer: "), line)
    return line


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")
