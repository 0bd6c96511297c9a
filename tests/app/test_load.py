"""Many uploads, one in ten hostile, by the API and by the page: every one is answered or refused in words, memory stays, no file does."""

from __future__ import annotations

import asyncio
import random
import resource
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

AT_ONCE = 4
WARM = 100
"""Uploads until memory counts: libraries load, pools fill."""
LARGEST = 1.10
"""Of the memory then: what a page that stays open for months needs."""


@pytest.fixture(scope="module")
def hostile() -> list[bytes]:
    """Bombs, lies and cuts; but for the one that is one only where fewer pixels are allowed than here."""
    from ..imaging.test_hostile_files import FILES

    return [make() for name, (make, _) in FILES.items() if name != "gzip of NIfTI that goes on"]


def picture(number: int) -> bytes:
    """Of all sizes, the largest a radiograph's."""
    chance = np.random.default_rng(number)
    side = int(chance.choice([60, 300, 900, 2000], p=[0.4, 0.3, 0.25, 0.05]))
    coarse = chance.integers(0, 256, (9, 7), dtype=np.uint8)
    kind = str(chance.choice([".png", ".jpg"]))
    return cv2.imencode(kind, cv2.resize(coarse, (side * 7 // 9, side), interpolation=cv2.INTER_CUBIC))[1].tobytes()


def resident(process: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.slow
@pytest.mark.parametrize("count", [60, 1_000])
def test_mixed_uploads_are_answered_and_leave_nothing(package, served, hostile, tmp_path, count):
    files = []
    for number in range(count):
        files.append(tmp_path / f"{number:04d}")
        files[-1].write_bytes(hostile[number // 10 % len(hostile)] if number % 10 == 9 else picture(number))
    random.Random(0).shuffle(files)
    bad = {tmp_path / f"{number:04d}" for number in range(9, count, 10)}
    with served(package(tmp_path / "model")) as page:
        replies, grown = asyncio.run(ask(page, files))
        assert [each.error for each in replies if each.error] == []
        assert not any(each.told for each in replies)
        answered = {each.file for each in replies if each.content.get("decision") or "The probability of ill" in each.said}
        assert answered == set(files) - bad
        assert all(each.said == "UNREADABLE" or "No answer: cannot be read" in each.said for each in replies if each.file in bad)
        assert page.left() == []
        assert b"Traceback" not in page.log.read_bytes()
    print(f"memory after the last of {count} uploads: {grown:.3f} of that after the first {min(WARM, count // 2)}")
    assert grown <= LARGEST, f"the page's memory grew by {grown - 1:.0%} after the first {WARM} uploads"


async def ask(page, files):
    """The replies, every other one by a new visitor of the page; the memory at the end as a share of that after the first uploads."""
    from visitors import Visitor, program

    waiting, replies, early = list(enumerate(reversed(files))), [], 0

    async def work() -> None:
        nonlocal early
        while waiting:
            number, file = waiting.pop()
            if number % 2:
                async with Visitor(page.address) as person:
                    replies.append(await person.ask(file, "lungs"))
            else:
                replies.append(await program(page.address, file))
            if len(replies) == min(WARM, len(files) // 2):
                early = resident(page.process)

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return replies, resident(page.process) / early
