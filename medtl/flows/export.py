"""`medtl export`: a package in another format, and how far it is from the package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError, did_you_mean
from medtl.files import check_place
from medtl.flows.run import model_folder
from medtl.interop.parity import Parity
from medtl.model.model import Model

FORMATS = ("onnx",)


def export(model: Path | str, to: str = "onnx", out: Path | str | None = None, check: Sequence[Path | str] = ()) -> Parity:
    """Write the package `model` (or that of a run) as `out`, by default `<name>.onnx` here, and `out`.json beside it.

    check: images, folders or zips on which package and file are held against each other, besides made images.
    Raises MedtlError: no model, a format that is none, an existing file that is no such export (by the SHA-256 that stands
    beside one) or a place where none can be written, a missing library, nothing readable to
    check on; GateRefusal (exit code 3): the file would not give what the package gives.
    """
    if to not in FORMATS:
        raise MedtlError(f"--to {to}: is no format{did_you_mean(to, FORMATS)}; there is: {', '.join(FORMATS)}")
    from medtl.interop import onnx_file

    loaded = Model.load(model_folder(model), device="cpu")
    file = Path(out) if out is not None else Path(f"{loaded.package.name}.onnx")
    _check_out(file)
    measured = onnx_file.write(loaded, file, _pixels(loaded, check) if check else None)
    print("\n".join(_said(loaded, file, measured)))
    return measured


def _check_out(file: Path) -> None:
    from medtl.interop import onnx_file

    beside = onnx_file.beside(file)
    for each in (file, beside):
        check_place("--out", each, "model.onnx")
    there = [each for each in (file, beside) if each.exists() and each.stat().st_size]
    if there and not onnx_file.wrote(file):
        raise MedtlError(f"--out {file}: {there[0].name} exists and is no export of medtl, so it is left alone; choose another name")


def _pixels(model: Model, paths: Sequence[Path | str]) -> NDArray[np.uint8]:
    """(N, S, S, C) of what can be read."""
    from medtl.imaging.decoding import decode_many
    from medtl.imaging.inputs import gathered

    with gathered([Path(path) for path in paths]) as inputs:
        items = [(each.path, each.frame) for each in inputs if each.file is not None]
        read = [pixels for _, pixels, _ in decode_many(items, model.image) if pixels is not None]
    if not read:
        raise MedtlError(f"--check: none of {len(inputs):,} files can be read as an image, so nothing is checked on them")
    return np.stack(read)


def _said(model: Model, file: Path, measured: Parity) -> list[str]:
    members, size = len(model.members), file.stat().st_size / 1e6
    images = f"{measured.made} made" + (f" and {measured.given:,} given" if measured.given else "") + " images"
    changed = f", {measured.decisions} of them called another class" if measured.decisions else ", all called the same"
    return [
        f"{model.package.name}: {members} {'network' if members == 1 else 'networks'} with calibration as one graph, {size:.1f} MB",
        f"parity on {images}: logits differ by at most {measured.logits:.2g} (largest {measured.largest_logit:.3g}), "
        f"probabilities by {measured.probabilities:.2g}{changed}",
        f"scope, gate{', sets' if model.package.conformal else ''} and quality are not in it: it answers for everything (see the .json)",
        f"file: {file}",
    ]
