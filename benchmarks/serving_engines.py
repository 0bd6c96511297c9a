"""One image's logits by torch, torch.compile, ONNX Runtime and OpenVINO: is another engine worth it for the page?

python benchmarks/serving_engines.py [--networks NAME ...] [--engines NAME ...] [--threads 1 2] [--answers 20] [--rounds 3]

Random weights (speed does not ask for others), 224 x 224, one image at a time, uint8 pixels of the store in and logits out, the graph that
`medtl export` writes. Each engine in fresh processes, in turns. Prints JSON lines: median and least wall milliseconds (the least says most
where other work runs), median CPU milliseconds, the largest difference from the first engine's logits, and what the process takes in
memory. Needs the extra `export`; OpenVINO and torch.compile (a C++ compiler) are left out where they are not there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ENGINES = ("torch", "torch.compile", "onnxruntime", "openvino")
WARM = 4


def main() -> None:
    given = argparse.ArgumentParser()
    given.add_argument("--networks", nargs="+", default=["mobilenetv2_100", "resnet50", "densenet121"])
    given.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    given.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    given.add_argument("--answers", type=int, default=20)
    given.add_argument("--rounds", type=int, default=3)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as place:
        for network in asked.networks:
            folder = _made(network, Path(place) / network)
            for threads in asked.threads:
                _compare(network, folder, threads, asked)


def _made(network: str, folder: Path) -> Path:
    """A package with its graph beside it."""
    from served import random_package

    from medtl.flows.export import export

    export(random_package(network, folder), out=folder / "graph.onnx")
    return folder


def _compare(network: str, folder: Path, threads: int, asked: argparse.Namespace) -> None:
    taken: dict[str, list[dict[str, Any]]] = {engine: [] for engine in asked.engines}
    for _ in range(asked.rounds):
        for engine in asked.engines:
            environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
            command = [sys.executable, __file__, "--as", engine, str(folder), str(threads), str(asked.answers)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            if done.returncode == 0:
                taken[engine].append(json.loads(done.stdout.splitlines()[-1]))
            else:
                print(f"{engine}: left out: {done.stderr.strip().splitlines()[-1][:160]}", file=sys.stderr)
    for engine, runs in taken.items():
        if not runs:
            continue
        wall, cpu = ([value for run in runs for value in run[key]] for key in ("wall", "cpu"))
        difference = float(np.abs(np.array(runs[0]["logits"]) - np.array(next(iter(taken.values()))[0]["logits"])).max())
        print(json.dumps({
            "network": network, "threads": threads, "engine": engine, "wall_ms": round(statistics.median(wall), 1),
            "wall_least_ms": round(min(wall), 1), "cpu_ms": round(statistics.median(cpu), 1),
            "difference": difference, "memory_mb": round(max(run["memory"] for run in runs)),
        }), flush=True)  # fmt: skip


def _alone(engine: str, folder: Path, threads: int, answers: int) -> None:
    """In a process of its own: time so many answers."""
    from served import SIDE

    images = np.random.default_rng(0).integers(0, 256, (answers + WARM, 1, SIDE, SIDE, 3), dtype=np.uint8)
    run = _engine(engine, folder, threads)
    logits = [run(each) for each in images[:WARM]]
    wall, cpu = [], []
    for each in images[WARM:]:
        began, spent = time.perf_counter(), time.process_time()
        logits.append(run(each))
        wall.append(1000 * (time.perf_counter() - began))
        cpu.append(1000 * (time.process_time() - spent))
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))  # Linux
    memory = int(held.split()[1]) / 1024
    print(json.dumps({"wall": wall, "cpu": cpu, "memory": memory, "logits": np.concatenate(logits).tolist()}))


def _engine(engine: str, folder: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    if engine == "onnxruntime":
        from medtl.interop.onnx_engine import OnnxEngine

        session = OnnxEngine(folder / "graph.onnx", threads)
        return lambda image: session(image)[0][0]
    if engine == "openvino":
        import openvino

        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(folder / "graph.onnx", "CPU", settings)
        return lambda image: np.array(compiled(image)[0])[0]
    return _torch(engine, folder, threads)


def _torch(engine: str, folder: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    from medtl.memory import keep_freed_memory
    from medtl.model.model import Model

    torch.set_num_threads(threads)
    keep_freed_memory()
    model = Model.load(folder, device="cpu")
    if engine == "torch.compile":
        compiled = torch.compile(model.members[0])
        return lambda image: _inferred(compiled, image)
    return lambda image: model.predict_arrays(image)[0]


def _inferred(member: Any, image: np.ndarray) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return np.asarray(member(torch.from_numpy(image)).numpy())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as"]:
        _alone(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
