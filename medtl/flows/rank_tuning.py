"""The true ranking: every candidate trained briefly and alike, and what training CONFIG from a candidate looks like as a command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from medtl.contracts import VALIDATION
from medtl.errors import MedtlError
from medtl.evaluation.cases import each_member
from medtl.evaluation.summary import summarize
from medtl.evaluation.table import estimate
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.flows.rank_candidates import Candidate
from medtl.flows.rank_figures import headline_of
from medtl.flows.run import Run
from medtl.flows.train import train
from medtl.predictions import known_only_of
from medtl.ranking.advice import Figure
from medtl.terminal import Line
from medtl.transfer import TransferSettings

FOLDER = "tuned"
OF_A_STRATEGY = ("stages", "unfreeze_every", "views", "l2_sp", "mixup", "cutmix", "auxiliary")
"""Settings of `transfer` that some strategies refuse."""


def starting_from(experiment: Experiment, candidate: Candidate, strategy: str, epochs: int | None = None) -> Experiment:
    """The experiment with another start; random weights learn everything, batch norms too."""
    chosen = strategy if candidate.pretrained else "scratch"
    transfer: dict[str, object] = {"strategy": chosen} | ({"epochs": epochs} if epochs is not None else {})
    if chosen != experiment.transfer.strategy:  # what belongs to another strategy would be refused with this one
        usual = TransferSettings()
        transfer |= {name: getattr(usual, name) for name in OF_A_STRATEGY}
    if candidate.backbone.name != experiment.backbone.name:
        transfer["auxiliary"] = 0.0  # the place for it is one network's own
    if not candidate.pretrained:
        transfer["batch_norm"] = "train"
    changed: dict[str, object] = {"backbone": candidate.backbone, "transfer": experiment.transfer.model_copy(update=transfer)}
    if chosen == "linear-probe":
        changed["imbalance"] = experiment.imbalance.model_copy(update={"retrain_classifier": False})
    return experiment.model_copy(update=changed)


def tune(
    candidates: Sequence[Candidate], experiment: Experiment, epochs: int, measure: str, scored: Sequence[str], root: Path, folder: Path
) -> list[Figure]:
    """The validation score of each candidate after `epochs` of training by the experiment's strategy; runs below `folder`/tuned.

    scored: of a task of findings those that the score is the mean over. One that cannot be trained gets no value, and why.
    """
    strategy = "lp-ft" if experiment.transfer.strategy == "scratch" else experiment.transfer.strategy
    line, figures = Line(), []
    (folder / FOLDER).mkdir()
    for number, candidate in enumerate(candidates, start=1):
        line.keep(f"\ntuning {number} of {len(candidates)}: {candidate.name}")
        config = folder / FOLDER / f"{number:02d}.yaml"
        save_experiment(starting_from(experiment, candidate, strategy, epochs), config)
        try:
            run = train(config, data=root, out=config.with_suffix(""), with_report=False)
        except MedtlError as refused:
            figures.append({"value": None, "reason": str(refused).splitlines()[0]})
            continue
        figures.append(_reached(run, measure, scored))
        line.keep(f"tuned {candidate.name}: {measure} {estimate(figures[-1])}")
    return figures


def _reached(run: Run, measure: str, scored: Sequence[str]) -> Figure:
    """On validation, as training says it; where findings are left out of the scores, without these."""
    entry, task = run.metrics()["splits"][VALIDATION], run.experiment.task
    if task.kind == "multi" and len(scored) < len(task.names):
        table = run.predictions()
        entry = summarize(known_only_of(each_member(table[table["split"] == VALIDATION]), scored), task)
    return headline_of(entry, measure)


def command(
    config: Path, data: Path | str | None, overrides: Sequence[str], experiment: Experiment, candidate: Candidate, strategy: str
) -> str:
    """`medtl train CONFIG …` that trains from the candidate by `strategy`, with the user's own `--set` where they do not clash."""
    wanted = starting_from(experiment, candidate, strategy)
    own = {"transfer.strategy": wanted.transfer.strategy}
    if wanted.backbone.name != experiment.backbone.name:
        own["backbone.name"] = wanted.backbone.name
    for name in ("batch_norm", *OF_A_STRATEGY):
        value = getattr(wanted.transfer, name)
        if value != getattr(experiment.transfer, name):
            own[f"transfer.{name}"] = "null" if value is None else str(value)
    if wanted.imbalance != experiment.imbalance:
        own["imbalance.retrain_classifier"] = "false"
    if wanted.backbone.options != experiment.backbone.options:
        own["backbone.options"] = "{}"
    kept = [text for text in overrides if text.partition("=")[0].strip() not in {*own, "backbone.weights", "backbone"}]
    words = ["medtl", "train", str(config), *(["--data", str(data)] if data is not None else [])]
    if wanted.backbone.weights in ("imagenet", "none"):
        own["backbone.weights"] = wanted.backbone.weights
    else:
        words += ["--weights", wanted.backbone.weights]
    settings = [*kept, *(f"{key}={value}" for key, value in own.items())]
    return shlex.join([*words, *(word for setting in settings for word in ("--set", setting))])
