"""From a file to a 224 x 224 input: medtl against MONAI's PydicomReader (PILReader for pictures) + Resize, in CPU time of one thread.

    python benchmarks/throughput.py [--real FOLDER ...] [--decoders FOLDER] [--repeat 7] [--json FILE]

Both sides run in processes of their own, set up as they run in practice, and take turns on every file; the medians of one run are
compared. `input`: reading, all of the grey chain, resizing: the work that MONAI does. `store`: the same with both hashes and everything
that is measured, as the image store has it. `reduced`: as `input`, with image.decode: reduced. Beside each ratio stands how far the values
are from MONAI's (mean and largest difference, of a range of 1); real files have windows and polarities that MONAI leaves out, so there
the difference to the exact area mean of medtl's full-size pixels is shown.
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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 224
Floats = NDArray[np.float32]


def monai_side() -> dict[str, Callable[[Path], Floats]]:
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Resized, ScaleIntensityd

    def pipeline(reader: str) -> Any:
        return Compose(
            [
                LoadImaged("image", reader=reader),
                EnsureChannelFirstd("image"),
                ScaleIntensityd("image"),
                Resized("image", (SIDE, SIDE)),
            ]
        )

    dicom, picture = pipeline("PydicomReader"), pipeline("PILReader")

    def work(path: Path) -> Floats:
        chosen = picture if path.suffix in (".png", ".jpg", ".jpeg") else dicom
        return np.asarray(chosen({"image": str(path)})["image"])

    return {"monai": work}


def medtl_side() -> dict[str, Callable[[Path], Floats]]:
    from medtl.imaging import reader
    from medtl.imaging.image import Encoded
    from medtl.imaging.preprocessing import network_input, preprocess
    from medtl.imaging.settings import ImageSettings
    from medtl.memory import keep_freed_memory

    keep_freed_memory()  # as in every decode worker
    exact = ImageSettings(size=SIDE, channels=1, fit="squeeze")
    reduced = exact.model_copy(update={"decode": "reduced"})

    def read_and_fit(path: Path, settings: ImageSettings) -> NDArray[np.uint8]:
        encoded = Encoded(str(path), path.read_bytes(), "", None, settings.largest_pixels, at_least=settings.at_least)
        image = reader._decode(encoded).without_empty_colour()
        return network_input(image.sixteen_bits, settings)

    return {
        "input": lambda path: read_and_fit(path, exact),
        "store": lambda path: preprocess(path, 0, exact)[0],
        "reduced": lambda path: read_and_fit(path, reduced),
        "full": lambda path: reader.read_image(path).pixels,
    }


@dataclass
class Side:
    """A process that does one side's work and says what CPU time it took."""

    connection: Connection

    def ask(self, name: str, path: Path) -> tuple[float, Floats] | None:
        """Seconds and result, None where it cannot read the file."""
        self.connection.send((name, path))
        answer: tuple[float, Floats] | None = self.connection.recv()
        return answer


def serve(side: str, decoders: str, connection: Connection) -> None:
    if decoders:
        sys.path.insert(0, decoders)
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        works = monai_side() if side == "monai" else medtl_side()
        while True:
            try:
                name, path = connection.recv()
            except EOFError:  # the other side is gone
                return
            try:
                start = time.process_time()
                result = works[name](path)
                connection.send((time.process_time() - start, np.asarray(result)))
            except Exception:
                connection.send(None)


@contextlib.contextmanager
def sides(decoders: str) -> Iterator[tuple[Side, Side]]:
    context, processes, ours = multiprocessing.get_context("spawn"), [], []
    for side, path in (("monai", decoders), ("medtl", "")):
        here, there = context.Pipe()
        processes.append(context.Process(target=serve, args=(side, path, there), daemon=True))
        processes[-1].start()
        ours.append(Side(here))
    try:
        yield ours[0], ours[1]
    finally:
        for process in processes:
            process.terminate()


@dataclass
class Row:
    """One file: milliseconds of CPU time (None: cannot read it) and differences of the values."""

    file: str
    size: str
    monai: float | None
    input: float
    store: float
    reduced: float
    difference: tuple[float, float]
    difference_reduced: tuple[float, float]

    def line(self) -> str:
        parts = [f"{self.file[:34]:34s} {self.size:>11s}", f"{self.monai:8.1f}" if self.monai else "     n/a"]
        for name in ("input", "store", "reduced"):
            own = getattr(self, name)
            parts.append(f"{own:8.1f} {self.monai / own:5.1f}x" if self.monai else f"{own:8.1f}      -")
        for mean, most in (self.difference, self.difference_reduced):
            parts.append(f"{mean:.4f} {most:.3f}")
        return "  ".join(parts)


HEADING = (
    f"{'file':34s} {'pixels':>11s}  {'MONAI ms':>8s}  {'input ms, ratio':>15s}  {'store ms, ratio':>15s}  {'reduced, ratio':>15s}  "
    f"{'difference':>12s}  {'reduced':>12s}"
)


def compare(name: str, path: Path, repeat: int, both: tuple[Side, Side], made: bool) -> Row | None:
    """Take turns on one file; None where medtl refuses it."""
    monai, medtl = both
    times: dict[str, list[float]] = {"monai": [], "input": [], "store": [], "reduced": []}
    last: dict[str, Floats] = {}
    for turn in range(repeat + 1):
        for work, spent in times.items():
            answer = (monai if work == "monai" else medtl).ask(work, path)
            if answer is None and work != "monai":
                return None
            if answer is not None:
                last[work] = answer[1]
                if turn:  # the first warms up
                    spent.append(1e3 * answer[0])
    full = medtl.ask("full", path)
    assert full is not None
    reference = last["monai"][0].T if made and "monai" in last else area_mean(full[1])
    differences = [np.abs(last[work][..., 0] / 255 - reference) for work in ("input", "reduced")]
    medians = {work: statistics.median(spent) if spent else None for work, spent in times.items()}
    height, width = full[1].shape[1:]
    return Row(name, f"{width} x {height}", **medians, **{  # type: ignore[arg-type]
        key: (float(found.mean()), float(found.max())) for key, found in zip(("difference", "difference_reduced"), differences, strict=True)
    })  # fmt: skip


def area_mean(pixels: Floats) -> Floats:
    """The network's input by one area mean in floating point, from (C, H, W)."""
    import cv2

    grey = pixels[0] if len(pixels) == 1 else np.tensordot(np.array([0.299, 0.587, 0.114]), pixels, 1)
    down = min(grey.shape) >= SIDE
    return np.asarray(cv2.resize(grey.astype(np.float64), (SIDE, SIDE), interpolation=cv2.INTER_AREA if down else cv2.INTER_LINEAR))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="folders of real images; each file is compared")
    parser.add_argument("--decoders", default="", help="a folder with more decoders for MONAI's side (pip install --target), such as gdcm")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    rows = []
    with tempfile.TemporaryDirectory() as folder, sides(given.decoders) as both:
        from throughput_images import write_all

        files = [(name, path, True) for name, path in write_all(Path(folder)).items()]
        real = sorted(path for root in given.real if root.is_dir() for path in root.rglob("*") if path.is_file())
        files += [(path.name, path, False) for path in real if path.suffix in (".dcm", ".png", ".jpg", ".jpeg", "")]
        print(HEADING, flush=True)
        for name, path, made in files:
            row = compare(name, path, given.repeat, both, made)
            print(row.line() if row else f"{name[:34]:34s} refused (as `medtl audit` would list it)", flush=True)
            rows += [row] if row else []
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
