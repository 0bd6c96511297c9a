"""The whole experiment as one frozen model: types, ranges, defaults, docs, JSON schema and snapshot are one thing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationInfo, field_validator

from medtl.adaptation import MethodSettings
from medtl.adaptation import unfit as adaptation_unfit
from medtl.audit.settings import AuditSettings
from medtl.augmentation import AugmentationSettings
from medtl.backbones import BackboneSettings
from medtl.cohorts import CohortSettings
from medtl.cohorts import unfit as cohorts_unfit
from medtl.cohorts.settings import SplitSettings
from medtl.contracts import Task
from medtl.decisions.settings import DecisionSettings
from medtl.decisions.settings import unfit as calibration_unfit
from medtl.errors import MedtlError
from medtl.imaging.settings import ImageSettings
from medtl.imbalance import ImbalanceSettings, shifts_prior, unfit
from medtl.records import refuse_personal_columns
from medtl.registry import Chosen, Mistake, Settings, refuse
from medtl.transfer import TransferSettings

AUXILIARY_SIZE = 299
"""What Inception-v3 was trained on; the convolutions of its auxiliary classifier do not fit into the maps of much smaller images."""
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
            raise ValueError("is no range of ages; allowed: [youngest, oldest] in years, 0 … 130")
        return age


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
    energy: bool = False
    """Kilowatt hours beside the seconds in `log.jsonl`, by codecarbon, offline: counted where the machine can, else estimated."""


def _listed(value: Any) -> Any:
    """One cohort may stand without a list."""
    if isinstance(value, list) and not value:
        raise ValueError("is empty; at least one cohort is needed")
    return [value] if isinstance(value, dict) else value


Cohort = Annotated[SerializeAsAny[CohortSettings], Chosen("cohorts.sources")]


class Experiment(Settings):
    """One run, completely described."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """letters, digits, '.', '_' and '-', at most 100, for it names the run folder"""
    task: Task
    scope: Scope = Scope()
    cohorts: Annotated[tuple[Cohort, ...], BeforeValidator(_listed), Field(json_schema_extra={"minItems": 1})]
    keep: Texts = ()
    """Further columns of the cohorts' tables that go into records (age, sex, view …); DICOM headers fill what a table lacks."""
    split: SplitSettings = SplitSettings()
    audit: AuditSettings = AuditSettings()
    image: ImageSettings = ImageSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    backbone: BackboneSettings = BackboneSettings()
    transfer: Annotated[TransferSettings, Field(validate_default=True)] = TransferSettings()
    imbalance: ImbalanceSettings = Field(default_factory=ImbalanceSettings)
    adaptation: Annotated[Literal["none"] | SerializeAsAny[MethodSettings], Chosen("adaptation.methods", or_none=True)] = "none"
    """To a target domain whose labels are hidden: `none`, or `{name: dann, target: {domain: adults}}`."""
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
            refuse([Mistake((), None, str(refusal).removeprefix("keep: "))])
        return keep

    @field_validator("cohorts")
    @classmethod
    def _one_domain_each(cls, cohorts: tuple[CohortSettings, ...], info: ValidationInfo) -> tuple[CohortSettings, ...]:
        domains, task = [cohort.domain for cohort in cohorts], info.data.get("task")  # absent where it is itself mistaken
        refuse(cohorts_unfit(cohorts, task.kind) if task is not None else [])
        refuse(
            [
                Mistake((position, "domain"), domain, "is also the domain of another cohort; each needs its own")
                for position, domain in enumerate(domains)
                if domain in domains[:position]
            ]
        )
        return cohorts

    @field_validator("transfer")
    @classmethod
    def _has_weights(cls, transfer: TransferSettings, info: ValidationInfo) -> TransferSettings:
        backbone = info.data.get("backbone")  # absent where it is itself mistaken
        if backbone is not None and backbone.weights == "none" and transfer.strategy != "scratch":
            sentence = "needs pretrained weights, but backbone.weights is none; give weights, or train from scratch"
            refuse([Mistake(("strategy",), transfer.strategy, sentence)])
        split = info.data.get("split")
        if split is not None and split.fits is not None and transfer.trainings > 1:
            sentence = "and k folds (split.folds) are two ways to an ensemble; choose one"
            refuse([Mistake(("members",), transfer.members, sentence)])
        image = info.data.get("image")
        if image is not None and transfer.auxiliary and image.size < AUXILIARY_SIZE:
            sentence = f"needs images of {AUXILIARY_SIZE} pixels, but image.size is {image.size}; enlarge them, or leave it out"
            refuse([Mistake(("auxiliary",), transfer.auxiliary, sentence)])
        return transfer

    @field_validator("imbalance")
    @classmethod
    def _serves_task_and_strategy(cls, imbalance: ImbalanceSettings, info: ValidationInfo) -> ImbalanceSettings:
        task, transfer = info.data.get("task"), info.data.get("transfer")
        mistakes = unfit(imbalance, task.kind) if task is not None else []
        if task is not None and task.learn == "spellings" and not mistakes:
            mistakes += shifts_prior(imbalance)
        if imbalance.retrain_classifier and transfer is not None and not transfer.tuned:
            sentence = "has no meaning with linear-probe, whose head is fitted on frozen features already; choose the sampler instead"
            mistakes.append(Mistake(("retrain_classifier",), imbalance.retrain_classifier.name, sentence))  # type: ignore[attr-defined]
        refuse(mistakes)
        return imbalance

    @field_validator("adaptation")
    @classmethod
    def _can_adapt(cls, adaptation: Literal["none"] | MethodSettings, info: ValidationInfo) -> Literal["none"] | MethodSettings:
        task, cohorts, transfer, split = (info.data.get(key) for key in ("task", "cohorts", "transfer", "split"))
        if adaptation != "none" and task and cohorts and transfer and split:  # absent where they are themselves mistaken
            domains = [cohort.domain for cohort in cohorts]
            hidden = [cohort.domain for cohort in cohorts if cohort.labels == "hidden"]
            alone = split.fits is None and transfer.trainings == 1
            if task.learn == "spellings":
                refuse([Mistake((), None, "adapts by the answers for classes; it does not serve task.learn: spellings yet")])
            refuse([*adaptation_unfit(adaptation, domains, hidden, task.kind, transfer.tuned, transfer.batch_norm, alone)])
        return adaptation

    @field_validator("decision")
    @classmethod
    def _fits_task_and_training(cls, decision: DecisionSettings, info: ValidationInfo) -> DecisionSettings:
        mistakes = []
        task = info.data.get("task")  # absent where it is itself mistaken
        if decision.adjust and task is not None and task.kind == "multi":
            sentence = "has no meaning for several findings per image: each has a threshold, chosen on validation (decision.threshold)"
            mistakes.append(Mistake(("adjust",), decision.adjust, sentence))
        elif decision.adjust and task is not None and task.positive_index is not None:
            sentence = "has no meaning for two classes: the threshold decides there, and is chosen on validation (decision.threshold)"
            mistakes.append(Mistake(("adjust",), decision.adjust, sentence))
        if decision.conformal is not None:
            mistakes += _without_held_out(info.data.get("split", SplitSettings()))
        if decision.guarantee is not None:
            mistakes += _unfit_guarantee(info.data)
        if info.data.get("adaptation", "none") != "none":
            sentence = "promises something of patients like those held out, which a target domain's are not; leave it out"
            promises = {"conformal": decision.conformal, "guarantee": decision.guarantee}
            mistakes += [Mistake((key,), None, sentence) for key, asked in promises.items() if asked is not None]
        reason = "" if task is None else calibration_unfit(decision.calibration, len(task.names), task.kind == "multi")
        if reason:
            mistakes.append(Mistake(("calibration",), decision.calibration, reason))
        learned = info.data.get("augmentation", AugmentationSettings()).flip
        if decision.flips not in {"none", learned} and learned != "both":
            sentence = f"asks for mirror images that training does not show (augmentation.flip is {learned}); mirror in both or in neither"
            mistakes.append(Mistake(("flips",), decision.flips, sentence))
        refuse(mistakes)
        return decision


def _without_held_out(split: SplitSettings) -> list[Mistake]:
    """Why conformal sets cannot be fitted."""
    sentence = "needs images that taught and chose nothing; keep some apart: split.held_out: 0.15"
    return [Mistake(("conformal",), None, sentence)] if split.held_out is None else []


def _unfit_guarantee(settings: Mapping[str, Any]) -> list[Mistake]:
    """What a guarantee lacks; what is itself mistaken is absent."""
    task, split = settings.get("task"), settings.get("split")
    if task is not None and task.kind == "single" and task.positive_index is None:
        sentence = "is for two classes or for findings, where a threshold decides; of more classes the most probable one is answered"
        return [Mistake(("guarantee",), None, sentence)]
    if split is not None and split.held_out is None:
        sentence = "needs images that chose nothing: hold some out, split: {held_out: 0.2}"
        return [Mistake(("guarantee",), None, sentence)]
    return []
