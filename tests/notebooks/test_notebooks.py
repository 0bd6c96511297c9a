"""Every notebook runs from its first cell to its last, and shows what it promises."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import medtl

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The smoke config with two seeds, trained and judged."""
    place = tmp_path_factory.mktemp("runs")
    runpy.run_path(str(ROOT / "tools" / "made_pictures.py"))["make_pictures"](place / "pictures", 24)
    for seed in (0, 1):
        run = medtl.train(ROOT / "configs" / "smoke.yaml", data=place / "pictures", overrides=[f"seed={seed}"], out=place / f"seed-{seed}")
        medtl.evaluate(run.folder)
    return place / "seed-0", place / "seed-1"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of Jupyter's own client
def test_read_and_compare_runs(two_runs: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDTL_RUN", str(two_runs[0]))
    monkeypatch.setenv("MEDTL_OTHER_RUN", str(two_runs[1]))
    notebook = nbformat.read(ROOT / "notebooks" / "read_and_compare_runs.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(two_runs[0])}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/svg+xml" in output.get("data", {}) for output in outputs) == 5, "ROC, PR, calibration, confusion, curves"
    gaps = text_of(outputs[-1])
    assert all(name in gaps for name in ("auroc", "auprc", "macro_f1", "balanced_accuracy", "holds 0"))
    first, second = (medtl.load_run(run).metrics()["splits"]["test"]["auroc"]["value"] for run in two_runs)
    shown = next(line.split() for line in gaps.splitlines() if line.startswith("auroc"))
    assert float(shown[1]) == pytest.approx(first - second, abs=5e-4)


def test_notebooks_are_kept_without_outputs() -> None:
    """Outputs age, and hold the paths of the machine that made them."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        assert not [cell for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)], path.name


def text_of(output: Any) -> str:
    return str(output["data"]["text/plain"])
