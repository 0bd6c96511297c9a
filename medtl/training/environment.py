"""What a run was made with: `environment.json`."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import medtl
from medtl.contracts import FORMAT

LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "monai",
    "numpy",
    "pandas",
    "scipy",
    "opencv-python-headless",
    "pydicom",
    "nibabel",
)


def describe(data_root: Path) -> dict[str, Any]:
    """Versions, platform, code state and data root; no user name, no host name."""
    return {
        "format": FORMAT,
        "medtl": medtl.__version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "libraries": {name: _version(name) for name in LIBRARIES},
        "code": _commit(Path(medtl.__file__).parent),
        "data_root": str(data_root.resolve()),
        "bytecode": not sys.dont_write_bytecode,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    """The commit that medtl runs from, with `+changes` where the work tree differs; None outside a checkout."""
    try:
        head = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
        changes = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no", "."],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
