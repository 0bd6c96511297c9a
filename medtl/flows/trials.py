"""One trial of a study after the other: each a run of its own, claimed by one worker, resumed, judged, or written down as failed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medtl import registry
from medtl.contracts import TEST
from medtl.errors import MedtlError
from medtl.experiment.load import load_experiment
from medtl.experiment.schema import Experiment
from medtl.files import claimed, write_json
from medtl.flows import study_results
from medtl.flows.own_test import evaluate_run
from medtl.flows.run import load_run
from medtl.flows.run_folder import finished
from medtl.flows.train import train
from medtl.study.settings import StudySettings, key_of
from medtl.study.trials import Trial, name_of
from medtl.terminal import Line
from medtl.training.job import Watch, unwatched


@dataclass(frozen=True)
class Site:
    """A study and where it works."""

    study: StudySettings
    file: Path
    folder: Path
    base: Path
    root: Path
    further: tuple[str, ...]
    """Overrides of the command line."""
    line: Line
    started: float
    """When this command began, in seconds since 1970."""
    threads: int

    @property
    def over(self) -> bool:
        """Whether the study's minutes are over, so that nothing more is begun."""
        return self.study.minutes is not None and time.time() - self.started > 60 * self.study.minutes

    def place(self, name: str) -> Path:
        """A trial's run folder."""
        return self.folder / "trials" / name

    def claim(self, name: str) -> Path:
        """The file that stands for the claim on a trial."""
        return self.folder / "claims" / name

    def failed(self, name: str) -> Path:
        """Where the reason of a failure is written down."""
        return self.folder / "failed" / f"{name}.json"

    def resolved(self, overrides: Sequence[str]) -> Planned:
        """The trial that overrides of the base make; those of the command line go before. Raises Mistakes."""
        own = tuple({key_of(text): text for text in (*overrides, *self.further)}.values())
        experiment = load_experiment(self.base, own)
        return Planned(name_of(experiment), own, experiment)


@dataclass(frozen=True)
class Planned:
    """A trial's name, what differs from the base, and what that comes to."""

    name: str
    overrides: tuple[str, ...]
    experiment: Experiment


def run_all(site: Site, trials: Mapping[str, Trial], planned: Mapping[str, Planned]) -> None:
    """Every planned trial that is not done, held by another worker, or has failed since the command began; until the time is over.

    `trials`: all of the study, for its table."""
    for each in planned.values():
        if site.over:
            site.line.keep(f"{site.study.minutes:g} minutes are over; the same command goes on")
            return
        _run(site, trials[each.name], each)
        study_results.write_table(trials, site.folder)


def _run(site: Site, trial: Trial, planned: Planned) -> None:
    """Train and judge one trial, unless it is done or another worker has it. What is refused is written down, and the others go on."""
    name = planned.name
    place, failed = site.place(name), site.failed(name)
    with claimed(site.claim(name)) as mine:
        if not mine or judged(place) or (failed.exists() and failed.stat().st_mtime > site.started):
            return
        site.line.keep(f"\n{trial.arm}, {100 * trial.fraction:g} % of the labels, seed {trial.seed}")
        features = _own_features(site, name)
        try:
            train_trial(site, planned, features)
            evaluate_run(load_run(place), None, site.root, site.line)
        except MedtlError as refusal:
            write_failure(site, name, refusal)
        if features is not None:
            shutil.rmtree(features, ignore_errors=True)


def train_trial(site: Site, planned: Planned, features: Path | None = None, watch: Watch = unwatched) -> None:
    """Train what is not trained to its end; a begun run is continued. The caller holds the claim."""
    place = site.place(planned.name)
    site.failed(planned.name).unlink(missing_ok=True)
    if not finished(place):
        begun = (place / "experiment.yaml").exists()
        overrides = (*planned.overrides, *_of_the_machine(site, planned))
        train(site.base, site.root, overrides=overrides, out=place, resume=begun, with_report=False, features=features, watch=watch)


def write_failure(site: Site, name: str, refusal: MedtlError) -> None:
    """Keep why a trial failed."""
    write_json(site.failed(name), {"reason": str(refusal)})
    site.line.keep(f"this trial failed: {refusal}")


def judged(place: Path) -> bool:
    """Whether a run is finished and its test images were opened."""
    return finished(place) and TEST in load_run(place).metrics()["splits"]


def _own_features(site: Site, name: str) -> Path | None:
    """Where seconds count, a trial's own empty place for features, so that its time is whole; else they are shared."""
    if not registry.component("study.readings", site.study.reading.name).TIMED:  # type: ignore[attr-defined]
        return None
    features = site.folder / "features" / name
    shutil.rmtree(features, ignore_errors=True)  # what a killed worker left
    return features


def _of_the_machine(site: Site, planned: Planned) -> list[str]:
    """Threads by the number of workers, and the precision that the first trial found: the same for all."""
    given = {key_of(text) for text in planned.overrides}
    settings = [] if "trainer.threads" in given else [f"trainer.threads={site.threads}"]
    if "trainer.precision" not in given and planned.experiment.trainer.precision == "auto":
        begun = map(load_experiment, sorted((site.folder / "trials").glob("*/experiment.yaml")))
        tuned = next((other for other in begun if other.transfer.tuned), None)
        settings += [f"trainer.precision={tuned.trainer.precision}"] if tuned else []
    return settings
