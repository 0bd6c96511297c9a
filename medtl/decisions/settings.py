"""How an image is answered: the views that are averaged, how probabilities are calibrated and where the threshold is put."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from medtl.registry import Chosen, Settings

Measure = Literal["recall", "specificity"]
Flips = Literal["none", "horizontal", "both"]


class GateSettings(Settings):
    """Which images are not answered because they look unlike the training images, or are too poor (docs/gate.md)."""

    refuse: Annotated[float, Field(ge=0, le=0.5)] = 0.01
    """Of patients (groups) like those of validation, at most this share has any image refused as unlike; 0 = no gate."""


class ConformalSettings(Settings):
    """Sets of classes that cannot be ruled out (of each finding: present, absent or both); an image whose set is not just what it would be
    called is not answered (docs/gate.md)."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """At most this share of each class (of those with and of those without each finding) has a set without it. Needs `split.held_out`."""


def _no_gate(value: Any) -> Any:
    return {"refuse": 0} if value == "none" else value


class GuaranteeSettings(Settings):
    """What the threshold keeps for patients to come, like those of `split.held_out`, which chose nothing else. Of several findings per
    image for each by itself. Where too few are held out for it, `threshold` stands, and everything says so."""

    recall: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The least share of the ill that is found (sensitivity) …"""
    specificity: Annotated[float, Field(gt=0, lt=1)] | None = None
    """… or of the well that is not called ill; one threshold keeps one of both."""
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.95
    """How often, of many such trainings, the promise is kept."""

    @model_validator(mode="after")
    def _one(self) -> GuaranteeSettings:
        if (self.recall is None) == (self.specificity is None):
            raise ValueError("takes either recall or specificity, for there is one threshold: {recall: 0.95, confidence: 0.95}")
        return self

    @property
    def measure(self) -> Measure:
        """Of which of both it is."""
        return "recall" if self.recall is not None else "specificity"

    @property
    def at_least(self) -> float:
        """How much of it."""
        return self.recall or self.specificity or 0.0


class DecisionSettings(Settings):
    """Calibration and threshold are fitted on validation."""

    flips: Flips = "none"
    """The mean of an image's own logits and those of its mirror images (test-time augmentation): left-right, or also up-down, which
    makes four views and takes four times as long. Only as far as training flips (`augmentation.flip`)."""
    calibration: Literal["temperature-intercept", "temperature", "vector", "isotonic", "none"] = "temperature-intercept"
    """`temperature-intercept`: one temperature for all classes, and an intercept per class that corrects the prevalence the network
    believes in; of two classes that is Platt scaling. `vector`: a slope per class, of more than two. `isotonic`: any rising curve, of two
    classes or findings, where validation has 100 images of either side."""
    threshold: Annotated[SerializeAsAny[Settings], Chosen("decisions.rules")] = "youden"  # type: ignore[assignment]
    """Two classes (and each of several findings), on validation: `youden` (sensitivity + specificity), `f1`, or what must be kept:
    `{name: sensitivity, at_least: 0.95}`, `{name: specificity, at_least: 0.9}`, `{name: ppv, at_least: 0.5, prevalence: 0.1}`."""
    guarantee: GuaranteeSettings | None = None
    """Two classes (and each of several findings): a threshold with a guarantee, `{recall: 0.95, confidence: 0.95}`, chosen on
    `split.held_out` in place of `threshold`."""
    adjust: Annotated[float, Field(ge=0, le=4)] = 0.0
    """Several classes: the class of the largest log p - adjust · log(its frequency) is answered (logit adjustment after training: Menon et
    al., ICLR 2021). 0 = the most probable class; 1 = as if all were equally frequent, which balanced accuracy wants; in between, F1.
    It moves answers towards rare classes; probabilities stay what they are. Frequencies are the mean of p over validation."""

    gate: Annotated[GateSettings, BeforeValidator(_no_gate)] = GateSettings()
    """`none`: every image that can be read and is in scope by header and table is answered."""
    conformal: ConformalSettings | None = None

    model_config = ConfigDict(validate_default=True)


def unfit(method: str, classes: int, several: bool) -> str:
    """Why a task cannot be calibrated so, as the end of a sentence; empty where it can. `several`: findings, each by itself."""
    if method == "vector" and (several or classes == 2):
        what = "findings have" if several else "two classes have"
        return f"is for more than two classes: {what} one slope each, which temperature-intercept is; choose that"
    if method == "isotonic" and not several and classes > 2:
        return "is for two classes or findings: a curve for each of more classes would not sum to 1; choose vector or temperature-intercept"
    return ""
