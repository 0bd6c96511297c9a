"""What can be chosen about a phantom set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from medtl.contracts import Fraction
from medtl.registry import Settings

CHEST_CLASSES = ("normal", "pneumonia")
LESION_CLASSES = (
    "nevus", "melanoma", "benign-keratosis", "basal-cell-carcinoma", "actinic-keratosis", "vascular", "dermatofibroma",
)  # fmt: skip
"""From the commonest to the rarest: the order of HAM10000 (Tschandl et al., Scientific Data 2018)."""
SUSPICIOUS = ("pneumonia", "melanoma", "basal-cell-carcinoma", "actinic-keratosis")
"""The classes that a planted marker goes with."""


class Faults(Settings):
    """What is wrong with the set, on purpose. Every planted fault stands in truth.csv."""

    marker: Annotated[float, Field(ge=0, le=1)] | None = None
    """How often a burnt-in marker (ink on skin) tells the label as given: 1 always, 0.5 never. Default: no such marker."""
    labels: Literal["true", "shuffled"] = "true"
    """`shuffled`: labels are dealt out again among the patients of each split; nothing can be learned from them."""
    wrong_labels: Fraction = 0.0
    """Share of the patients whose label is that of another class."""
    duplicates: Fraction = 0.0
    """Share of the images that come a second time, byte for byte, under another name and another patient."""
    two_splits: Fraction = 0.0
    """Share of the patients with several images who stand in train and in test of the column `split`."""
    broken: Fraction = 0.0
    """Share of the files that cannot be read: cut off, or (DICOM) without pixel data."""


class PhantomSettings(Settings):
    """One hospital's images."""

    kind: Literal["chest", "lesions"]
    hospital: Literal["a", "b"] = "a"
    """They differ in exposure, noise, borders, burnt-in markers, file formats, and (chest) in how many are taken AP."""
    patients: Annotated[int, Field(ge=1, le=100_000)] = 200
    images: Annotated[int, Field(ge=1, le=20)] = 2
    """A patient has one to this many images (lesions: a patient has one or two lesions, each with one to this many)."""
    size: Annotated[int, Field(ge=48, le=4096)] = 192
    """Longer side, in pixels."""
    prevalence: Fraction = 0.5
    """Chest: share of the patients with opacities."""
    rarity: Annotated[float, Field(ge=1, le=1000)] = 8.0
    """Lesions: how many patients the commonest class has for one of the rarest; those between fall evenly."""
    contrast: Annotated[float, Field(gt=0, le=1.5)] = 1.0
    """How clearly the classes differ: 1 is easy, 0.3 is hard. Chest: density of the opacities; lesions: distance between the looks."""
    seed: Annotated[int, Field(ge=0)] = 0
    faults: Faults = Faults()

    @model_validator(mode="after")
    def _of_its_kind(self) -> PhantomSettings:
        foreign = "rarity" if self.kind == "chest" else "prevalence"
        if getattr(self, foreign) != PhantomSettings.model_fields[foreign].default:
            raise ValueError(f"{foreign} does not belong to kind: {self.kind}")
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, as the labels spell them."""
        return CHEST_CLASSES if self.kind == "chest" else LESION_CLASSES
