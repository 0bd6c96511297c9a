"""Which strategy to begin with: from size, classes, distance and compute, with the reasons and what to hold it against.

A rule of thumb, not a measurement: every threshold is a named constant with where it comes from, and every advice names a second
strategy to be trained beside it. "Measured" means this project's own table (README, "What it reached"), MobileNetV2 at 160 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from medtl.estimates import estimate, number

ENOUGH = 0.98
"""A probe's score from which tuning has nothing left to gain. Measured: children's pneumonia, probe 0.998, lp-ft 0.999."""
FEW = 200
"""Groups (patients, lesions) per class (of findings: on the rarer side of the median one) below which tuning all layers has not been shown
to pay. Measured: nothing gained with 154 (breast: 0.884 and 0.885), within the intervals with 126 (adults' pneumonia: 0.892 and 0.910),
0.058 gained with 269 (seven skin lesions: 0.876 and 0.934). Kumar et al., ICLR 2022: with few images
tuning distorts features that a probe keeps."""
MANY = 50_000
"""Images from which random weights come near pretrained ones: Raghu et al. (Transfusion, NeurIPS 2019) find little difference on 200,000
retinal images and a clear one on 5,000."""
NEAR, FAR = 0.15, 0.30
"""Of the distance. Measured: 0.03 to 0.10 where the source is of the same kind (children's for adults' radiographs), 0.19 to 0.25 from
ImageNet to radiographs, ultrasound and skin, above 0.3 from 28-pixel or made images to real ones. Yosinski et al., NeurIPS 2014: the
upper layers are the ones that transfer less the further away the source is."""
RARE = 20
"""Groups of the rarest class below which no strategy can be told from another by its validation images."""

Figure = Mapping[str, Any]


@dataclass(frozen=True)
class Situation:
    """What the advice goes by."""

    measure: str
    """Of `probe` and `gain`, in words: AUROC."""
    images: int
    groups: int
    rarest: tuple[str, int]
    """The class with fewest groups, and how many."""
    classes: int
    pretrained: bool
    """Whether any candidate has weights."""
    probe: Figure
    """Out-of-fold score of the best candidate's linear probe."""
    gain: Figure
    """That less the score of random weights, with its paired interval."""
    distance: float | None
    tune_minutes: float
    """Expected minutes of tuning all layers of the best candidate here."""
    most_minutes: float
    """What the user grants a training."""
    rarer_side: float | None = None
    """Of several findings per image: how many groups have the median finding, or have it not, whichever is less. None: one class each."""


@dataclass(frozen=True)
class Advice:
    """What to begin with."""

    strategy: str
    beside: str
    """The strategy to hold it against."""
    reasons: tuple[str, ...]


def advise(situation: Situation) -> Advice:
    """The strategy to begin with; never fails, and says what is not known."""
    s = situation
    if not s.pretrained:
        return Advice("scratch", "scratch", ("No pretrained weights are at hand: all that is left is to learn from the images alone.",))
    strategy, beside, reason = _by_size(s)
    reasons = [reason, _of_gain(s), _of_distance(s)]
    if _gains_nothing(s) and beside != "scratch":
        beside = "scratch"
    if s.rarest[1] < RARE:
        reasons.append(
            f"Of '{s.rarest[0]}' there are {s.rarest[1]} groups only (fewer than {RARE}): differences between strategies will be chance; "
            "more images of it help more than any of them."
        )
    if strategy not in ("linear-probe", "scratch") and s.tune_minutes > s.most_minutes:
        reasons.append(
            f"Tuning would take about {s.tune_minutes:.0f} minutes here, more than the {s.most_minutes:.0f} granted (--minutes): "
            "begin with the probe."
        )
        strategy, beside = "linear-probe", strategy
    return Advice(strategy, beside, tuple(reason for reason in reasons if reason))


def _by_size(s: Situation) -> tuple[str, str, str]:
    """Strategy, the one to hold it against, and why."""
    value = s.probe.get("value")
    size, per_class, per = _size(s)
    if value is not None and value >= ENOUGH:
        return (
            "linear-probe",
            "lp-ft",
            f"A linear probe alone reaches {s.measure} {estimate(s.probe)}: tuning has hardly anything left to gain.",
        )
    if per_class < FEW:
        few = f"{size} are few (fewer than {FEW} {per}): tuning all layers has not been shown to gain over a probe with so many"
        if s.distance is not None and s.distance > FAR:
            return "partial", "linear-probe", f"{few}; but the source is far away, so the upper stages should be learned anew."
        return "linear-probe", "lp-ft", f"{few}, and it takes the longest."
    if s.images >= MANY:
        return (
            "full",
            "scratch",
            f"{s.images:,} images are many (at least {MANY:,}): a network learns from them nearly as well without pretrained weights.",
        )
    if s.distance is not None and s.distance <= NEAR:
        return (
            "lp-ft",
            "partial",
            f"{size} are enough to tune all layers from a fitted head; the source is near, so the upper stages may be enough.",
        )
    return "lp-ft", "linear-probe", f"{size} are enough to tune all layers, from a fitted head so that they are not torn at the start."


def _size(s: Situation) -> tuple[str, float, str]:
    """How much there is in words, the number that decides, and of what it is."""
    if s.rarer_side is None:
        each = s.groups / s.classes
        return f"{s.groups:,} groups in {s.classes} classes ({each:.0f} per class)", each, "per class"
    rarer = f"the rarer side of the median finding counts {s.rarer_side:,.0f}"
    return f"{s.groups:,} groups for {s.classes} findings ({rarer})", s.rarer_side, "there"


def _gains_nothing(s: Situation) -> bool:
    low = s.gain.get("low")
    return low is not None and low <= 0


def _of_gain(s: Situation) -> str:
    if s.gain.get("value") is None:
        return ""
    told = f"{s.gain['value']:+.3f} [{s.gain['low']:+.3f}, {s.gain['high']:+.3f}]"
    if _gains_nothing(s):
        return f"The probe does not show that these weights are better than random ones ({s.measure} {told}): train from scratch beside it."
    return f"These weights carry something over: a probe on them beats one on random weights by {told} of {s.measure}."


def _of_distance(s: Situation) -> str:
    if s.distance is None:
        return "How far the source is away is not known: the network has no batch norm."
    place = "near" if s.distance <= NEAR else "far" if s.distance > FAR else "neither near nor far"
    return f"The source is {place}: {number(s.distance)} on a scale from 0 to 1 (near up to {NEAR}, far above {FAR})."
