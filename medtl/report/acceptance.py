"""Whether the model may be used, as far as stated lines say (`medtl accept`): on the first page, or put onto one that is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtl.document.page import environment
from medtl.evaluation.acceptance import MET, NOT_MET
from medtl.files import write_text

BEGIN, END = "<!-- acceptance -->", "<!-- /acceptance -->"
"""Around its place on the page; what comes from outside is escaped and cannot say either."""
ACCEPTED, REFUSED, UNDECIDED, ELSEWHERE = "accepted", "not accepted", "too few cases", "judge again"


def verdict(acceptance: Mapping[str, Any], answers: str = "") -> tuple[str, str]:
    """One word and a sentence for the content of acceptance.json; `answers`: SHA-256 of the predictions that the page is about."""
    lines = acceptance["lines"]
    met = sum(line["state"] == MET for line in lines)
    if answers and acceptance.get("answers", answers) != answers:
        return ELSEWHERE, "These lines were judged on other answers than those of this report; run medtl accept again."
    told = f"{met} of {len(lines)} lines of {acceptance['name']} are met on {acceptance['split']}."
    if met == len(lines):
        return ACCEPTED, told
    return (REFUSED if any(line["state"] == NOT_MET for line in lines) else UNDECIDED), told


def section(acceptance: Mapping[str, Any] | None, answers: str = "") -> str:
    """The place on the page, between its marks; without an acceptance it says so."""
    word, sentence = verdict(acceptance, answers) if acceptance else ("", "")
    grave = {REFUSED: "is-grave", ACCEPTED: "is-met"}.get(word, "is-notable")
    template = environment("medtl.report").get_template("acceptance.html.j2")
    return f"{BEGIN}\n{template.render(acceptance=acceptance, word=word, sentence=sentence, grave=grave)}\n{END}"


def put_into(page: Path, acceptance: Mapping[str, Any], answers: str) -> bool:
    """Onto a report that is there; False where there is none, or one that an earlier version wrote without a place for it."""
    if not page.is_file():
        return False
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        return False
    write_text(page, before + section(acceptance, answers) + after)
    return True
