"""What is committed works on every machine: no absolute paths, no index addresses; every locked package has hashes; no stray data."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:home|root|Users|work|opt|mnt|scratch)/\w")
INDEX_ADDRESS = re.compile(r"--(?:extra-)?index-url|--find-links|https?://[\w.-]*(?:pypi|pythonhosted|artifactory|devpi)[\w.-]*")
LARGEST = 1_000_000


@pytest.fixture(scope="module")
def committed() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    here = ROOT / "tests" / "project" / Path(__file__).name
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file() and path != here]


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # a picture or another golden file
        found += [
            f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}" for number, line in enumerate(lines, 1) if pattern.search(line)
        ]
    return found


def test_no_path_of_a_machine(committed: list[Path]) -> None:
    assert lines_with(MACHINE_PATH, committed) == []


def test_no_address_of_a_package_index(committed: list[Path]) -> None:
    assert lines_with(INDEX_ADDRESS, committed) == []


def test_the_patterns_find_what_they_look_for() -> None:
    assert MACHINE_PATH.search("data: /home/ann/images")
    assert not MACHINE_PATH.search("../shared/data/work/x and ${HOME}/work/x")
    assert INDEX_ADDRESS.search("--index-url https://example.org/simple")


def test_no_data_and_no_large_files(committed: list[Path]) -> None:
    assert [path.name for path in committed if path.stat().st_size > LARGEST] == []
    assert [path.name for path in committed if path.suffix in {".dcm", ".npz", ".safetensors", ".pth", ".pt", ".ckpt"}] == []


def test_every_locked_package_has_an_exact_version_and_hashes() -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    packages = [block for block in blocks if block[0] != "#"]
    assert len(packages) > 100
    assert [block.splitlines()[0] for block in packages if not re.match(r"[a-z0-9._-]+==\S+", block) or "--hash=sha256:" not in block] == []
