"""The models behind the page, and their answers. Knows nothing of Gradio."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.app.reading import LARGEST_SHOWN, Reading, read
from medtl.decisions.precedence import Reasons
from medtl.errors import MedtlError
from medtl.explanation.placement import onto_original
from medtl.explanation.saliency import saliency_in
from medtl.flows.run import model_folder
from medtl.model import format as package_format
from medtl.model.format import PackageFile
from medtl.model.model import Model

LARGEST_MAP = 384
"""Long side of a saliency map in pixels; the browser enlarges it to the picture."""
YOU_SAID = "you said"
Facts = Mapping[str, str]
"""Some of `medtl.model.scope.FACTS`, as a person gave them."""


@dataclass(frozen=True)
class Verdict:
    """What one model says about one image, without the image."""

    package: PackageFile
    probabilities: dict[str, float]
    """Calibrated, per class; NaN where there is no answer."""
    decision: str
    """A class, or `no answer`."""
    reason: str
    """Why there is none, with its code; else empty."""
    unlike: float = float("nan")
    """How unlike the training images it is, as a share of what is refused; NaN: the model has no gate, or did not look."""


@dataclass(frozen=True)
class Answer(Verdict):
    """What one model says about one image, and the image."""

    reading: Reading = field(kw_only=True)
    maps: dict[str, NDArray[np.float32]] = field(kw_only=True)
    """Per class the saliency over the whole upright image, (h, w) in [0, 1]; with two classes only the positive one's."""
    given: Facts = field(kw_only=True, default_factory=dict)
    """What the person said of the image."""


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
        self.copies = False
        """Whether an image that the page reads brings a copy of all its pixels, for feedback."""
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

    def answer(self, label: str, file: Path, number: int | None = None, given: Facts | None = None, longest: int = LARGEST_SHOWN) -> Answer:
        """Read one image (`number`, `longest`: see :func:`medtl.app.reading.read`) and answer for it; `given`: what its header may not say.

        Raises MedtlError: no such model, the package is damaged, or (:class:`medtl.app.reading.Unreadable`) the file is no image.
        """
        return self.answer_read(label, read(file, number, self.model(label).image, longest), given)

    def answer_read(self, label: str, reading: Reading, given: Facts | None = None) -> Answer:
        """The same for an image that was read for this model."""
        model = self.model(label)
        logits, unlike, seen = model.look_with_maps(np.stack([reading.pixels]))
        _, (verdict,) = judged(model, [("", 0)], logits, unlike, [reading.measurement], given)
        maps = maps_of(model, saliency_in(model, seen)[0], reading.original, reading.view.words.shape[:2]) if not verdict.reason else {}
        return Answer(**vars(verdict), reading=reading, maps=maps, given=dict(given or {}))


def looked(model: Model, pixels: Sequence[NDArray[np.uint8] | None]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """N images as :mod:`medtl.imaging.decoding` gives them → what :meth:`Model.look` says of each; NaN where one was not read (None)."""
    logits = np.full((len(model.members), len(pixels), len(model.task.names)), np.nan, np.float32)
    scores = np.full(len(pixels), np.nan)
    there = [place for place, each in enumerate(pixels) if each is not None]
    if there:
        logits[:, there], scores[there] = model.look(np.stack([each for each in pixels if each is not None]))
    return logits, scores


def judged(
    model: Model,
    keys: Sequence[tuple[str, int]],
    logits: NDArray[np.float32],
    scores: NDArray[np.float64],
    measurements: Sequence[Mapping[str, Any]],
    given: Facts | None = None,
) -> tuple[pd.DataFrame, list[Verdict]]:
    """N images that were looked at (:func:`looked`) → rows of a predictions table, and the same in objects."""
    reasons = Reasons.none(len(keys))
    for place, measurement in enumerate(measurements):
        model.note(reasons, place, measurement, given, YOU_SAID)
    model.note_looks(reasons, range(len(keys)), scores)
    table = model.answer(pd.DataFrame(keys, columns=["image", "frame"]), logits, reasons)
    limit = model.gate.limit.value if model.gate is not None else np.nan
    return table, [
        _verdict(model, row, score / limit if limit else np.nan) for row, score in zip(table.to_dict("records"), scores, strict=True)
    ]


def _verdict(model: Model, row: Mapping[Any, Any], unlike: float) -> Verdict:
    reason = str(row["reason"])
    probabilities = {name: np.nan if reason else float(row[f"p_{name}"]) for name in model.task.names}
    return Verdict(model.package, probabilities, str(row["decision"]), reason, float(unlike))


def maps_of(
    model: Model, squares: NDArray[np.float32], original: tuple[int, int], shown: tuple[int, ...]
) -> dict[str, NDArray[np.float32]]:
    """See :attr:`Answer.maps`. `squares`: saliency of every class, (K, S, S); `original`, `shown`: height and width of the image, and of
    the picture of it."""
    names, positive = model.task.names, model.task.positive_index
    wanted = range(len(names)) if positive is None else [positive]
    height, width = (max(1, round(side * min(1.0, LARGEST_MAP / max(shown)))) for side in shown[:2])
    return {names[k]: onto_original(squares[k], original, model.image, (height, width)) for k in wanted}
