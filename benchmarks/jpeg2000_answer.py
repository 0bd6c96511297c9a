"""One radiograph, 2048 x 2500 in JPEG 2000, to probability and saliency: medtl against MONAI's reader with hook Grad-CAM.

    python benchmarks/jpeg2000_answer.py [--network resnet50] [--repeat 7] [--threads 2] [--json FILE]

A made radiograph (12 bits, lossless, as DICOM), 224 x 224, the same network with the same random weights on every side (speed does not ask
for others). MONAI, as its tutorials have it: LoadImage with PydicomReader, ScaleIntensity, Resize; the network for the probability;
monai.visualize.GradCAM for the map. medtl: what an answer takes, from the file with hashes and measurements to the calibrated probability
and the map, with `image.decode` exact and reduced, by torch and by ONNX Runtime. The sides run in processes of their own and take turns;
medians of one run. CPU milliseconds of one thread; with --threads N wall milliseconds: what a person waits for where the machine has so
many processors and no other work. Every side may use them all; MONAI's reader decodes with one. Beside each ratio how far probability and
map are from MONAI's: the map is compared as a share of its largest value, and MONAI's transposed picture is turned first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from served import SIDE, large, phantoms, random_package

Answer = tuple[float, np.ndarray]
"""Probability of `ill`, and its map (224, 224) as a share of the largest value."""
Parts = dict[str, float]
"""Milliseconds by part."""
ILL = 1
SIDES = {"MONAI": ("exact", ""), "exact": ("exact", "torch"), "exact, ONNX": ("exact", "onnxruntime"),
         "reduced": ("reduced", "torch"), "reduced, ONNX": ("reduced", "onnxruntime")}  # fmt: skip
"""By name: `image.decode` of the package, and the engine."""


class Clock:
    """CPU time since the last mark, of several threads wall time."""

    def __init__(self, threads: int) -> None:
        self.parts: Parts = {}
        self._now = time.process_time if threads == 1 else time.perf_counter
        self._last = self._now()

    def mark(self, name: str) -> None:
        now = self._now()
        self.parts[name], self._last = 1e3 * (now - self._last), now


def monai_side(package: Path) -> Callable[[Path, Clock], Answer]:
    import torch
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Resize, ScaleIntensity
    from monai.visualize import GradCAM

    from medtl.explanation.saliency import contrast
    from medtl.model.model import Model

    member = Model.load(package, "cpu").members[0].requires_grad_(True)  # as a network is that one has built oneself
    read = Compose([LoadImage(image_only=True, reader="PydicomReader"), EnsureChannelFirst(), ScaleIntensity(), Resize((SIDE, SIDE))])

    class Scored(torch.nn.Module):
        """The score that medtl explains: a class's logit against the others'."""

        def __init__(self) -> None:
            super().__init__()
            self.member = member

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return contrast(self.member(x))

    explain = GradCAM(Scored().eval(), target_layers=f"member.network.backbone.{_last_layer(member.network.backbone)}")

    def work(path: Path, clock: Clock) -> Answer:
        planes = torch.as_tensor(np.asarray(read(path))).transpose(1, 2)[None].expand(1, 3, SIDE, SIDE)
        planes = planes.contiguous(memory_format=torch.channels_last)
        clock.mark("reading")
        with torch.no_grad():
            probability = float(torch.softmax(member(planes), dim=1)[0, ILL])
        clock.mark("probability")
        found = np.asarray(explain.compute_map(planes, class_idx=ILL).detach())[0, 0]
        shares = np.maximum(found, 0) / max(float(np.abs(found).max()), 1e-12)
        import cv2

        shown = cv2.resize(shares, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
        clock.mark("map")
        return probability, shown

    return work


def _last_layer(backbone: Any) -> str:
    """The layer whose output is the last maps, by its name."""
    for name in ("layer4", "norm5", "features.norm5", "bn2", "conv_head"):
        with contextlib.suppress(AttributeError):
            backbone.get_submodule(name)
            return name
    raise SystemExit("the last maps of this network have no known name; choose resnet50 or densenet121")


def medtl_side(package: Path, engine: str) -> Callable[[Path, Clock], Answer]:
    import pandas as pd

    from medtl.explanation.saliency import saliency_in
    from medtl.imaging.preprocessing import preprocess
    from medtl.memory import keep_freed_memory
    from medtl.model.model import Model

    keep_freed_memory()  # as in every decode worker
    model = Model.load(package, "cpu")
    if engine == "onnxruntime":
        from medtl.interop.onnx_file import engine_of

        model.engine = engine_of(model)

    def work(path: Path, clock: Clock) -> Answer:
        pixels, _ = preprocess(path, 0, model.image)
        clock.mark("reading")
        logits, _, maps = model.look_with_maps(pixels[None])
        table = model.answer(pd.DataFrame({"image": ["x"], "frame": [0]}), logits)
        clock.mark("probability")
        shown = saliency_in(model, maps)[0, ILL]
        clock.mark("map")
        return float(table["p_ill"].iloc[0]), shown

    return work


def serve(name: str, package: Path, threads: int, connection: Connection) -> None:
    """One side: asked by a path, it answers and says what time it took."""
    import cv2
    import torch

    from medtl.imaging import decoders

    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    decoders.use_threads(threads)
    warnings.simplefilter("ignore")
    engine = SIDES[name][1]
    work = medtl_side(package, engine) if engine else monai_side(package)
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        while True:
            try:
                path = connection.recv()
            except EOFError:
                return
            clock = Clock(threads)
            connection.send((work(path, clock), clock.parts))


def written(folder: Path) -> Path:
    """The radiograph, both extremes present and the window over all of them: then MONAI's minimum … maximum is the same picture."""
    import imagecodecs
    from pydicom.uid import JPEG2000Lossless
    from throughput_images import dicom

    ((_, picture),) = phantoms(1, 2500)
    stored = (large(picture).shown.clip(0, 1) * 4095).round().astype(np.uint16)
    stored[0, :2] = 0, 4095
    stream = imagecodecs.jpeg2k_encode(stored, level=0, codecformat="j2k", bitspersample=12, reversible=True)
    return dicom(folder / "radiograph.dcm", JPEG2000Lossless, stored, stream)


