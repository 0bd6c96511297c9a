"""The candidate of an update: the packaged networks trained further and calibrated together, as a package beside the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from medtl.contracts import TRAIN, VALIDATION
from medtl.evaluation import metrics_file
from medtl.evaluation.answering import judge_split
from medtl.experiment.schema import Experiment, TrainerSettings
from medtl.flows.judging import judge, unit_of
from medtl.flows.packaging import images_of
from medtl.flows.rule import rule_together
from medtl.flows.update_lineage import descent
from medtl.flows.update_sets import REPLAY, Sets, half_each
from medtl.flows.update_settings import UpdateSettings
from medtl.imaging.cache import cache_dir
from medtl.model import package
from medtl.model.model import Model
from medtl.terminal import Line
from medtl.training import machine
from medtl.training.balance import balance_further
from medtl.training.fit import Fitted, parts_of, targets_of
from medtl.training.further import Further, fit_further
from medtl.training.gate import fit_gate
from medtl.training.job import Job
from medtl.training.log import Log

CHECKPOINTS = "checkpoints"


def train_candidate(old: Model, sets: Sets, settings: UpdateSettings, place: Path, stage: Path, line: Line) -> None:
    """Train every network of `old` on the split `train`, choose on `validation`, and write the package `stage`; `place` takes log and
    checkpoints."""
    replayed = bool((sets.roles == REPLAY).any())
    trainer = _decided(settings.trainer)
    experiment = settings.experiment(old.package, sets.plan.cohorts[0], trainer, replayed)
    further = Further(old.folder, 0, 0.0 if replayed else settings.distillation, settings.temperature)
    members = [_member(experiment, sets, replace(further, member=member), place, line) for member in range(len(old.members))]
    positions = sets.positions(VALIDATION)
    chose = sets.rows.iloc[positions]
    _package(members, experiment, old, sets, stage)
    model = Model.load(stage, trainer.device)
    table = judge(model, chose, sets.store, positions)
    entry = judge_split(table, model.task, threshold=model.threshold)
    metrics_file.write(stage / "metrics.json", {VALIDATION: entry}, unit_of(chose), looks=0)
    package.refresh_metrics(stage, metrics_file.read(stage / "metrics.json"))


def _member(experiment: Experiment, sets: Sets, further: Further, place: Path, line: Line) -> Fitted:
    """One of the networks, by a seed of its own; the first with the gate, which asks its features."""
    seeded = experiment.model_copy(update={"seed": experiment.seed + further.member})
    job = _job(seeded, sets, further, place, line)
    fitted = fit_further(job)
    if further.member:
        return fitted
    gate, _ = fit_gate(job, fitted.classifier, sets.rows["group_id"].iloc[job.validation.positions].to_numpy())
    return replace(fitted, gate=gate)


def _decided(settings: TrainerSettings) -> TrainerSettings:
    """What this machine decides; full precision unless asked otherwise: an update is short, and small differences are judged."""
    trainer = machine.decide(settings)
    torch.set_num_threads(trainer.threads or 1)
    return trainer.model_copy(update={"precision": "float32"}) if trainer.precision == "auto" else trainer


def _job(experiment: Experiment, sets: Sets, further: Further, place: Path, line: Line) -> Job:
    parts = parts_of(sets.rows, experiment, class_alone=True)
    balanced = balance_further(experiment, parts[TRAIN].targets)
    return Job(
        experiment,
        sets.store,
        parts[TRAIN],
        parts[VALIDATION],
        replace(balanced, weights=half_each(sets.roles[parts[TRAIN].positions])),
        place / CHECKPOINTS / str(further.member),
        cache_dir(),
        Log(place / "log.jsonl"),
        line,
        [],
        further=further,
    )


def _package(members: Sequence[Fitted], experiment: Experiment, old: Model, sets: Sets, stage: Path) -> None:
    chose = sets.rows.iloc[sets.positions(VALIDATION)]
    seen = sets.known is None or bool(sets.known[sets.positions(VALIDATION)].any())
    rule = rule_together(members, experiment, targets_of(chose, experiment.task), None if seen else chose["group_id"].nunique())
    package.save(
        stage,
        members=[fitted.classifier for fitted in members],
        experiment=experiment,
        calibration=rule.calibration,
        threshold=rule.threshold,
        rule=rule.chosen_by,
        prior_shift=[fitted.prior_shift for fitted in members],
        training={
            "images": images_of(sets.rows, {split: split for split in (TRAIN, VALIDATION)}),
            "history": [fitted.history for fitted in members],
        },
        fitted_n=rule.images,
        lineage={**descent(old.package), "sets": {role: told["sha256"] for role, told in sets.described().items()}},
        adjusted=rule.adjusted,
        held_out_groups=rule.held_out_groups,
        gate=members[0].gate,
        prevalence=rule.prevalence,
        synthetic=old.package.synthetic,
    )
