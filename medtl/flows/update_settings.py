"""How a packaged model is trained further, and what it must show to be released (`medtl update --set KEY=VALUE`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationError

from medtl.augmentation import AugmentationSettings
from medtl.cohorts import CohortSettings
from medtl.decisions.threshold import said, strength
from medtl.errors import MedtlError, Mistakes
from medtl.evaluation.improvement import Improves
from medtl.experiment.explain import dotted, explain
from medtl.experiment.overrides import apply_overrides
from medtl.experiment.schema import Experiment, TrainerSettings
from medtl.model.format import PackageFile
from medtl.registry import Chosen, Settings

Share = Annotated[float, Field(gt=0, lt=0.5)]


class UpdateSettings(Settings):
    """Set before: none of these may follow from what the reference set shows."""

    margin: Share = 0.05
    """Released only if the simultaneous lower bound of every class's recall difference on the reference set exceeds `-margin` …"""
    improves: Improves = "auroc"
    """… and the lower bound of the difference of this figure on the new patients held out exceeds 0 …"""
    contradicted: Share = 0.2
    """… and the updated model is shown to contradict at most so many more (mean over the classes) of the held-out new labels than of the
    reference's: a network learns through wrong labels, and is better by them all the same."""
    held_out: Share = 0.3
    """Share of the new patients that judge the improvement; they teach and choose nothing."""
    validation: Share = 0.2
    """Share of the new patients, and of those replayed, that choose the epoch, the calibration and the threshold."""
    epochs: Annotated[int, Field(ge=1)] = 8
    batch: Annotated[int, Field(ge=2)] = 32
    rate: Annotated[float, Field(gt=0)] = 1e-4
    """Lower than that of a first training: the weights are good already."""
    l2_sp: Annotated[float, Field(ge=0)] = 1.0
    """Without replay: decay towards the packaged weights (L2-SP: Li et al., ICML 2018). 0 = off."""
    distillation: Annotated[float, Field(ge=0)] = 1.0
    """Without replay: weight of what the packaged model said of the new images (Li & Hoiem, ECCV 2016). 0 = off."""
    temperature: Annotated[float, Field(ge=1)] = 2.0
    """Of the distillation; 2 as in the paper."""
    batch_norm: Literal["train", "affine", "frozen"] = "affine"
    """As `transfer.batch_norm`; `affine` keeps the running averages, which the new images alone would make those of the new place."""
    threshold: Annotated[SerializeAsAny[Settings], Chosen("decisions.rules")] | None = None
    """Two classes, or findings: the rule of a threshold; default: the package's, where it has no number in it (`youden`, `f1`)."""
    augmentation: AugmentationSettings = AugmentationSettings()
    trainer: TrainerSettings = TrainerSettings()
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @classmethod
    def of(cls, overrides: Sequence[str]) -> UpdateSettings:
        """Defaults, but for these `KEY=VALUE`. Raises :class:`Mistakes` with everything that is wrong in them."""
        data, _ = apply_overrides({}, overrides, cls)
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            wrong = [f"{dotted(each.path)}: {each.sentence}" for each in explain(error, cls, data)]
        raise Mistakes("--set cannot be used:", wrong)

    def experiment(self, package: PackageFile, cohort: CohortSettings, trainer: TrainerSettings, replayed: bool) -> Experiment:
        """The training that this update is, for the rooms below: the package's task, scope, images and network, these settings."""
        transfer: dict[str, Any] = {
            "strategy": "lp-ft",  # all layers learn, from a head that answers already and is judged as epoch 0
            "epochs": self.epochs, "batch": self.batch, "rate": self.rate, "batch_norm": self.batch_norm,
            "l2_sp": 0.0 if replayed else self.l2_sp,
        }  # fmt: skip
        flip = self.augmentation.flip if package.flips == "none" else package.flips
        return Experiment.model_validate(
            {
                "name": package.name,
                "task": package.task,
                "scope": package.scope,
                "cohorts": [cohort],
                "image": package.image,
                "backbone": {"name": str(package.network["architecture"])},
                "augmentation": self.augmentation.model_copy(update={"flip": flip}),
                "transfer": transfer,
                "decision": self.decision(package),
                "trainer": trainer,
                "seed": self.seed,
            }
        )

    def decision(self, package: PackageFile) -> dict[str, Any]:
        """How the updated model is to answer: as the package, by thresholds chosen anew. Raises MedtlError where that cannot be."""
        decision: dict[str, Any] = {
            "flips": package.flips,
            "gate": {"refuse": package.gate.refuse if package.gate else 0},
            "adjust": _adjusted_by(package),
        }
        return decision if package.operating_point.threshold is None else {**decision, "threshold": self.threshold or _rule_of(package)}


def _adjusted_by(package: PackageFile) -> float:
    """`decision.adjust` of the package; the frequencies that it weighs by are of the new validation images."""
    try:
        return round(strength(package.operating_point.adjusted), 9)
    except MedtlError as refusal:
        raise MedtlError(f"{refusal}: how this model weighs rare classes cannot be chosen anew; update the one it was made from") from None


def _rule_of(package: PackageFile) -> str:
    """The rule by which the package's threshold was chosen. Raises MedtlError where its words do not name one with its defaults."""
    text = package.operating_point.rule
    if text in [said(name) for name in ("youden", "f1")]:
        return text
    raise MedtlError(
        f"the model's threshold was chosen by '{text}', and an update chooses a new one: say by which rule, such as "
        "--set 'threshold={name: sensitivity, at_least: 0.95}' or --set threshold=youden"
    )
