"""The command line: options reach their flow, outcomes become exit codes, and help costs nothing."""

from __future__ import annotations

import errno
import importlib.util
import re
import resource
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtl import cli
from medtl.cli import main
from medtl.errors import GateRefusal, MedtlError, Mistakes

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `medtl …` in this process; gives the exit code."""

    def ran(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["medtl", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return int(caught.value.code or 0)

    return ran


@pytest.fixture
def flow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Callable[..., Any]], None]:
    """Put a function in the place of one flow."""

    def put(module: str, name: str, function: Callable[..., Any]) -> None:
        fake = types.ModuleType(f"medtl.flows.{module}")
        setattr(fake, name, function)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)

    return put


def raising(error: BaseException) -> Callable[..., Any]:
    def flow(*_: object, **__: object) -> None:
        raise error

    return flow


def predict(run: Run) -> int:
    return run("predict", "model", "a.png", "--out", "p.csv")


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["evaluate", "-h"], ["version"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    script = (
        f"import sys; sys.argv = ['medtl', *{arguments}]\n"
        "from medtl.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        "heavy = {'torch', 'monai', 'lightning', 'timm', 'numpy', 'pandas', 'cv2', 'rich'} & set(sys.modules)\n"
        "assert not code and not heavy, (code, heavy)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_takes_less_than_half_a_second() -> None:
    taken = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "medtl", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)  # of the processor: a busy neighbour is no failure
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(taken) < 0.5


def test_every_command_has_its_flow_and_a_first_line_of_its_own(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in Path(cli.__file__).parent.glob("*.py"))
    flows = re.findall(r"from (medtl\.flows\.\w+) import (\w+)", source)
    assert len(flows) >= 20
    for module, name in flows:
        spec = importlib.util.find_spec(module)
        assert spec is not None, f"{module} does not exist"
        defined = rf"^def {name}\(|^{name}\b.* = "
        assert re.search(defined, Path(str(spec.origin)).read_text(encoding="utf-8"), re.MULTILINE)
    assert run("--help") == 0
    listing = capsys.readouterr().out.split("Commands:")[1]
    assert "..." not in listing
    assert [line.split()[0] for line in listing.strip().splitlines()] == [
        "init",
        "check",
        "audit",
        "labels",
        "next",
        "rank",
        "train",
        "study",
        "evaluate",
        "release",
        "update",
        "recalibrate",
        "shift",
        "compare",
        "accept",
        "report",
        "paper",
        "predict",
        "case",
        "export",
        "demo",
        "serve",
        "users",
        "weights",
        "schema",
        "version",
    ]


def test_train_hands_every_option_on(run: Run, flow: Any, tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "smoke.yaml"
    given: dict[str, Any] = {}
    flow("train", "train", lambda path, **options: given.update(options, config=path))
    options = [
        "--data",
        tmp_path,
        "--weights",
        "w.pth",
        "--set",
        "seed=3",
        "--set",
        "transfer.epochs=2",
        "--out",
        "o",
        "--resume",
        "--expect",
        "e",
    ]
    assert run("train", config, *options) == 0
    assert given == {
        "config": config,
        "data": tmp_path,
        "weights": Path("w.pth"),
        "overrides": ["seed=3", "transfer.epochs=2"],
        "out": Path("o"),
        "resume": True,
        "expect": Path("e"),
    }


def test_evaluate_hands_pairs_on(run: Run, flow: Any) -> None:
    given: list[Any] = []
    flow("evaluate", "evaluate", lambda *arguments, **options: given.extend([*arguments, options]))
    assert run("evaluate", "m", "t.csv", "--column", "label=dx", "--map", "PNA=pneumonia", "--map", "No=normal=x") == 0
    expected = [
        Path("m"),
        Path("t.csv"),
        {"label": "dx"},
        {"PNA": "pneumonia", "No": "normal=x"},
        None,
        {"data": None, "allow_seen": False, "by": None, "combine": "mean", "stress": False, "split": "test"},
    ]
    assert given == expected
    given.clear()
    assert run("evaluate", "r", "--by", "patient", "--combine", "max") == 0
    assert given[-1] == {"data": None, "allow_seen": False, "by": "patient", "combine": "max", "stress": False, "split": "test"}
    assert run("evaluate", "r", "--stress", "--split", "validation") == 0
    assert (given[-1]["stress"], given[-1]["split"]) == (True, "validation")


@pytest.mark.parametrize("pair", ["label", "label=", "=dx"])
def test_a_pair_needs_both_sides(run: Run, capsys: pytest.CaptureFixture[str], pair: str) -> None:
    assert run("evaluate", "m", "t.csv", "--column", pair) == 2
    assert capsys.readouterr().err == f"medtl: --column {pair}: is no pair NAME=VALUE\n"


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (MedtlError("no such model"), 2, "medtl: no such model\n"),
        (Mistakes("t.csv:", ["row 3", "row 5"]), 2, "medtl: t.csv:\n  - row 3\n  - row 5\n"),
        (GateRefusal("does not repeat"), 3, "medtl: does not repeat\n"),
        (KeyboardInterrupt(), 130, "medtl: stopped\n"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 2, "medtl: the disk is full: /x/y; make room and run the command again"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), 2, "medtl: no permission for /x/y\n"),
        (MemoryError(), 2, "medtl: not enough memory; lower transfer.batch or image.size"),
    ],
)
def test_outcomes_become_exit_codes(
    run: Run, flow: Any, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, text: str
) -> None:
    flow("predict", "predict", raising(error))
    assert predict(run) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(text)
    assert "Traceback" not in said.err


def test_a_defect_is_said_shortly_and_kept_in_a_private_file(
    run: Run, flow: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    flow("predict", "predict", raising(KeyError("Jane Doe, 1950-01-31")))
    assert predict(run) == 1
    said = capsys.readouterr().err
    assert said.startswith("medtl: a defect of medtl, not of your data: KeyError in test_commands.py, line ")
    assert "Jane" not in said
    assert "Traceback" not in said
    (file,) = tmp_path.iterdir()
    assert str(file) in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert "Traceback" in file.read_text(encoding="utf-8")


def test_a_wrong_config_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("nam: x\n", encoding="utf-8")
    script = (
        f"import sys; sys.argv = ['medtl', 'train', {str(config)!r}, '--set', 'sed=1']\n"
        "from medtl.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 2, end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"medtl: {config}: 5 mistakes:\n" in done.stderr
    assert f"{config}:1: nam: is unknown; did you mean 'name'?" in done.stderr
    assert "--set sed=1: sed: is unknown; did you mean 'seed'?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["trian"], "No such command 'trian'"),
        (["train"], "Missing argument 'CONFIG'"),
        (["train", "c.yaml", "--epochs", "3"], "No such option: --epochs"),
        (["train", "c.yaml"], "c.yaml: there is no such config file"),
        (["check", "c.yaml"], "c.yaml: there is no such config file"),
    ],
)
def test_mistaken_use_is_exit_code_2(run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    assert run(*arguments) == 2
    assert text in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-m", "medtl", "schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_the_schema_is_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert run("schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Experiment"


def test_a_prevalence_is_one_number_or_one_of_each_finding(run: Run, flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    given: list[Any] = []
    flow("predict", "predict", lambda model, paths, out, prevalence: given.append(prevalence))
    asked = ("predict", "model", "a.png", "--out", "p.csv")
    for options in ((), ("--prevalence", "0.05"), ("--prevalence", "mass=0.05", "--prevalence", "edema=0.1")):
        assert run(*asked, *options) == 0
    assert given == [None, 0.05, {"mass": 0.05, "edema": 0.1}]
    assert run(*asked, "--prevalence", "often") == 2
    assert "--prevalence often: is no number" in capsys.readouterr().err
