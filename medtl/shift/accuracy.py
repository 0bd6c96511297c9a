"""The accuracy on images without labels, guessed from how sure the model is there; with the error that such guesses had where labels are.

- Average thresholded confidence (Garg, Balakrishnan, Lipton, Neyshabur & Sedghi, "Leveraging Unlabeled Data to Predict Out-of-Distribution
  Performance", ICLR 2022): the share of images surer than a threshold, which is put so that on the source the share is the accuracy.
- Difference of confidences (Guillory, Shankar, Ebrahimi, Darrell & Schmidt, "Predicting with Confidence on Unseen Distributions", ICCV
  2021): the source's accuracy, less by as much as the mean confidence fell.

Neither can know: where a model is sure and wrong, both are too high. So each stands beside its largest error over known shifts, and only as
long as the target lies no farther from the source than those. Another hospital's error may be larger still (docs/shift.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

METHODS = {"thresholded": "average thresholded confidence", "difference": "difference of confidences"}


def sureness(probabilities: ArrayLike) -> Floats:
    """(N, K) probabilities → (N,) negative entropy in nats, at most 0: what the threshold is put on."""
    given = np.asarray(probabilities, np.float64)
    return np.asarray((given * np.log(np.maximum(given, 1e-12))).sum(axis=1))


def thresholded(source_sureness: ArrayLike, source_correct: ArrayLike, target_sureness: ArrayLike) -> float:
    """(N,) scores, (N,) 0 or 1, (M,) scores → the estimated accuracy, in [0, 1]."""
    own, there = np.sort(np.asarray(source_sureness, np.float64)), np.asarray(target_sureness, np.float64)
    wrong = round(len(own) * (1 - _mean(source_correct)))
    if not wrong:
        return 1.0
    threshold = own[wrong - 1]
    tied_wrong = (wrong - (own < threshold).sum()) / (own == threshold).sum()  # so that on the source the share is its accuracy
    return _mean(there > threshold) + (1 - float(tied_wrong)) * _mean(there == threshold)


def difference(source_confidence: ArrayLike, source_correct: ArrayLike, target_confidence: ArrayLike) -> float:
    """(N,) probabilities of the given answers, (N,) 0 or 1, (M,) probabilities → the estimated accuracy, in [0, 1]."""
    return float(np.clip(_mean(source_correct) - _mean(source_confidence) + _mean(target_confidence), 0, 1))


def _mean(values: ArrayLike) -> float:
    return float(np.asarray(values, np.float64).mean())


@dataclass(frozen=True)
class Answers:
    """Of N images: (N, K) calibrated probabilities, (N,) positions of the given answers, (N,) of the truth (-1: not known)."""

    probabilities: Floats
    predicted: NDArray[np.int64]
    truth: NDArray[np.int64]

    @property
    def correct(self) -> Floats:
        return np.asarray(self.predicted == self.truth, np.float64)

    @property
    def confidence(self) -> Floats:
        return np.asarray(self.probabilities[np.arange(len(self.predicted)), self.predicted])


def estimates(source: Answers, target: Answers) -> dict[str, float]:
    """Method (:data:`METHODS`) → the target's accuracy as it guesses it."""
    return {
        "thresholded": thresholded(sureness(source.probabilities), source.correct, sureness(target.probabilities)),
        "difference": difference(source.confidence, source.correct, target.confidence),
    }


@dataclass(frozen=True)
class KnownShift:
    """The source's own images changed in a known way, with their labels: what the guesses said, and what was true."""

    name: str
    distance: float
    """Squared MMD of the features from the unchanged images'."""
    truth: float
    estimates: dict[str, float]


@dataclass(frozen=True)
class Estimate:
    """One guess of the target's accuracy."""

    method: str
    value: float
    error: float | None
    """The largest over the known shifts; None: there are none."""
    worst: str
    """The known shift with that error."""
    beyond: bool
    """The target lies farther from the source than any known shift, so the error says nothing of it."""

    def sentence(self) -> str:
        said = f"{METHODS[self.method]}: {self.value:.2f}"
        if self.error is None:
            return f"{said}, not shown how far off: no known shift was tried"
        if self.beyond:
            return f"{said}, not to be believed: these images lie farther from the source than any shift on which its error is known"
        return f"{said} ± {self.error:.2f} (its largest error over the known shifts, under {self.worst})"

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method, "value": self.value, "error": self.error, "worst": self.worst, "beyond": self.beyond,
            "sentence": self.sentence(),
        }  # fmt: skip


def guessed(source: Answers, target: Answers, known: Sequence[KnownShift], distance: float) -> list[Estimate]:
    """Both guesses with their errors; `distance`: squared MMD of the target's features, as of the known shifts."""
    told = []
    for method, value in estimates(source, target).items():
        errors = {each.name: abs(each.estimates[method] - each.truth) for each in known}
        worst = max(errors, key=lambda name: errors[name], default="")
        beyond = distance > max((each.distance for each in known), default=np.inf)
        told.append(Estimate(method, value, errors.get(worst), worst, bool(beyond)))
    return told
