"""medtl against the same work as the tutorials of MONAI and Lightning, fastai, and a plain loop over timm do it: time, validation AUROC.

    python benchmarks/compare_to_plain.py configs/breast_cancer.yaml --data DIR --weights FILE --epochs 2

Each side is a process of its own, its imports included; one after the other, nothing else should be running.
`first` starts with an empty store, `again` finds the images of the first. A ratio is a side's time by that of `again`: above 1, medtl is
faster. fastai is left out where it is not installed, and of `partial`, which it has not; `--fastai` names a Python that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PLAIN = {"MONAI + Lightning": "plain_monai_lightning.py", "timm": "plain_timm.py", "fastai": "plain_fastai.py"}
MODE_OF = {"linear-probe": "frozen", "partial": "partial", "full": "full", "scratch": "full"}


def timed(command: list[str], environment: dict[str, str]) -> tuple[dict[str, float], str]:
    """Wall and CPU seconds of a process and all its children, and what it printed."""
    with tempfile.TemporaryFile("w+") as out:
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        out.seek(0)
        text = out.read()
    if status:
        sys.exit(f"{' '.join(command)}\nended with status {os.waitstatus_to_exitcode(status)}:\n{text}")
    return {"wall": round(wall, 1), "cpu": round(used.ru_utime + used.ru_stime, 1)}, text


def compare(options: argparse.Namespace, strategy: str, folder: Path) -> dict[str, Any]:
    """One strategy: medtl with an empty store, medtl again, the plain scripts on the same images and split."""
    environment = {**os.environ, "MEDTL_CACHE": str(folder / "cache")}
    place = ["--data", str(options.data), *(["--weights", str(options.weights)] if options.weights else [])]
    chosen = [f"transfer.strategy={strategy}", f"transfer.epochs={options.epochs}", "split.folds=null", *options.set]
    chosen += [f"transfer.stages={options.stages}", "transfer.views=1"] if strategy == "partial" else []
    settings = [word for setting in chosen for word in ("--set", setting)]
    results: dict[str, Any] = {"strategy": strategy, "epochs": options.epochs, "load": round(os.getloadavg()[0], 1)}
    for name in ("first", "again"):
        run = folder / name
        train = [sys.executable, "-m", "medtl", "train", str(options.config), *place, *settings, "--out", str(run)]
        results[name], _ = timed(train, environment)
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        results[name]["validation_auroc"] = round(metrics["splits"]["validation"]["auroc"]["value"], 4)
    mode = ["--mode", MODE_OF[strategy], "--epochs", str(options.epochs)]
    for name, script in PLAIN.items():
        python = options.fastai if name == "fastai" else sys.executable
        if name == "fastai" and (strategy == "partial" or not has_fastai(python)):
            continue
        stages = ["--stages", str(options.stages)] if name != "fastai" else []
        command = [str(python), str(Path(__file__).with_name(script)), str(folder / "again"), *place, *mode, *stages]
        results[name], text = timed(command, environment)
        results[name]["validation_auroc"] = json.loads(text.splitlines()[-1])["validation_auroc"]
    return results


def has_fastai(python: str) -> bool:
    """Whether this Python can import fastai."""
    return subprocess.run([python, "-c", "import fastai"], capture_output=True, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--strategies", nargs="+", choices=tuple(MODE_OF), default=["linear-probe", "full"])
    parser.add_argument("--stages", type=int, default=1, help="of strategy partial")
    parser.add_argument("--fastai", default=sys.executable, metavar="PYTHON", help="a Python with fastai")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="handed to medtl train")
    parser.add_argument("--out", type=Path, help="write the results here as JSON")
    options = parser.parse_args()
    everything = []
    for strategy in options.strategies:
        with tempfile.TemporaryDirectory(prefix="medtl-bench-") as folder:
            results = compare(options, strategy, Path(folder))
        everything.append(results)
        print(f"\n{strategy}, {options.epochs} epochs (load {results['load']})   wall s    CPU s   wall x   CPU x   validation AUROC")
        for name in [name for name in (*PLAIN, "first", "again") if name in results]:
            row, ours = results[name], results["again"]
            label = {"first": "medtl, empty store", "again": "medtl, again"}.get(name, f"plain {name}")
            ratios = f"{row['wall'] / ours['wall']:>8.2f} {row['cpu'] / ours['cpu']:>7.2f}"
            print(f"{label:24}{row['wall']:>8} {row['cpu']:>8} {ratios} {row['validation_auroc']:>10}", flush=True)
    if options.out:
        options.out.write_text(json.dumps(everything, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
