"""A loaded package that answers: `Model.load(folder).predict(paths)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task, Threshold
from medtl.errors import MedtlError
from medtl.imaging.settings import ImageSettings
from medtl.model import format as package_format
from medtl.model.answers import answer_table
from medtl.model.format import PackageFile, file_sha256

if TYPE_CHECKING:
    import torch

    from medtl.decisions.methods import Calibrated
    from medtl.experiment.schema import Scope
    from medtl.imaging.inputs import Input
    from medtl.module.classifier import Classifier

BATCH = 32
NOT_FINITE = "the network gave no finite answer for this image [NOT_FINITE]"
Progress = Callable[[int, int], None]


class Model:
    """Members, calibration and decision rule of one package, on one device."""

    def __init__(self, package: PackageFile, members: Sequence[Classifier], folder: Path, device: torch.device):
        from medtl.decisions.methods import from_json

        self.package = package
        self.members = list(members)
        self.folder = folder
        self.device = device
        self.calibration: Calibrated = from_json(package.calibration, package.task.kind == "multi")

    @classmethod
    def load(cls, folder: str | Path, device: str = "auto") -> Model:
        """Open a package folder. `device`: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` …

        Raises MedtlError where the folder is no package, a newer format, cut, changed or does not fit together.
        """
        import torch

        from medtl.model.weights import load_member

        folder = Path(folder)
        package = package_format.read(folder)
        _check_weights(package, folder)
        chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        members = [load_member(folder / each.file, package.network, len(package.task.classes), package.flips) for each in package.weights]
        placed = [member.to(chosen, memory_format=torch.channels_last) for member in members]
        return cls(package, placed, folder, chosen)

    @property
    def task(self) -> Task:
        return self.package.task

    @property
    def scope(self) -> Scope:
        return self.package.scope

    @property
    def image(self) -> ImageSettings:
        return self.package.image

    @property
    def threshold(self) -> Threshold | None:
        """Of the positive class's calibrated probability; of several findings per image one each; None for more than two classes."""
        return self.package.operating_point.threshold

    @property
    def fingerprint(self) -> str:
        return self.package.fingerprint

    def predict_arrays(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Preprocessed images uint8 (B, S, S, C), as the store gives them → raw logits of every member (M, B, K).

        Full float32 on every device, so that neither the batch an image stands in nor the machine moves an answer by more than rounding.
        """
        import torch

        size, channels = self.image.size, self.image.channels
        if images.ndim != 4 or images.shape[1:] != (size, size, channels) or images.dtype != np.uint8:
            raise MedtlError(f"images of shape {images.shape}, {images.dtype}; this model takes uint8 (B, {size}, {size}, {channels})")
        logits = np.empty((len(self.members), len(images), len(self.task.classes)), np.float32)
        with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            for start in range(0, len(images), BATCH):
                batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH])).to(self.device)
                for m, member in enumerate(self.members):
                    logits[m, start : start + BATCH] = member(batch).float().cpu().numpy()
        return logits

    def refusal(self, measurement: Mapping[str, Any]) -> str:
        """Why there is no answer for an image with this measurements row: not read, or of a kind that the model is not for; else empty."""
        from medtl.model.scope import OUT_OF_SCOPE, other_kind

        if measurement["quarantine"]:
            return f"{measurement['reason']} [{measurement['quarantine']}]"
        reason = other_kind(measurement, self.scope)
        return f"{reason} [{OUT_OF_SCOPE}]" if reason else ""

    def answer(self, keys: pd.DataFrame, logits: NDArray[Any], reasons: Sequence[str] | None = None) -> pd.DataFrame:
        """Raw logits (M, N, K) → predictions table, a row per row of `keys`; a non-empty reason means that the image was not read."""
        given = list(reasons) if reasons is not None else [""] * len(keys)
        finite = np.isfinite(logits).all(axis=(0, 2))
        checked = [reason or ("" if fine else NOT_FINITE) for reason, fine in zip(given, finite, strict=True)]
        return answer_table(
            keys,
            logits,
            checked,
            task=self.task,
            prior_shift=self.package.prior_shift,
            calibration=self.calibration,
            threshold=self.threshold,
            adjusted=self.package.operating_point.adjusted,
        )

    def predict(self, paths: str | Path | Iterable[str | Path], progress: Progress | None = None) -> pd.DataFrame:
        """Files, folders (with everything below), zips and npz files → predictions table, a row per image.

        What cannot be read has a row too, with `decision` "no answer" and its reason. `progress(done, total)` is called as images are done.
        Raises MedtlError where a path does not exist or nothing is found.
        """
        from medtl.imaging.inputs import gathered

        given = [paths] if isinstance(paths, str | Path) else list(paths)
        with gathered([Path(path) for path in given]) as inputs:
            logits, reasons = self._logits_of_files(inputs, progress)
        keys = pd.DataFrame({"image": [each.image for each in inputs], "frame": [each.frame for each in inputs]})
        return self.answer(keys, logits, reasons)

    def _logits_of_files(self, inputs: Sequence[Input], progress: Progress | None) -> tuple[NDArray[np.float32], list[str]]:
        """Decode in isolated processes, answer in batches as images come: logits (M, N, K), NaN where a reason (N) says why."""
        from medtl.imaging.decoding import decode_many

        logits = np.full((len(self.members), len(inputs), len(self.task.names)), np.nan, np.float32)
        reasons = [each.reason for each in inputs]
        there = [position for position, each in enumerate(inputs) if each.file is not None]
        waiting: list[tuple[int, NDArray[np.uint8]]] = []
        items = [(inputs[position].path, inputs[position].frame) for position in there]
        for done, (number, pixels, measurement) in enumerate(decode_many(items, self.image), start=1):
            reasons[there[number]] = self.refusal(measurement)
            if pixels is not None and not reasons[there[number]]:
                waiting.append((there[number], pixels))
            if waiting and (len(waiting) == BATCH or done == len(items)):
                logits[:, [position for position, _ in waiting]] = self.predict_arrays(np.stack([each for _, each in waiting]))
                waiting.clear()
            if progress is not None:
                progress(done, len(items))
        return logits, reasons


def _check_weights(package: PackageFile, folder: Path) -> None:
    for each in package.weights:
        path = folder / each.file
        if not path.is_file():
            raise MedtlError(
                f"{path}: is missing; a package is only whole with its {len(package.weights)} weights file(s): copy the whole folder again"
            )
        if file_sha256(path) != each.sha256:
            raise MedtlError(
                f"{path}: was cut or changed after it was written (its hash is not the one in model.json); copy the package again"
            )
