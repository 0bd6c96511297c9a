"""`medtl update`: options reach the flow, a refusal is exit code 3, and what is missing is said."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from medtl.cli import main
from medtl.errors import GateRefusal


def run(monkeypatch: pytest.MonkeyPatch, flow: object, *arguments: str) -> int:
    fake = types.ModuleType("medtl.flows.update")
    fake.update = flow  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    monkeypatch.setattr(sys, "argv", ["medtl", "update", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_options_reach_the_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    options = [
        "--reference",
        "ref.csv",
        "--replay",
        "old",
        "--data",
        "moved",
        "--column",
        "label=dx",
        "--map",
        "PNA=ill",
        "--set",
        "epochs=3",
        "--out",
        "o",
    ]
    assert run(monkeypatch, lambda *given: calls.append(given), "run", "new.csv", *options) == 0
    files = map(Path, ("run", "new.csv", "ref.csv", "old"))
    assert calls == [(*files, {"label": "dx"}, {"PNA": "ill"}, ["epochs=3"], Path("o"), Path("moved"))]


def test_a_refusal_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refusing(*_: object) -> None:
        raise GateRefusal("the update is refused: too few")

    assert run(monkeypatch, refusing, "run", "new.csv", "--reference", "ref.csv") == 3
    assert capsys.readouterr().err == "medtl: the update is refused: too few\n"


def test_without_a_reference_nothing_is_updated(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, None, "run", "new.csv") == 2
    assert "Missing option '--reference'" in capsys.readouterr().err
