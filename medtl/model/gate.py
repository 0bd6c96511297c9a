"""The gate of a package: what it refuses for what it looks like, and the file that holds its statistics. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from medtl.decisions.outlyingness import Detector, Limit
from medtl.decisions.precedence import Reasons
from medtl.decisions.quality import poor
from medtl.errors import MedtlError
from medtl.files import share
from medtl.model.format import GateFile, file_sha256
from medtl.predictions import QUALITY, UNLIKE_TRAINING

FILE = "gate.safetensors"
UNLIKE = f"it looks unlike the images that the model learned from [{UNLIKE_TRAINING}]"
_PARTS = ("centre", "axes", "units", "reference")


@dataclass(frozen=True)
class Gate:
    """Fitted on training images, its limit put on validation images."""

    detector: Detector
    limit: Limit
    refuse: float
    """The share of groups that was asked for."""
    aurocs: Mapping[str, Mapping[str, float]]
    quality: Mapping[str, float]
    """Of :func:`medtl.decisions.quality.limits`."""

    def judge(self, reasons: Reasons, scores: ArrayLike, measured: Sequence[Mapping[str, Any]]) -> None:
        """Write into `reasons` what speaks against answering N images: (N,) outlyingness, NaN = not looked at; their measurements."""
        reasons.unlike[:] = self.unlike(scores)
        reasons.quality[:] = [self.poor(each) for each in measured]

    def unlike(self, scores: ArrayLike) -> list[str]:
        """(N,) outlyingness → (N,) why not, or empty."""
        return [UNLIKE if score > self.limit.value else "" for score in np.asarray(scores, np.float64)]

    def poor(self, measurement: Mapping[str, Any]) -> str:
        """Why an image is too poor, or empty; what could not be read is another matter."""
        said = "" if measurement["quarantine"] else poor(measurement, self.quality)
        return f"{said} [{QUALITY}]" if said else ""

    def save(self, folder: Path) -> GateFile:
        """Write the statistics into a package's folder; what `model.json` says of them."""
        path = folder / FILE
        parts = {name: np.ascontiguousarray(getattr(self.detector, name), np.float32) for name in _PARTS}
        save_file(parts, path, metadata={"format": "np"})  # one entry: more would come in any order
        share(path)
        return GateFile(
            sha256=file_sha256(path), method=self.detector.method, refuse=self.refuse, limit=self.limit.value,
            expected=self.limit.expected, at_most=self.limit.at_most, groups=self.limit.groups,
            aurocs={method: dict(kinds) for method, kinds in self.aurocs.items()}, quality=dict(self.quality),
        )  # fmt: skip


def load(stored: GateFile, folder: Path) -> Gate:
    """The gate of a package. Raises MedtlError where its file is missing, cut or changed."""
    path = folder / stored.file
    if not path.is_file():
        raise MedtlError(f"{path}: is missing; a package is only whole with its gate: copy the whole folder again")
    if file_sha256(path) != stored.sha256:
        raise MedtlError(f"{path}: was cut or changed after it was written (its hash is not the one in model.json); copy the package again")
    try:
        parts = load_file(path)
        detector = Detector(stored.method, *(parts[name] for name in _PARTS))
    except (SafetensorError, KeyError, ValueError) as error:
        raise MedtlError(f"{path}: is no gate ({type(error).__name__}); copy the package again") from None
    limit = Limit(stored.limit, stored.expected, stored.at_most, stored.groups)
    return Gate(detector, limit, stored.refuse, stored.aurocs, stored.quality)
