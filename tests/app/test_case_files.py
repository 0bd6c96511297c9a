"""What one answer's documents are made of is kept for a few people at once."""

from __future__ import annotations

import pytest

from medtl.app.page import case_files
from medtl.app.page.case_files import MOST, Documents, Kept, dicom, pdf


def documents() -> Documents:
    return Documents(case=None, source=None)  # type: ignore[arg-type]


def test_the_oldest_are_forgotten_where_others_came(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [Kept(documents()) for _ in range(MOST + 3)]
    assert [each.documents is None for each in held] == [True] * 3 + [False] * MOST
    told: list[str] = []
    monkeypatch.setattr(case_files.gr, "Warning", told.append)
    assert pdf(held[0]) == {"save": None} == dicom(held[0])
    assert told == [case_files.GONE] * 2
