"""The whole experiment as one frozen model: types, ranges, defaults, docs, JSON schema and snapshot are one thing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from medtl.augmentation import AugmentationSettings
from medtl.backbones import BackboneSettings
from medtl.cohorts import parse_cohort
from medtl.contracts import Fraction, Task
from medtl.decisions.settings import DecisionSettings
from medtl.imaging.settings import ImageSettings
from medtl.imbalance import ImbalanceSettings
from medtl.records import refuse_personal_columns
from medtl.errors import MedtlError
from medtl.registry import Settings
from medtl.transfer import TransferSettings

Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


class Scope(Settings):
    """For whom and what the model may answer; goes into the package, and later issues' gate judges it."""

    modality: Texts = ()
    """DICOM modalities, such as [CR, DX]; empty = any."""
    body_part: Texts = ()
    view: Texts = ()
    age: tuple[float, float] | None = None
    """Years, both ends included."""

    @field_validator("age")
    @classmethod
    def _ordered(cls, age: tuple[float, float] | None) -> tuple[float, float] | None:
        if age is not None and not 0 <= age[0] <= age[1] <= 130:
            raise ValueError("is [youngest, oldest] in years, 0 … 130")
        return age


class SplitSettings(Settings):
    """Who is trained on, who chooses, who judges. The keyed hash of the group decides, so it is stable when rows come or go."""

    by: Literal["patient", "lesion", "study", "image"] = "patient"
    """The unit that stays together; an image without that id is its own unit."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Fraction = 0.20
    seed: int = 0
    """Of the split alone; `seed` at the top is of training."""
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    """k-fold cross-validation: every group is tested once; `test` is then unused."""
    column: str | None = None
    """A column of the cohorts' tables that gives train / validation / test; without validation rows, they come out of train."""
    from_run: str | None = Field(default=None, alias="from")
    """A run folder whose split is taken over, row by row and group by group; new groups fall by the hash."""

    model_config = {"populate_by_name": True}

    @model_validator(mode="after")
    def _one_way(self) -> SplitSettings:
        ways = [name for name, value in (("folds", self.folds), ("column", self.column), ("from", self.from_run)) if value is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} exclude each other")
        if self.folds is None and self.column is None and self.validation + self.test >= 1:
            raise ValueError("validation + test leave nothing to train on")
        return self


class TrainerSettings(Settings):
    """What a machine decides; `auto` is decided once, written into the resolved experiment and reused on resume and replay."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: Annotated[int, Field(ge=1)] = 1
    num_nodes: Annotated[int, Field(ge=1)] = 1
    strategy: Literal["auto", "ddp"] = "auto"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 where a short probe shows it faster for this network on this machine."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of torch; default: all that this process may use."""


class TrackingSettings(Settings):
    """Where, besides `log.jsonl`, the curves go."""

    tensorboard: bool = False
    mlflow: bool = False
    """Into an embedded SQLite file, `mlflow.db`, beside the runs."""


def _cohorts(value: Any) -> Any:
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("is a list of cohorts, each a mapping with `name`")
    return tuple(parse_cohort(item) for item in value)


class Experiment(Settings):
    """One run, completely described."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """Names the run folder: letters, digits, '.', '_' and '-'."""
    task: Task
    scope: Scope = Scope()
    cohorts: Annotated[tuple[SerializeAsAny[Settings], ...], BeforeValidator(_cohorts)]
    keep: Texts = ()
    """Further columns of the cohorts' tables that go into records (age, sex, view …)."""
    split: SplitSettings = SplitSettings()
    image: ImageSettings = ImageSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    backbone: BackboneSettings = BackboneSettings()
    transfer: TransferSettings = TransferSettings()
    imbalance: ImbalanceSettings = Field(default_factory=ImbalanceSettings)
    adaptation: Literal["none"] = "none"
    decision: DecisionSettings = DecisionSettings()
    trainer: TrainerSettings = TrainerSettings()
    tracking: TrackingSettings = TrackingSettings()
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Of training: initial head, order of images, augmentation, dropout."""

    @field_validator("keep")
    @classmethod
    def _no_personal_data(cls, keep: tuple[str, ...]) -> tuple[str, ...]:
        try:
            refuse_personal_columns(keep)
        except MedtlError as refusal:
            raise ValueError(str(refusal)) from None
        return keep

    @model_validator(mode="after")
    def _fits_together(self) -> Experiment:
        domains = [cohort.domain for cohort in self.cohorts]  # type: ignore[attr-defined]
        if len(set(domains)) < len(domains):
            raise ValueError("cohorts: each needs a domain of its own")
        if self.transfer.strategy != "scratch" and self.backbone.weights == "none":
            raise ValueError(f"transfer.strategy '{self.transfer.strategy}' needs pretrained weights, but backbone.weights is none")
        return self