def compare(network: str, repeat: int, threads: int, folder: Path) -> list[dict[str, Any]]:
    file = written(folder)
    packages = {decode: random_package(network, folder / decode, fit="squeeze", decode=decode) for decode in ("exact", "reduced")}
    context, ours, processes = multiprocessing.get_context("spawn"), {}, []
    for name, (decode, _) in SIDES.items():
        here, there = context.Pipe()
        processes.append(context.Process(target=serve, args=(name, packages[decode], threads, there), daemon=True))
        processes[-1].start()
        there.close()
        ours[name] = here
    taken: dict[str, list[Parts]] = {name: [] for name in SIDES}
    answers: dict[str, Answer] = {}
    for turn in range(repeat + 1):
        for name, connection in ours.items():
            connection.send(file)
            answers[name], parts = connection.recv()
            taken[name] += [parts] if turn else []  # the first warms up
    for connection in ours.values():
        connection.close()
    for process in processes:
        process.join()
    return [_row(name, taken, answers) for name in SIDES]


def _row(name: str, taken: dict[str, list[Parts]], answers: dict[str, Answer]) -> dict[str, Any]:
    whole = {side: statistics.median(sum(parts.values()) for parts in runs) for side, runs in taken.items()}
    (p, shown), (theirs, reference) = answers[name], answers["MONAI"]
    return {
        "side": name, "ms": round(whole[name]), "ratio": round(whole["MONAI"] / whole[name], 1),
        **{part: round(statistics.median(run[part] for run in taken[name])) for part in taken[name][0]},
        "p_ill": round(p, 4), "p_difference": round(abs(p - theirs), 5),
        "map_difference": round(float(np.abs(shown - reference).mean()), 4),
    }  # fmt: skip


def main() -> None:
    given = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given.add_argument("--network", default="resnet50")
    given.add_argument("--repeat", type=int, default=7)
    given.add_argument("--threads", type=int, default=1)
    given.add_argument("--json", type=Path)
    asked = given.parse_args()
    os.environ.update({f"{library}_NUM_THREADS": str(asked.threads) for library in ("OMP", "OPENBLAS", "MKL")})
    with tempfile.TemporaryDirectory() as folder:
        rows = compare(asked.network, asked.repeat, asked.threads, Path(folder))
    print(
        f"{asked.network}, {'CPU' if asked.threads == 1 else 'wall'} milliseconds, threads {asked.threads}, load {os.getloadavg()[0]:.1f}"
    )
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
