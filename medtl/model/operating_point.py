"""Where a packaged model's probabilities become answers, on which images that was chosen, and what it promises. Part of `model.json`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from medtl.registry import Settings

Share = Annotated[float, Field(ge=0, le=1)]


class Guarantee(Settings):
    """What the threshold (of several findings per image: each one's) keeps for patients to come; see `medtl.decisions.guarantee`."""

    measure: Literal["recall", "specificity"]
    at_least: Share
    confidence: Share
    needed: Annotated[int, Field(ge=0)]
    """Groups of which none is wrong that it takes."""
    groups: tuple[Annotated[int, Field(ge=0)], ...]
    """Groups that it was tested on, one image each: ill ones for a recall, well ones for a specificity. One number, or one per finding."""
    wrong: tuple[Annotated[int, Field(ge=0)] | None, ...]
    """How many of these are on the wrong side; None: out of reach, so the ordinary rule's threshold stands."""
    other_groups: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Held-out groups of the other side (well ones for a recall), one image each; empty in packages older than it."""
    other_right: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """How many of these the threshold leaves on the right side: what the guarantee costs."""
    unit: str = "image"
    """What the groups are: patients, lesions …"""
    domains: tuple[str, ...] = ()
    """Where these images are from; anywhere else nothing is guaranteed."""

    @model_validator(mode="after")
    def _as_many(self) -> Guarantee:
        if len(self.groups) != len(self.wrong):
            raise ValueError("guarantee: as many `wrong` as `groups`")
        if self.other_groups and not len(self.other_groups) == len(self.other_right) == len(self.groups):
            raise ValueError("guarantee: as many `other_groups` and `other_right` as `groups`")
        return self


class FittedOn(Settings):
    """Images that chose something."""

    split: str
    n: Annotated[int, Field(ge=0)]


class OperatingPoint(Settings):
    """Where a probability becomes a class."""

    rule: str
    """`youden`, `f1`, `sensitivity >= 0.95` … for two classes or findings (and whether it was out of reach); `argmax` for more classes, or
    `adjusted` where rare classes are preferred, `as before the re-calibration` where they are weighed back to that."""
    threshold: Share | tuple[Share, ...] | None = None
    """Of the positive class's calibrated probability; one per class where an image may have several findings; None for more classes."""
    adjusted: tuple[float, ...] | None = None
    """What is taken off each class's log-probability before the largest decides; None = nothing."""
    split: str = "validation"
    """On which images the threshold was put, and unless `calibrated_on` says otherwise the calibration fitted …"""
    n: Annotated[int, Field(ge=0)] = 0
    """… and how many they were."""
    calibrated_on: FittedOn | None = None
    """The calibration's own, where a guarantee put the threshold on others; a finding's threshold whose guarantee is out of reach is from
    these too. None: from the same images, or a package older than it, whose `split` and `n` are the calibration's."""
    guarantee: Guarantee | None = None
    prevalence: Share | tuple[Share, ...] | None = None
    """Which share of the images that the calibration was fitted on is positive (has each finding): the prevalence at which the
    probabilities hold. None: more classes, or a package older than this, which has that of its validation images."""
