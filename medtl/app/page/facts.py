"""What the page says of an image beside the answer: what its header states, what the person said, and how it was read. Never a name, a
number of a patient or a date: none of these leaves the decode worker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from medtl.app.words import how_read
from medtl.measurements import AGE
from medtl.model.codes import KINDS, REGIONS, VIEWS
from medtl.model.scope import OLDEST

_TITLES = {"modality": "Modality", "body_part": "Body part", "view": "View", "laterality": "Side", AGE: "Age"}
JUDGED = ("Modality", "Body part", "View", "Age")
"""Titles of what a scope may name."""
_SIDES = {"L": "left", "R": "right", "B": "both", "U": "unpaired"}
_DETECTOR = "ImagerPixelSpacing"
Measurement = Mapping[str, Any]


def age_band(age: str) -> str:
    """Wide enough that it points at nobody.

    >>> age_band("0.5"), age_band("7"), age_band("64"), age_band("93")
    ('under 1 year', '5 to 9 years', '60 to 69 years', '90 years or older')
    """
    years = int(float(age))
    if years >= OLDEST:
        return f"{OLDEST} years or older"
    if years < 1:
        return "under 1 year"
    first, last = next(
        band for band in ((1, 4), (5, 9), (10, 14), (15, 17), (18, 19), (years // 10 * 10, years // 10 * 10 + 9)) if band[1] >= years
    )
    return f"{first} to {last} years"


def stated(measurement: Measurement, given: Mapping[str, str]) -> list[tuple[str, str]]:
    """Title and words of what is known of the image; what the person said stands in where the header is silent, and says so."""
    rows = []
    for fact, title in _TITLES.items():
        own, said = str(measurement[fact] or ""), given.get(fact, "")
        if own or said:
            rows.append((title, _in_words(fact, own or said) + ("" if own else " (by you)")))
    if measurement["device"]:
        rows.append(("Machine", str(measurement["device"])))
    spacing = str(measurement["spacing"]).split()
    if len(spacing) == 2:
        where = ", at the detector" if measurement["spacing_from"] == _DETECTOR else ""
        rows.append(("Pixel spacing", f"{float(spacing[0]):.3g} × {float(spacing[1]):.3g} mm{where}"))
    return rows


def _in_words(fact: str, value: str) -> str:
    if fact == AGE:
        return age_band(value)
    meanings = {"modality": KINDS, "body_part": REGIONS, "view": VIEWS}.get(fact, {}).get(value.upper(), frozenset())
    if fact == "laterality":
        return _SIDES.get(value, value)
    word = next(iter(meanings)) if len(meanings) == 1 else ""
    return f"{value} ({word})" if word and word.upper() != value.upper() else value


def receipt(measurement: Measurement, number: int, count: int) -> list[tuple[str, str]]:
    """How the file's bytes became the picture."""
    told = json.loads(str(measurement["receipt"]))
    rows = [
        ("File", how_read(measurement, number, count)),
        ("Bytes", f"{int(measurement['bytes']):,}" + (f", {measurement['encoding']}" if measurement["encoding"] else "")),
        ("Turned", str(told["orientation"])), ("Grey levels", str(told["intensity"]) + (", inverted once" if told["inverted"] else "")),
        ("SHA-256", str(measurement["sha256"])),
    ]  # fmt: skip
    return [*rows, *(("Note", str(note)) for note in told["notes"])]


def markup(measurement: Measurement, given: Mapping[str, str], number: int, count: int) -> str:
    """Facts at once, the receipt on demand."""
    known = stated(measurement, given)
    facts = _list(known) if known else '<p class="small">The file says nothing about the image: no modality, no view, no spacing.</p>'
    return (
        f'<section class="medtl-facts" aria-label="About this image">{facts}<details><summary>How the file was read (receipt)</summary>'
        f"{_list(receipt(measurement, number, count))}</details></section>"
    )


def _list(rows: list[tuple[str, str]]) -> str:
    return f"<dl>{''.join(f'<dt>{escape(title)}</dt><dd>{escape(words)}</dd>' for title, words in rows)}</dl>"
