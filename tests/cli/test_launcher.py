"""`bin/medtl` runs the checkout's own environment from anywhere, and says what to do where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[2] / "bin" / "medtl"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "a checkout" / "bin").mkdir(parents=True)
    shutil.copy(LAUNCHER, tmp_path / "a checkout" / "bin" / "medtl")
    return tmp_path / "a checkout"


def test_without_an_environment_it_says_make_env(checkout: Path) -> None:
    done = subprocess.run([checkout / "bin" / "medtl", "version"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"medtl: there is no environment yet; run `make env` in {checkout} first\n"


def test_it_runs_the_environments_command_through_a_link_and_from_elsewhere(checkout: Path, tmp_path: Path) -> None:
    command = checkout / ".venv" / "bin" / "medtl"
    command.parent.mkdir(parents=True)
    command.write_text('#!/bin/sh\necho "$#" "$@" "${PYTHONDONTWRITEBYTECODE-unset}"\nexit 3\n', encoding="utf-8")
    command.chmod(0o755)
    (tmp_path / "link").symlink_to(checkout / "bin" / "medtl")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [tmp_path / "link", "train", "my config.yaml"], capture_output=True, text=True, check=False, cwd="/", env=environment
    )
    assert done.stdout == "2 train my config.yaml unset\n"
    assert done.returncode == 3
