"""`medtl accept`: stated before the look, or said to be stated after it; met, or refused with exit code 3."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medtl.errors import GateRefusal, MedtlError
from medtl.flows.accept import accept
from medtl.flows.evaluate import evaluate
from medtl.flows.report import report

MakeRun = Callable[..., Path]
EASY = "name: easy\ncriteria:\n  - {figure: sensitivity, at_least: 0}\n  - {figure: unanswered, at_most: 0.9}\n"
HARD = "name: hard\ncriteria:\n  - {figure: auroc, at_least: 1, worst: domain}\n  - {figure: sensitivity, at_least: 0}\n"


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


def _file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / f"{text[6:10]}.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("folds", [None, 2])
def test_lines_before_the_look_and_lines_after_it(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], folds: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, easy, hard = make_run(folds=folds), _file(tmp_path, EASY), _file(tmp_path, HARD)
    assert accept(easy) == []
    assert "may be opened now" in capsys.readouterr().err
    with pytest.raises(MedtlError, match="open them first: medtl evaluate"):
        accept(easy, run)
    stated = json.loads(next((tmp_path / "state" / "acceptance").iterdir()).read_text())["stated"]
    ledger = "medtl.flows.looks.datetime"
    monkeypatch.setattr(ledger, _Later)
    evaluate(run)
    assert "Not judged: no lines" in report(run).read_text()
    outcomes = accept(easy, run)
    assert [outcome.state for outcome in outcomes] == ["met", "met"]
    written = json.loads((run / "acceptance.json").read_text())
    assert written["stated"] == stated
    assert "before these images were first opened" in written["note"]
    assert written["answers"] == hashlib.sha256((run / "predictions.csv").read_bytes()).hexdigest()
    page = (run / "report.html").read_text()
    assert "2 of 2 lines of easy are met on test." in page
    report(run)
    assert (run / "report.html").read_text() == page
    monkeypatch.setattr("medtl.flows.accept.datetime", _Latest)
    with pytest.raises(GateRefusal, match="1 of 2 lines are not met or not decided"):
        accept(hard, run)
    written = json.loads((run / "acceptance.json").read_text())
    assert "AFTER these images were first opened" in written["note"]
    assert written["lines"][1]["state"] == "met"
    assert "1 of 2 lines of hard are met on test." in (run / "report.html").read_text()


def test_validation_is_no_proof_and_says_so(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    accept(_file(tmp_path, EASY), run, split="validation")
    assert "no proof" in json.loads((run / "acceptance.json").read_text())["note"]


def test_mistakes_in_the_file_are_all_told_with_their_lines(tmp_path: Path) -> None:
    wrong = _file(tmp_path, "name: wrong\ncriteria:\n  - {figure: auroc}\n  - {figure: auroc, at_leest: 0.5}\n")
    with pytest.raises(MedtlError, match=r"(?s)wron.yaml:3.*one of them.*wron.yaml:4.*at_least"):
        accept(wrong)
    with pytest.raises(MedtlError, match="nowhere"):
        accept(tmp_path / "nowhere.yaml")


class _Later:
    @staticmethod
    def now(zone: object) -> _Later:
        return _Later()

    def isoformat(self, timespec: str) -> str:
        return "2990-01-01T00:00:00+00:00"


class _Latest(_Later):
    @staticmethod
    def now(zone: object) -> _Latest:
        return _Latest()

    def isoformat(self, timespec: str) -> str:
        return "2991-01-01T00:00:00+00:00"
