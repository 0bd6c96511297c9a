"""Every notebook runs from its first cell to its last, and shows what it promises; what docs/notebooks shows is what they are now."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

import medtl

ROOT = Path(__file__).parents[2]
SHORT = ["cohorts.0.size=96", "cohorts.1.size=96", "image.size=64", "transfer.epochs=2"]
SMALL = ["cohorts.0.patients=110", "cohorts.1.patients=60", *SHORT]
Execute = Callable[[str], list[Any]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short trainings on made radiographs that share their images; of one the test images are opened."""
    place = tmp_path_factory.mktemp("notebooks")
    config = medtl.shipped_config("phantom_chest")
    for name, more in (("run", []), ("other", ["seed=1"])):
        medtl.train(config, data=place, overrides=[*SMALL, *more], out=place / name, with_report=False)
    medtl.evaluate(place / "run")
    return place


@pytest.fixture
def execute(place: Path, monkeypatch: pytest.MonkeyPatch) -> Execute:
    """`execute(name)` → the outputs of all cells."""
    own = {"CONFIG": medtl.shipped_config("phantom_chest"), "DATA": place, "RUN": place / "run", "OTHER_RUN": place / "other"}
    for name, value in {**own, "SET": " ".join(SMALL)}.items():
        monkeypatch.setenv(f"MEDTL_{name}", str(value))

    def run(name: str) -> list[Any]:
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(place)}}).execute()
        return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]

    return run


def pictures(outputs: list[Any], kind: str) -> int:
    return sum(kind in output.get("data", {}) for output in outputs)


def texts(outputs: list[Any]) -> str:
    shown = [output["data"]["text/plain"] for output in outputs if "text/plain" in output.get("data", {})]
    return "\n".join([*shown, *(output["text"] for output in outputs if output.get("name") == "stdout")])


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of Jupyter's own client


def test_data_and_audit(execute: Execute) -> None:
    outputs = execute("1_data_and_audit")
    assert pictures(outputs, "image/png") == 1
    said = texts(outputs)
    assert "classes: {'normal': ('normal',), 'pneumonia': ('pneumonia',)}" in said
    assert "TELLTALES" in said
    assert "range of 8 bits" in said or "window LINEAR" in said


def test_train_and_read_a_run(execute: Execute, place: Path) -> None:
    outputs = execute("2_train_and_read_a_run")
    assert pictures(outputs, "image/svg+xml") == 4, "curves, ROC, calibration, confusion"
    value = medtl.load_run(place / "run").metrics()["splits"]["test"]["auroc"]["value"]
    shown = next(line.split() for line in texts(outputs).splitlines() if line.startswith("auroc"))
    assert float(shown[1]) == pytest.approx(value, abs=5e-4)
    assert "test opened 1 time(s)" in texts(outputs)


def test_operating_points_and_subgroups(execute: Execute, place: Path) -> None:
    file = place / "run" / "report" / "test_subgroups.csv"
    groups = pd.read_csv(file)
    assert {"age", "sex", "view"} & set(groups["by"])
    assert groups["too_few"].notna().all(), "so few patients, so one of these subgroups is made large"
    groups.loc[1, ["balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"]] = 0.7, 0.6, 0.8
    groups.loc[1, "too_few"] = None
    groups.to_csv(file, index=False)
    outputs = execute("3_operating_points_and_subgroups")
    assert (pictures(outputs, "image/svg+xml"), pictures(outputs, "image/png")) == (1, 1), "decision curve, subgroups"
    said = texts(outputs)
    assert "judged on test" in said
    points = medtl.operating_points(place / "run", ["youden"], "test")
    row = next(line for line in said.splitlines() if line.startswith("youden"))
    assert f"{points['threshold'].iloc[0]:.3f}" in row
    few = groups.drop(index=1)
    assert f"too few to judge: {', '.join(few['by'] + ' ' + few['level'].astype(str))}\n" in said
    table = next(output["data"]["text/plain"] for output in outputs if "accuracy_low" in output.get("data", {}).get("text/plain", ""))
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["1"]


def test_compare_two_runs(execute: Execute) -> None:
    outputs = execute("4_compare_two_runs")
    said = texts(outputs)
    assert pictures(outputs, "image/png") == 1
    assert "reference: run" in said
    table = next(output["data"]["text/plain"] for output in outputs if "difference" in output.get("data", {}).get("text/plain", ""))
    rows = [[float(number) for number in re.findall(r"-?\d+\.\d+", line)] for line in table.splitlines()[1:]]
    assert len(rows) == 7
    assert [candidate - reference for reference, candidate, *_ in rows] == pytest.approx([row[2] for row in rows], abs=2e-4)


@pytest.mark.slow
def test_another_hospital(execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = medtl.shipped_config("phantom_two_hospitals")
    few = [*SHORT, "cohorts.0.patients=240", "cohorts.1.patients=120", "adaptation.beside=[]"]
    run = medtl.train(config, data=tmp_path, overrides=few, out=tmp_path / "run", with_report=False)
    monkeypatch.setenv("MEDTL_RUN", str(run.folder))
    outputs = execute("5_another_hospital")
    assert (pictures(outputs, "image/svg+xml"), pictures(outputs, "image/png")) == (3, 4), (
        "columns, ROC, calibration; they too, and candidates"
    )
    said = texts(outputs)
    assert "VERDICT  alarm: what was measured of the images" in said
    release = json.loads((run.folder / "release.json").read_text())
    assert f"released: {release['released']} - {release['reason']}" in said
    row = next(line.split() for line in said.splitlines() if line.startswith("coral "))
    assert float(row[1]) == pytest.approx(release["scores"]["coral"]["source-validation"], abs=6e-4)
    assert float(row[5]) == pytest.approx(release["auroc"]["coral"]["value"], abs=6e-4)


def test_notebooks_are_kept_without_outputs_and_use_the_public_interface() -> None:
    """Outputs age, and hold the paths of the machine that made them."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert not [cell for cell in cells if cell.outputs or cell.execution_count], path.name
        imported = re.findall(r"^\s*(?:from|import) (medtl[\w.]*)(.*)$", "\n".join(cell.source for cell in cells), flags=re.MULTILINE)
        assert {module + rest for module, rest in imported} <= {"medtl", "medtl import plots"}, path.name


def test_the_rendered_ones_are_of_these_notebooks() -> None:
    """Every cell's source stands in docs/notebooks, and every picture it names is there."""
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        rendered = (ROOT / "docs" / "notebooks" / f"{path.stem}.md").read_text(encoding="utf-8")
        for cell in nbformat.read(path, as_version=4).cells:
            assert cell.source in rendered, f"{path.name} changed: run tools/render_notebook.py again"
        named = re.findall(r"!\[\]\((.*?)\)", rendered)
        assert named
        assert all((ROOT / "docs" / "notebooks" / name).is_file() for name in named)
