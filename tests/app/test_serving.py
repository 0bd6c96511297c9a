"""What the page refuses before it opens, and what it says when medtl itself is at fault."""

from __future__ import annotations

import re
import socket

import pytest
from typer.testing import CliRunner

from medtl.app.desk import Desk
from medtl.app.page import building as page_module
from medtl.app.page import page_one
from medtl.app.serve import opened
from medtl.cli.commands import app
from medtl.errors import MedtlError


def test_another_host_is_refused_in_one_sentence(package, tmp_path):
    refusal = pytest.raises(
        MedtlError, match=r"--host 0\.0\.0\.0: .* without a login it opens on 127\.0\.0\.1 only; .* or use an SSH tunnel"
    )
    with refusal, opened([package(tmp_path / "model")], host="0.0.0.0"):
        pass


def test_a_taken_port_is_named(package, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = CliRunner().invoke(app, ["serve", str(package(tmp_path / "model")), "--port", str(port)])
    assert answer.exit_code == 2
    assert f"port {port} is taken on this machine" in answer.output


def test_no_model_is_refused_by_the_command(tmp_path):
    answer = CliRunner().invoke(app, ["serve", str(tmp_path / "nowhere")])
    assert answer.exit_code == 2
    assert "there is no such folder" in answer.output


def test_examples_of_nowhere_are_refused_by_the_command(package, tmp_path):
    answer = CliRunner().invoke(app, ["serve", str(package(tmp_path / "model")), "--examples", str(tmp_path / "nowhere")])
    assert answer.exit_code == 2
    assert "there is no such folder; give a folder of images" in answer.output


def test_a_defect_is_one_sentence_without_the_error_text(package, files, tmp_path, monkeypatch, capfd):
    def broken(*_: object) -> None:
        raise ValueError("ZZCANARY was born in 1950")

    monkeypatch.setattr(page_one.viewer, "viewer", broken)
    upload = tmp_path / "0123" / files["png"].name
    upload.parent.mkdir()
    upload.write_bytes(files["png"].read_bytes())
    said = page_module.received_by(Desk([package(tmp_path / "model")]), "lungs", [str(upload)], None, False, None)["said"]
    assert re.search(r"<p>medtl has a defect \(ValueError in test_serving.py, line \d+\); please report it\.</p>", said)
    assert not upload.parent.exists()
    assert "ZZCANARY" not in "".join(capfd.readouterr())


def test_an_upload_that_is_gone_is_asked_for_again(package, tmp_path):
    desk = Desk([package(tmp_path / "model")])
    gone = page_module.received_by(desk, "lungs", [str(tmp_path / "0" / "gone.png")], None, False, None)
    assert "choose the image again" in gone["said"]


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("is empty", "The file is empty."),
        ("holds 4 frames", "The file holds 4 frames."),
        ("the decoder crashed on it", "The decoder crashed on it."),
        ("DICOM without an image: X", "DICOM without an image: X."),
    ],
)
def test_a_reason_becomes_a_sentence(reason, sentence):
    assert page_one._sentence(reason) == sentence
