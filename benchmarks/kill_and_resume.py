"""kill -9 at random moments, `--resume`, and compare with the run that was left alone: weights (the released and the last) and rule.

python benchmarks/kill_and_resume.py CONFIG --data DIR --weights FILE [--kills 5] [--set KEY=VALUE …]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    settings = [word for setting in options.set for word in ("--set", setting)]
    command = [
        sys.executable,
        "-m",
        "medtl",
        "train",
        str(options.config),
        "--data",
        str(options.data),
        "--weights",
        str(options.weights),
        *settings,
    ]
    with tempfile.TemporaryDirectory(prefix="medtl-kill-") as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        start = time.monotonic()
        subprocess.run([*command, "--out", str(whole)], check=True, stderr=subprocess.DEVNULL)
        taken = time.monotonic() - start
        moments = kill_repeatedly([*command, "--out", str(killed)], killed, options.kills, taken)
        same = {
            "released weights": released(whole) == released(killed),
            "last weights": same_tensors(last(whole), last(killed)),
            "rule": rule(whole) == rule(killed),
        }
    print(json.dumps({"seconds_uninterrupted": round(taken, 1), "killed_after_seconds": moments, "equal": same}))


def kill_repeatedly(command: list[str], run: Path, kills: int, whole: float) -> list[float]:
    """Start, kill after a random part of the time that a whole run takes, resume, … and let the last one end."""
    chance = random.Random(0)
    moments = []
    while len(moments) < kills and not (run / "model").exists():
        resume = ["--resume"] if (run / "records.csv").exists() else []
        process = subprocess.Popen([*command, *resume], stderr=subprocess.DEVNULL)
        moment = chance.uniform(0.14, 0.26) * whole
        time.sleep(moment)
        process.kill()
        process.wait()
        moments.append(round(moment, 1))
    if not (run / "model").exists():
        subprocess.run([*command, *(["--resume"] if (run / "records.csv").exists() else [])], check=True, stderr=subprocess.DEVNULL)
    return moments


def released(run: Path) -> bytes:
    return (run / "model" / "weights-0.safetensors").read_bytes()


def last(run: Path) -> dict[str, torch.Tensor]:
    """Weights of the last epoch, which all kills lie before; the released ones may be older than the first kill."""
    newest = max((run / "checkpoints").glob("epoch-*.ckpt"))
    weights: dict[str, torch.Tensor] = torch.load(newest, map_location="cpu", weights_only=True)["state_dict"]
    return weights


def same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def rule(run: Path) -> dict[str, object]:
    model = json.loads((run / "model" / "model.json").read_text(encoding="utf-8"))
    return {key: model[key] for key in ("calibration", "operating_point", "prior_shift", "fingerprint")}


if __name__ == "__main__":
    main()
