"""Thousands of damaged DICOM files, each answered in time by a process that lives: with pixels, or with a typed refusal without a name."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from medtl.errors import ImageError
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings

from .mutants import Mutants, made, real

SETTINGS = ImageSettings(size=32, channels=1, largest_pixels=20_000_000, timeout=30.0)
CODES = set(re.findall(r"[A-Z_]{5,}", str(ImageError.__doc__).split("Codes:")[1]))
UNTYPED = re.compile(r"the decoder failed \(")
HASHES = ("sha256", "pixel_hash", "phash")
CRASHED = "the decoder crashed on it"


@pytest.mark.parametrize("count", [400, pytest.param(12_000, marks=pytest.mark.slow)])
def test_every_mutant_is_answered(count: int, tmp_path: Path) -> None:
    """Others are tried by `MEDTL_FIRST_MUTANT=100000 make test-slow`."""
    seeds = list(made())
    folder = Path(__file__).parents[3] / "shared" / "data" / "dicom"
    seeds += list(real(folder)) if folder.is_dir() else []
    said, wrong = answers(Mutants(seeds), count, tmp_path, int(os.environ.get("MEDTL_FIRST_MUTANT", "0")))
    print(json.dumps(said.most_common(), indent=1))
    assert not wrong, "\n".join(wrong)
    assert sum(said.values()) == count
    assert said["read"] > 0.1 * count
    assert said["DECODE_TIMEOUT"] <= 0.001 * count


def answers(mutants: Mutants, count: int, place: Path, first: int) -> tuple[Counter[str], list[str]]:
    """How often each code was the answer; and what must not be."""
    said: Counter[str] = Counter()
    wrong: list[str] = []
    for start in range(first, first + count, 200):
        numbers = range(start, min(start + 200, first + count))
        items, seeds = [], []
        for number in numbers:
            chosen, data = mutants.make(number)
            path = place / f"{number}.dcm"
            path.write_bytes(data)
            items.append((path, chosen.frame))
            seeds.append(chosen)
        for position, pixels, measured in decode_many(items, SETTINGS):
            code, reason = str(measured["quarantine"]), str(measured["reason"])
            said[code or "read"] += 1
            told = " ".join(value for key, value in measured.items() if isinstance(value, str) and key not in HASHES)
            faults = [
                bool(code) == (pixels is not None) or (code and code not in CODES),
                UNTYPED.search(reason) or reason == CRASHED or bool(code) != bool(reason),
                any(secret in told for secret in seeds[position].secrets) or str(place) in told,
            ]
            if any(faults):
                wrong.append(f"mutant {start + position} of {seeds[position].name}: {code} {reason} {[bool(each) for each in faults]}")
        for path, _ in items:
            path.unlink()
    return said, wrong
