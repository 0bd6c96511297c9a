"""The ceiling of a trial with adaptation: the same recipe, trained on the target's own labels.

A run of its own in `ceilings/<hash of its settings>/` of the study, shared by trials whose recipe and seed are the same.
"""

from __future__ import annotations

from pathlib import Path

from medtl.contracts import CALIBRATION, TEST, TRAIN, VALIDATION
from medtl.errors import MedtlError
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.files import claimed
from medtl.flows.run import Run, load_run
from medtl.flows.run_folder import finished
from medtl.flows.study_results import failure
from medtl.flows.train import train
from medtl.flows.trials import Site, write_failure
from medtl.records import KEY
from medtl.study.trials import name_of

FOLDER = "ceilings"


def experiment_of(trial: Experiment) -> Experiment:
    """A trial's resolved experiment (its widened augmentation too) without source and adaptation, the target's labels given."""
    assert trial.adaptation != "none"
    assert trial.adaptation.target is not None
    there = trial.adaptation.target.domain
    cohorts = tuple(each.model_copy(update={"labels": "given"}) for each in trial.cohorts if each.domain == there)
    return trial.model_copy(update={"name": f"{trial.name[:91]}-ceiling", "cohorts": cohorts, "adaptation": "none"})


def place_of(site: Site, experiment: Experiment) -> Path:
    """The run's folder."""
    return site.folder / FOLDER / name_of(experiment)


def train_ceiling(site: Site, trial: Run) -> None:
    """Train what is not trained to its end, unless another worker does; what is refused is written down."""
    experiment = experiment_of(trial.experiment)
    place = place_of(site, experiment)
    with claimed(site.claim(place.name)) as mine:
        failed = site.failed(place.name)
        if not mine or finished(place) or (failed.exists() and failed.stat().st_mtime > site.started):
            return
        site.line.keep(f"\nceiling: trained on the labels of {experiment.cohorts[0].domain}, seed {experiment.seed}")
        settings = place.with_suffix(".yaml")
        settings.parent.mkdir(parents=True, exist_ok=True)
        save_experiment(experiment, settings)
        try:
            begun = (place / "experiment.yaml").exists()
            train(settings, site.root, out=place, resume=begun, with_report=False)
            failed.unlink(missing_ok=True)
        except MedtlError as refusal:
            write_failure(site, place.name, refusal)


def failed_ceiling(site: Site, trial: Run) -> str:
    """Why there is none; empty where it is not known that there is none."""
    return failure(site.folder, place_of(site, experiment_of(trial.experiment)).name)


def finished_ceiling(site: Site, trial: Run) -> Run | None:
    """The trial's ceiling, None where there is none. Raises MedtlError where it learned from images that are to be judged."""
    place = place_of(site, experiment_of(trial.experiment))
    if not finished(place):
        return None
    ceiling = load_run(place)
    judged, learned = (each.records() for each in (trial, ceiling))
    judged, learned = judged[judged["split"] == TEST], learned[learned["split"].isin([TRAIN, VALIDATION, CALIBRATION])]
    shared = learned["group_id"].isin(judged["group_id"]) | learned.set_index(KEY).index.isin(judged.set_index(KEY).index)
    if shared.any():
        raise MedtlError(
            f"{place}: learned from {int(shared.sum())} images of the target's test patients, so it is no ceiling of this trial"
        )
    return ceiling
