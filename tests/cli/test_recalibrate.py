"""`medtl recalibrate`: options reach the flow, and a place for the result has to be named."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from medtl.cli import main


def run(monkeypatch: pytest.MonkeyPatch, flow: object, *arguments: str) -> int:
    fake = types.ModuleType("medtl.flows.recalibrate")
    fake.recalibrate = flow  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(sys, "argv", ["medtl", "recalibrate", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_options_reach_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    options = ("--column", "label=dx", "--map", "PNA=ill", "--threshold", "refit", "--out", "o")
    assert run(monkeypatch, lambda *given: calls.append(given), "run", "here.csv", *options) == 0
    assert run(monkeypatch, lambda *given: calls.append(given), "run", "here.csv", "--out", "o") == 0
    paths = tuple(map(Path, ("run", "here.csv", "o")))
    assert calls == [(*paths, {"label": "dx"}, {"PNA": "ill"}, "refit"), (*paths, {}, {}, "moved")]


def test_nothing_is_written_where_no_place_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, None, "run", "here.csv") == 2
    assert "Missing option '--out'" in capsys.readouterr().err
