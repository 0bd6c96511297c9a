"""One number, the prevalence where a model is used, moves its probabilities, its threshold, PPV and NPV together. Decisions stay.

The stored threshold is a likelihood ratio: moved with the probabilities, it calls the same images. For two classes, and each of several
findings by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from medtl.errors import MedtlError, did_you_mean
from medtl.estimates import estimate, percent
from medtl.evaluation import metrics_file
from medtl.evaluation.prevalence import both, predictive_values, shifted
from medtl.model.format import PackageFile

Metrics = Mapping[str, Any]
_WEIGHTIEST = ("test", "external", "validation")


@dataclass(frozen=True)
class Elsewhere:
    """A package's class (the positive one of two, or a finding) at a prevalence."""

    package: PackageFile
    metrics: Metrics | None
    name: str
    calibrated_at: float
    """The prevalence that the package's own probabilities hold at."""
    prevalence: float

    @property
    def threshold(self) -> float:
        """The stored one, moved: it calls the same images."""
        stored = self.package.operating_point.threshold
        own = stored[self.package.task.names.index(self.name)] if isinstance(stored, tuple) else stored
        return self.moved(own or 0.0)

    def moved(self, probability: float) -> float:
        """A calibrated probability as it is at this prevalence."""
        return float(shifted(probability, self.calibrated_at, self.prevalence))

    def sentences(self) -> list[str]:
        """What the probabilities are for, and PPV and NPV with their intervals."""
        here, there = percent(self.prevalence), percent(self.calibrated_at)
        if self.prevalence == self.calibrated_at:
            said = f"Probabilities are for images of which {there} are {self.name}, as those that they were calibrated on."
        else:
            said = (
                f"Probabilities are for images of which {here} are {self.name}; they were calibrated where {there} were. Decisions stay "
                f"those of the stored threshold, which is {percent(self.threshold)} here."
            )
        return [said, *self._worth()]

    def _worth(self) -> list[str]:
        splits = (self.metrics or {}).get("splits", {})
        finding = self.name if self.package.task.kind == "multi" else None
        for split in _WEIGHTIEST:
            if split in splits and (finding is None or "specificity" in splits[split]["per_class"][finding]):
                entry = splits[split]
                own = entry["per_class"][self.name].get("prevalence", {}).get("value")
                as_there = self.prevalence == self.calibrated_at and own is not None and 0 < own < 1
                where = (
                    f"As on {split}, where {percent(own)} were {self.name}" if as_there else f"By sensitivity and specificity on {split}"
                )
                share = own if as_there else self.prevalence
                return [f"{where}: {self._values(entry, share)}{self._beside(entry, share)}."]
        return []

    def _beside(self, entry: Mapping[str, Any], share: float) -> str:
        """That not every image was answered, and the values of those that were; empty where all were."""
        answers = entry.get("answering")
        if answers is None:  # of an earlier version, which did not count them
            return ", as if every image were answered" if self.package.gate or self.package.conformal else ""
        if "answered_only" not in answers:
            return ""
        given = f"of the answers that were given ({percent(answers['coverage']['value'])}): {self._values(answers['answered_only'], share)}"
        return f", as if every image were answered; {given}"

    def _values(self, entry: Mapping[str, Any], share: float) -> str:
        task = self.package.task
        ppv, npv = predictive_values(*both(entry, task.names, task.positive_index, self.name if task.kind == "multi" else None), share)
        return f"PPV {estimate(ppv)}, NPV {estimate(npv)}"


def calibrated_at(package: PackageFile, metrics: Metrics | None) -> dict[str, float]:
    """Class or finding → the prevalence at which its probabilities hold; empty for more than two classes, and where nobody knows.

    Packages that do not say it have the prevalence of their validation images, which calibrated them.
    """
    stored, task = package.operating_point.prevalence, package.task
    judged = task.names if task.kind == "multi" else (task.names[task.positive_index],) if task.positive_index is not None else ()
    if stored is not None:
        shares: dict[str, Any] = dict(zip(judged, stored if isinstance(stored, tuple) else (stored,), strict=True))
    else:
        each = (metrics or {}).get("splits", {}).get("validation", {}).get("per_class", {})
        shares = {name: each.get(name, {}).get("prevalence", {}).get("value") for name in judged}
    return {name: share for name, share in shares.items() if share is not None and 0 < share < 1}


def metrics_of(folder: Path) -> Metrics | None:
    """A package's figures, where it has some."""
    file = folder / "metrics.json"
    return metrics_file.read(file) if file.is_file() else None


def elsewhere(package: PackageFile, metrics: Metrics | None, wanted: float | Mapping[str, float]) -> list[Elsewhere]:
    """What is `wanted`: the prevalence of the positive class or of every finding, or that of some by name.

    Raises MedtlError: more than two classes, no such finding, no share, or a package that does not know what it is calibrated at.
    """
    if package.task.kind == "single" and package.task.positive_index is None:
        raise MedtlError("--prevalence is for two classes or findings; of more classes leave it out")
    known = calibrated_at(package, metrics)
    judged = package.task.names if package.task.kind == "multi" else (package.task.names[package.task.positive_index or 0],)
    given = wanted if isinstance(wanted, Mapping) else dict.fromkeys(judged, wanted)
    for name, share in given.items():
        if name not in judged:
            raise MedtlError(f"--prevalence {name}: there is none{did_you_mean(name, judged)}; there are: {', '.join(judged)}")
        if not 0 < share < 1:
            raise MedtlError(f"--prevalence {share:g}: is no share of the images; allowed: more than 0 and less than 1, such as 0.05")
        if name not in known:
            raise MedtlError(f"--prevalence: the package does not say at which prevalence of {name} its probabilities hold; leave it out")
    return [Elsewhere(package, metrics, name, known[name], share) for name, share in given.items()]


def move(table: pd.DataFrame, places: list[Elsewhere]) -> pd.DataFrame:
    """A predictions table with `p_<class>` as it is at these prevalences; all else stays, `predicted` above all."""
    moved = table.copy()
    for place in places:
        moved[f"p_{place.name}"] = shifted(table[f"p_{place.name}"], place.calibrated_at, place.prevalence)
        if place.package.task.kind == "single":
            other = next(name for name in place.package.task.names if name != place.name)
            moved[f"p_{other}"] = 1 - moved[f"p_{place.name}"]
    return moved
