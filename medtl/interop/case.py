"""One answer with everything that is said of it: what the printed page, the DICOM objects and the typed answer of the API are made of.

A case holds no name of a patient and no name of a file; what it was about is told by the file's SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl.contracts import NONE
from medtl.findings import BETWEEN
from medtl.model.format import PackageFile
from medtl.predictions import NO_ANSWER

SALIENCY = "Where the model looked, not where disease is"


@dataclass(frozen=True)
class Case:
    """What one model said about one image, and how it is to be read."""

    package: PackageFile
    metrics: Mapping[str, Any] | None
    """Content of the package's metrics.json."""
    probabilities: Mapping[str, float]
    """Calibrated, per class; NaN where there is no answer."""
    decision: str
    """A class, findings, or `no answer`."""
    reason: str
    """Why there is none, with its [CODE]; else empty."""
    picture: NDArray[np.uint8]
    """RGB (h, w, 3), upright and whole, for the eye."""
    maps: Mapping[str, NDArray[np.float32]]
    """Class → saliency (h', w') in [0, 1] over the whole picture; empty without an answer."""
    sha256: str
    """Of the file."""
    number: int = 1
    """Which image of the file, from 1 …"""
    count: int = 1
    """… of how many."""
    because: str = ""
    """Why the decision is what it is, in one sentence."""
    read_as: str = ""
    """The receipt in one line: format, size, what was done to the grey levels."""
    scope: str = ""
    """Whom the model is for."""
    operating_point: str = ""
    """Where the threshold comes from and what it promises."""
    notes: Sequence[str] = ()
    """What has to be said beside the answer (a scope that could not be checked)."""
    worth: Sequence[str] = ()
    """At which prevalence probabilities, PPV and NPV hold, in sentences."""
    prevalence: Mapping[str, float] = field(default_factory=dict)
    """Class or finding → the prevalence that its probability holds at, where that is known."""
    answered: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @property
    def headline(self) -> str:
        """The decision as a person reads it."""
        if self.decision == NO_ANSWER:
            return "No answer"
        if self.package.task.kind == "multi":
            return "None of the findings" if self.decision == NONE else ", ".join(self.called)
        return self.decision

    @property
    def called(self) -> list[str]:
        """Classes or findings that the image is said to have."""
        return [name for name in self.decision.split(BETWEEN) if name in self.package.task.names]

    @property
    def thresholds(self) -> dict[str, float]:
        """Class → from which probability on it is called: of the positive one of two, of each finding, or none."""
        return thresholds_of(self.package)

    @property
    def shown(self) -> list[str]:
        """Classes whose saliency is worth a picture: those that were called, else the one that was likeliest."""
        called = [name for name in self.called if name in self.maps]
        return called or sorted(self.maps, key=lambda name: -self.probabilities[name])[:1]


def thresholds_of(package: PackageFile) -> dict[str, float]:
    """See :attr:`Case.thresholds`."""
    task, given = package.task, package.operating_point.threshold
    if isinstance(given, tuple):
        return dict(zip(task.names, given, strict=True))
    return {task.names[task.positive_index]: given} if task.positive_index is not None and given is not None else {}
