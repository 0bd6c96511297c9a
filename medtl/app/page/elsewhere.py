"""The answer again, for another prevalence: one number moves probability, threshold, PPV and NPV. Knows nothing of Gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medtl.app.page import markup
from medtl.errors import MedtlError
from medtl.model.format import PackageFile
from medtl.model.prevalence import Elsewhere, calibrated_at, elsewhere

WANTED = "Give a share of more than 0 and less than 100 %."


@dataclass(frozen=True)
class Given:
    """What an answer leaves on the page: figures and words, no image and no name."""

    package: PackageFile
    metrics: Mapping[str, Any] | None
    probabilities: dict[str, float]
    decision: str
    reason: str
    notes: list[str]

    @property
    def movable(self) -> dict[str, float]:
        """Class or finding → the prevalence that it is calibrated at; empty where no number can move anything."""
        return {} if self.reason else calibrated_at(self.package, self.metrics)


def said(given: Given, name: str | None = None, percent: float | None = None) -> str:
    """The answer as markup. `name`: which finding is rarer or commoner (default: the only one, or the first); `percent`: how frequent it is
    there, None = as in the images that the probabilities were calibrated on."""
    known = given.movable
    if not known:
        return markup.answer(given.package, given.probabilities, given.decision, given.reason, given.notes)
    chosen = name if name in known else next(iter(known))
    try:
        place = elsewhere(given.package, given.metrics, {chosen: known[chosen] if percent is None else percent / 100})[0]
    except MedtlError:
        return markup.answer(given.package, given.probabilities, given.decision, given.reason, given.notes, [WANTED])
    package, probabilities = _moved(given, place)
    return markup.answer(package, probabilities, given.decision, given.reason, given.notes, place.sentences())


def _moved(given: Given, place: Elsewhere) -> tuple[PackageFile, dict[str, float]]:
    """Package and probabilities as they are there; of two classes the other one's follows."""
    point, task = given.package.operating_point, given.package.task
    probabilities = {**given.probabilities, place.name: place.moved(given.probabilities[place.name])}
    if isinstance(point.threshold, tuple):
        cuts = dict(zip(task.names, point.threshold, strict=True)) | {place.name: place.threshold}
        threshold: float | tuple[float, ...] = tuple(cuts.values())
    else:
        threshold = place.threshold
        probabilities = {name: p if name == place.name else 1 - probabilities[place.name] for name, p in probabilities.items()}
    return given.package.model_copy(update={"operating_point": point.model_copy(update={"threshold": threshold})}), probabilities
