"""The walls between the rooms: which may import which (import-linter), and which start without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLES = ["errors", "files", "terminal", "contracts", "registry", "records", "measurements", "predictions", "card"]
TORCH_FREE = [*TABLES, "evaluation", "decisions", "phantom", "experiment", "ranking", "paper"]
HEAVY = ["torch", "torchvision", "timm", "monai", "lightning", "gradio", "sklearn.linear_model"]

IMPORT_ALL = """
import importlib, json, pkgutil, sys
for room in json.loads(sys.argv[1]):
    module = importlib.import_module(f"medtl.{room}")
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), f"medtl.{room}."):
        importlib.import_module(found.name)
print(json.dumps([name for name in json.loads(sys.argv[2]) if name in sys.modules]))
"""


def loaded_after(program: str, *arguments: str) -> list[str]:
    answer = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    return list(json.loads(answer.stdout.splitlines()[-1]))


def test_rooms_that_promise_it_start_without_torch() -> None:
    assert loaded_after(IMPORT_ALL, json.dumps(TORCH_FREE), json.dumps(HEAVY)) == []


def test_the_check_sees_what_is_loaded() -> None:
    assert loaded_after(IMPORT_ALL, json.dumps(["evaluation"]), json.dumps(["numpy", "torch"])) == ["numpy"]


def test_importing_medtl_costs_nothing() -> None:
    program = (
        "import json, sys; import medtl; print(json.dumps([m for m in sys.modules if m.split('.')[0] in ('numpy', 'pandas', 'pydantic')]))"
    )
    assert loaded_after(program) == []


def test_training_starts_without_lightning_and_the_page() -> None:
    """A linear probe needs neither; fine-tuning imports Lightning when it begins."""
    heavy = json.dumps(["torch", "lightning", "monai", "gradio", "sklearn.linear_model"])
    assert loaded_after(IMPORT_ALL, json.dumps(["flows.train", "training.fit"]), heavy) == ["torch"]


def test_upper_rooms_import_lower_ones() -> None:
    """The same contracts as `make check`, so that plain pytest sees a broken one too."""
    answer = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout
