"""The models behind the page, and their answer for one image. Knows nothing of Gradio."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.app.reading import Reading, read
from medtl.decisions.precedence import Reasons
from medtl.errors import MedtlError
from medtl.explanation.placement import onto_original
from medtl.explanation.saliency import saliency_of_every_class
from medtl.flows.run import model_folder
from medtl.model import format as package_format
from medtl.model.format import PackageFile
from medtl.model.model import Model

LARGEST_MAP = 384
"""Long side of a saliency map in pixels; the browser enlarges it to the picture."""


@dataclass(frozen=True)
class Answer:
    """What one model says about one image."""

    package: PackageFile
    reading: Reading
    probabilities: dict[str, float]
    """Calibrated, per class; NaN where there is no answer."""
    decision: str
    """A class, or `no answer`."""
    reason: str
    """Why there is none; else empty."""
    maps: dict[str, NDArray[np.float32]]
    """Per class the saliency over the whole upright image, (h, w) in [0, 1]; with two classes only the positive one's."""


class Desk:
    """Several packages, each loaded when it is first asked, and again when its files have changed."""

    def __init__(self, models: Sequence[Path | str]):
        """`models`: package or run folders. Raises MedtlError where one is neither, or is damaged."""
        if not models:
            raise MedtlError("no model was given; give at least one model package or run folder")
        folders = list(dict.fromkeys(model_folder(each).resolve() for each in models))
        packages = {folder: package_format.read(folder) for folder in folders}
        names = [package.name for package in packages.values()]
        self.folders: dict[str, Path] = {
            package.name
            if names.count(package.name) == 1
            else f"{package.name} · {package.created[:10]} · {package.fingerprint[:8]}": folder
            for folder, package in packages.items()
        }
        """Label on the page → package folder."""
        self._loaded: dict[str, Model] = {}
        self._lock = threading.Lock()

    @property
    def labels(self) -> list[str]:
        """Names to choose from, in the order given."""
        return list(self.folders)

    def folder(self, label: str) -> Path:
        """Raises MedtlError where there is no such model."""
        if label not in self.folders:
            raise MedtlError(f"no model '{label}' is open here; there are: {', '.join(self.folders)}")
        return self.folders[label]

    def package(self, label: str) -> PackageFile:
        """What the package says about itself now."""
        return package_format.read(self.folder(label))

    def model(self, label: str) -> Model:
        """The loaded model, the one that lies in its folder now."""
        fingerprint = self.package(label).fingerprint
        with self._lock:
            loaded = self._loaded.get(label)
            if loaded is None or loaded.fingerprint != fingerprint:
                loaded = self._loaded[label] = Model.load(self.folder(label))
            return loaded

    def answer(self, label: str, file: Path, number: int | None = None) -> Answer:
        """Read one image (`number`: see :func:`medtl.app.reading.read`) and answer for it.

        Raises MedtlError: no such model, the package is damaged, or (:class:`medtl.app.reading.Unreadable`) the file is no image.
        """
        model = self.model(label)
        reading = read(file, number, model.image)
        keys = pd.DataFrame({"image": [""], "frame": [0]})
        logits, scores = model.look(np.stack([reading.pixels]))
        reasons = Reasons.none(1)
        model.note(reasons, 0, reading.measurement)
        model.note_looks(reasons, [0], scores)
        row = model.answer(keys, logits, reasons).iloc[0]
        answered = not row["reason"]
        probabilities = {name: float(row[f"p_{name}"]) if answered else np.nan for name in model.task.names}
        maps = _maps(model, reading) if answered else {}
        return Answer(model.package, reading, probabilities, str(row["decision"]), str(row["reason"]), maps)


def _maps(model: Model, reading: Reading) -> dict[str, NDArray[np.float32]]:
    squares = saliency_of_every_class(model, np.stack([reading.pixels]))[0]
    names, positive = model.task.names, model.task.positive_index
    wanted = range(len(names)) if positive is None else [positive]
    scale = min(1.0, LARGEST_MAP / max(reading.picture.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in reading.picture.shape[:2])
    return {names[k]: onto_original(squares[k], reading.original, model.image, (height, width)) for k in wanted}
