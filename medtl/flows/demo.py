"""`medtl demo`: both tasks on made images, from nothing: trained, judged and reported."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from medtl.backbones.description import read_sidecar
from medtl.backbones.weights import imagenet_weights
from medtl.card import estimate
from medtl.contracts import TEST
from medtl.errors import MedtlError
from medtl.experiment.shipped import shipped_config
from medtl.flows.evaluate import evaluate
from medtl.flows.run import Run, load_run
from medtl.flows.train import train
from medtl.terminal import Line

CONFIGS = {"chest": "phantom_chest", "lesions": "phantom_lesions"}
NETWORK = "mobilenetv2_100"
"""What learns where pretrained weights are at hand."""
TRANSFER = ("transfer.strategy=lp-ft", "transfer.epochs=3", "transfer.rate=0.0005")


@dataclass(frozen=True)
class Start:
    """What the demo's networks start from: settings that say so, and the sentence that tells it."""

    overrides: tuple[str, ...]
    weights: Path | None
    sentence: str


def demo(weights: Path | str | None = None, out: Path | str | None = None) -> list[Run]:
    """Train, evaluate and report both tasks below `out` (default `runs/demo/<time>`; new or empty); returns the two runs.

    weights: pretrained weights to start from; else those of the hub, where it answers within 5 seconds; else none.
    """
    started, line = time.monotonic(), Line()
    folder = Path(out) if out else Path("runs/demo") / datetime.now().strftime("%Y%m%d-%H%M%S")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MedtlError(f"--out {folder}: is not empty, and the demo overwrites nothing; choose another folder")
    start = start_from(Path(weights) if weights else None)
    line.keep(f"The images are made here, by rules: they show how medtl works, and nothing about patients.\n{start.sentence}")
    images, runs = folder / "images", []
    images.mkdir(parents=True, exist_ok=True)
    for number, (name, config) in enumerate(CONFIGS.items(), start=1):
        line.keep(f"\n{number} of {len(CONFIGS)}: {name}")
        run = train(shipped_config(config), images, start.weights, start.overrides, folder / name)
        evaluate(run.folder)
        runs.append(load_run(run.folder))
    print(summary(runs, folder, time.monotonic() - started))
    return runs


def start_from(weights: Path | None) -> Start:
    """The given file, else what the hub or its cache has, else random weights."""
    if weights is not None:
        if not weights.is_file():
            raise MedtlError(f"--weights {weights}: there is no such file; leave it out to train from scratch")
        sidecar = read_sidecar(weights)
        network = (sidecar.architecture if sidecar else None) or NETWORK
        return Start((f"backbone.name={network}", *TRANSFER), weights, f"Transfer learning: {network} starts from {weights.name}.")
    try:
        imagenet_weights(NETWORK)
    except MedtlError as refusal:
        reason = str(refusal).partition(" are not on this machine, and ")[2].partition(". Ways to bring them")[0] or "they cannot be read"
        sentence = f"No ImageNet weights ({reason}), so both networks learn from scratch: this is then no transfer."
        return Start((), None, f"{sentence} Bring some with --weights FILE.")
    overrides = (f"backbone.name={NETWORK}", "backbone.weights=imagenet", *TRANSFER)
    return Start(overrides, None, f"Transfer learning: {NETWORK} starts from its ImageNet weights.")


def summary(runs: Sequence[Run], folder: Path, seconds: float) -> str:
    """What was made, where, and what to do next."""
    made = [
        text for run in runs for text in (_result(run), f"    report  {run.folder / 'report.html'}", f"    model   {run.folder / 'model'}")
    ]
    models = " ".join(str(run.folder / "model") for run in runs)
    return "\n".join(
        [
            f"\nDone in {int(seconds // 60)} min {seconds % 60:.0f} s. All in {folder}:",
            *made,
            f"The page:         medtl serve {models}",
            "Your own images:  medtl init FOLDER --table labels.csv   (then it says what comes next)",
        ]
    )


def _result(run: Run) -> str:
    metrics: dict[str, Any] = run.metrics()
    test = metrics["splits"][TEST]
    return (
        f"  {run.folder.name}: AUROC {estimate(test['auroc'])}, macro-F1 {estimate(test['macro_f1'])} on {test['n']} synthetic test images "
        f"of {test['groups']} {metrics['unit']}s"
    )
