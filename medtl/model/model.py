"""A loaded package that answers: `Model.load(folder).predict(paths)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task, Threshold
from medtl.decisions.precedence import Reasons
from medtl.errors import MedtlError
from medtl.imaging.settings import ImageSettings
from medtl.model import format as package_format
from medtl.model.answers import answer_table
from medtl.model.format import PackageFile, file_sha256
from medtl.predictions import OUT_OF_SCOPE

if TYPE_CHECKING:
    import torch

    from medtl.decisions.methods import Calibrated
    from medtl.experiment.schema import Scope
    from medtl.imaging.inputs import Input
    from medtl.module.classifier import Classifier, Maps

BATCH = 32
TABLE_SAYS = "its row of the table says"
NOT_FINITE = "the network gave no finite answer for this image [NOT_FINITE]"
Progress = Callable[[int, int], None]


class Engine(Protocol):
    """What answers instead of torch."""

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Images uint8 (B, S, S, C) → raw logits (M, B, K), probabilities (B, K), features of the first member (B, D)."""
        ...

    def with_maps(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], list[Maps]]:
        """Raw logits, features of the first member, and every member's maps, of one pass."""
        ...


class Model:
    """Members, calibration and decision rule of one package, on one device."""

    def __init__(self, package: PackageFile, members: Sequence[Classifier], folder: Path, device: torch.device):
        from medtl.decisions import conformal
        from medtl.decisions.methods import from_json
        from medtl.model.gate import load as load_gate

        self.package = package
        self.members = list(members)
        self.folder = folder
        self.device = device
        self.engine: Engine | None = None
        """What gives the logits instead of torch, where one was set; see :mod:`medtl.interop.onnx_engine`."""
        self.calibration: Calibrated = from_json(package.calibration, package.task.kind == "multi")
        self.gate = load_gate(package.gate, folder) if package.gate is not None else None
        self.conformal = conformal.from_json(package.conformal) if package.conformal is not None else None

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
        members = [load_member(folder / each.file, package.network, package.task.outputs, package.flips) for each in package.weights]
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
        """Preprocessed images uint8 (B, S, S, C), as the store gives them → raw logits of every member (M, B, K)."""
        return self.look(images)[0]

    def look(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Preprocessed images uint8 (B, S, S, C) → raw logits (M, B, K), and (B,) how unlike the training images they are (NaN: no gate),
        by the features of which the first member's logits are made.

        Full float32 on every device, so that neither the batch an image stands in nor the machine moves an answer by more than rounding.
        """
        self._check(images)
        if self.engine is not None:
            logits, _, features = self.engine(images)
            return logits, self._unlike(features)
        logits = np.empty((len(self.members), len(images), len(self.task.classes)), np.float32)
        scores = np.full(len(images), np.nan)
        with _in_full_precision():
            for start in range(0, len(images), BATCH):
                some = slice(start, start + BATCH)
                batch = self._placed(images[some])
                for m, member in enumerate(self.members):
                    found, seen = member.with_features(batch)
                    logits[m, some] = found.float().cpu().numpy()
                    if m == 0:
                        scores[some] = self._unlike(seen)
        return logits, scores

    def look_with_maps(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float64], list[Maps]]:
        """As :meth:`look`, and every member's feature maps of the same pass, for saliency. All are kept: give few images."""
        self._check(images)
        if self.engine is not None:
            logits, features, maps = self.engine.with_maps(images)
            return logits, self._unlike(features), maps
        with _in_full_precision():
            seen = [member.with_maps(self._placed(images)) for member in self.members]
            logits = np.stack([found.float().cpu().numpy() for found, _, _ in seen])
            return logits, self._unlike(seen[0][1]), [maps for _, _, maps in seen]

    def _check(self, images: NDArray[np.uint8]) -> None:
        size, channels = self.image.size, self.image.channels
        if images.ndim != 4 or images.shape[1:] != (size, size, channels) or images.dtype != np.uint8:
            raise MedtlError(f"images of shape {images.shape}, {images.dtype}; this model takes uint8 (B, {size}, {size}, {channels})")

    def _placed(self, images: NDArray[np.uint8]) -> torch.Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(images)).to(self.device)

    def _unlike(self, features: torch.Tensor | NDArray[np.float32]) -> NDArray[np.float64]:
        if self.gate is None:
            return np.full(len(features), np.nan)
        given = features if isinstance(features, np.ndarray) else features.cpu().numpy()
        return self.gate.detector.scores(given.astype(np.float64))

    def note(
        self, reasons: Reasons, place: int, measurement: Mapping[str, Any], beside: Mapping[str, Any] | None = None, said: str = TABLE_SAYS
    ) -> None:
        """Write what speaks against answering an image, by this measurements row, into `reasons`; `beside`: facts of a table or a person,
        which stand in for what its header does not say, and `said` in words."""
        from medtl.model.disguise import disguised
        from medtl.model.scope import why

        if measurement["quarantine"]:
            reasons.unreadable[place] = f"{measurement['reason']} [{measurement['quarantine']}]"
            return
        reason = why(measurement, beside or {}, self.scope, said) or disguised(measurement, self.scope)
        reasons.out_of_scope[place] = f"{reason} [{OUT_OF_SCOPE}]" if reason else ""
        if self.gate is not None:
            reasons.quality[place] = self.gate.poor(measurement)

    def note_looks(self, reasons: Reasons, places: Sequence[int] | NDArray[np.intp], scores: NDArray[np.float64]) -> None:
        """The same by how unlike the training images they are, as :meth:`look` gives it."""
        if self.gate is not None:
            for place, reason in zip(places, self.gate.unlike(scores), strict=True):
                reasons.unlike[place] = reason

    def answer(self, keys: pd.DataFrame, logits: NDArray[Any], reasons: Reasons | Sequence[str] | None = None) -> pd.DataFrame:
        """Raw logits (M, N, K) → predictions table, a row per row of `keys`; `reasons`, alone, say why images could not be read."""
        given = reasons if isinstance(reasons, Reasons) else Reasons.unread(reasons if reasons is not None else [""] * len(keys))
        finite = np.isfinite(logits).all(axis=(0, 2))
        unreadable = [reason or ("" if fine else NOT_FINITE) for reason, fine in zip(given.unreadable, finite, strict=True)]
        return answer_table(
            keys,
            logits,
            replace(given, unreadable=unreadable),
            task=self.task,
            prior_shift=self.package.prior_shift,
            calibration=self.calibration,
            threshold=self.threshold,
            adjusted=self.package.operating_point.adjusted,
            conformal=self.conformal,
        )

    def predict(self, paths: str | Path | Iterable[str | Path], progress: Progress | None = None) -> pd.DataFrame:
        """Files, folders (with everything below), zips and npz files → predictions table, a row per image.

        What cannot be read or is not answered has a row too, with `decision` "no answer" and its reason. `progress(done, total)` is called
        as images are done.
        Raises MedtlError where a path does not exist or nothing is found.
        """
        from medtl.imaging.inputs import gathered

        given = [paths] if isinstance(paths, str | Path) else list(paths)
        with gathered([Path(path) for path in given]) as inputs:
            logits, reasons = self._logits_of_files(inputs, progress)
        keys = pd.DataFrame({"image": [each.image for each in inputs], "frame": [each.frame for each in inputs]})
        return self.answer(keys, logits, reasons)

    def _logits_of_files(self, inputs: Sequence[Input], progress: Progress | None) -> tuple[NDArray[np.float32], Reasons]:
        """Decode in isolated processes, look in batches as images come: logits (M, N, K), NaN for what was not read, and what speaks
        against answers."""
        from medtl.imaging.decoding import decode_many

        logits = np.full((len(self.members), len(inputs), len(self.task.names)), np.nan, np.float32)
        reasons = Reasons.unread([each.reason for each in inputs])
        there = [position for position, each in enumerate(inputs) if each.file is not None]
        waiting: list[tuple[int, NDArray[np.uint8]]] = []
        items = [(inputs[position].path, inputs[position].frame) for position in there]
        for done, (number, pixels, measurement) in enumerate(decode_many(items, self.image), start=1):
            self.note(reasons, there[number], measurement)
            if pixels is not None:
                waiting.append((there[number], pixels))
            if waiting and (len(waiting) == BATCH or done == len(items)):
                places = [position for position, _ in waiting]
                logits[:, places], scores = self.look(np.stack([each for _, each in waiting]))
                self.note_looks(reasons, places, scores)
                waiting.clear()
            if progress is not None:
                progress(done, len(items))
        return logits, reasons


@contextmanager
def _in_full_precision() -> Iterator[None]:
    import torch

    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


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
