"""`medtl study`: every trial of a study, each a run of its own, shared by several workers; then one reading of them all."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medtl import registry
from medtl.contracts import FORMAT, TEST
from medtl.errors import MedtlError, listed
from medtl.experiment.load import data_root, load_experiment
from medtl.experiment.overrides import weights_override
from medtl.experiment.schema import Experiment
from medtl.files import claimed, write_json, write_text
from medtl.flows import study_results
from medtl.flows.own_test import evaluate_run
from medtl.flows.run import load_run
from medtl.flows.run_folder import finished
from medtl.flows.train import train
from medtl.processors import processors
from medtl.study.settings import OF_THE_GRID, StudySettings, key_of, load_study
from medtl.study.trials import Trial, name_of, repeated, trials_of
from medtl.terminal import Line

SNAPSHOT, ORIGIN = "study.yaml", "origin.json"


@dataclass(frozen=True)
class Plan:
    """A study with its trials resolved."""

    study: StudySettings
    folder: Path
    base: Path
    root: Path
    overrides: dict[str, tuple[str, ...]]
    """Trial -> what differs from the base."""
    trials: dict[str, Trial]
    experiments: dict[str, Experiment]

    def place(self, name: str) -> Path:
        """A trial's run folder."""
        return self.folder / "trials" / name


def study(
    path: Path | str,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    workers: int = 1,
) -> Path:
    """Run what is left of a study, and read it. Returns its folder, by default `runs/studies/<name>`.

    The same command goes on where it stopped. data, weights, overrides: as of `train`, for all trials. workers: so many processes, each
    with its share of the processors; more may be started on other machines that see the same folder. Every trial opens its own test
    images once; nothing is chosen by them.
    """
    plan = _plan(Path(path), data, weights, overrides, Path(out) if out else None)
    line, started, threads = Line(), time.time(), max(1, processors() // workers)
    helpers = _helpers(plan, Path(path), data, weights, overrides, workers)
    try:
        _run_all(plan, line, started, threads)
        for number, helper in enumerate(helpers, start=1):
            if helper.wait():
                line.keep(f"worker {number} ended with status {helper.returncode}: see {plan.folder}/worker-{number}.log")
        _run_all(plan, line, started, threads)  # what a worker left that has died
    finally:
        for helper in helpers:
            helper.terminate()
    table = study_results.write_table(plan.trials, plan.folder)
    first = next(iter(plan.experiments.values()))
    reading = study_results.read(plan.study, table, plan.folder, first.task)
    for said in (*reading.claims, *reading.notes):
        line.keep(str(said))
    page = study_results.write(plan.study, table, reading, plan.folder, synthetic=any(cohort.name == "phantom" for cohort in first.cohorts))
    line.keep(f"trials: {plan.folder / study_results.TABLE}\nreport: {page}")
    return plan.folder


def _run_all(plan: Plan, line: Line, started: float, threads: int) -> None:
    """Every trial that is not done, held by another worker, or has failed since `started`; until the time is over."""
    for name in plan.trials:
        if plan.study.minutes is not None and time.time() - started > 60 * plan.study.minutes:
            line.keep(f"{plan.study.minutes:g} minutes are over; the same command goes on")
            return
        _run(plan, name, line, started, threads)
        study_results.write_table(plan.trials, plan.folder)


def _plan(path: Path, data: Path | str | None, weights: Path | str | None, further: Sequence[str], out: Path | None) -> Plan:
    """Everything that can be wrong with the study is told before anything is trained."""
    given = load_study(path)
    base = path.parent / given.base
    varied = [text for text in further if key_of(text) in OF_THE_GRID]
    if varied:
        raise MedtlError(f"--set {varied[0]}: is varied by the study itself; change `{OF_THE_GRID[key_of(varied[0])]}` in {path}")
    if weights is not None:
        further = [*further, weights_override(weights)]
    trials, overrides, experiments = {}, {}, {}
    names = []
    for trial in trials_of(given):
        own = tuple({key_of(text): text for text in (*trial.overrides, *further)}.values())
        experiment = load_experiment(base, own)
        experiment.task.refuse_several("medtl study")
        unsuited = getattr(given.reading, "unsuited", lambda experiment: "")(experiment)
        if unsuited:
            raise MedtlError(f"{path}: {trial.arm}: {unsuited}")
        name = name_of(experiment)
        names.append(name)
        trials[name], overrides[name], experiments[name] = trial, own, experiment
    if repeated(names):
        twins = sorted({trials[name].arm for name in repeated(names)})
        raise MedtlError(f"{path}: two arms are one and the same experiment ({listed(twins)} and another); change or remove one")
    folder = out or Path("runs") / "studies" / given.name
    root = data_root(base, Path(data) if data else None)
    _same_as_before(folder, path, root)
    return Plan(given, folder, base, root, overrides, trials, experiments)


def _same_as_before(folder: Path, path: Path, root: Path) -> None:
    """A folder holds one study of one set of images; the time limit may change."""
    snapshot, text = folder / SNAPSHOT, path.read_text(encoding="utf-8")
    if snapshot.exists():
        free = {"minutes": None}
        if load_study(snapshot).model_copy(update=free) != load_study(path).model_copy(update=free):
            raise MedtlError(f"{folder} holds another study of this name (see {snapshot}); choose another --out, or another name")
        begun = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))["data_root"]
        if begun != str(root.resolve()):
            raise MedtlError(f"{folder} was begun with the images of {begun}, not of {root.resolve()}; give these, or choose another --out")
    elif folder.exists() and any(folder.iterdir()):
        raise MedtlError(f"--out {folder}: is not empty and no study; choose another folder")
    write_json(folder / ORIGIN, {"format": FORMAT, "data_root": str(root.resolve())})
    write_text(snapshot, text)


def _run(plan: Plan, name: str, line: Line, started: float, threads: int) -> None:
    """Train and judge one trial, unless it is done or another worker has it. What is refused is written down, and the others go on."""
    place, failed = plan.place(name), plan.folder / "failed" / f"{name}.json"
    with claimed(plan.folder / "claims" / name) as mine:
        if not mine or _done(place) or (failed.exists() and failed.stat().st_mtime > started):
            return
        trial = plan.trials[name]
        line.keep(f"\n{trial.arm}, {100 * trial.fraction:g} % of the labels, seed {trial.seed}")
        failed.unlink(missing_ok=True)
        features = _own_features(plan, name)
        try:
            if not finished(place):
                begun = (place / "experiment.yaml").exists()
                overrides = (*plan.overrides[name], *_of_the_machine(plan, name, threads))
                train(plan.base, plan.root, overrides=overrides, out=place, resume=begun, with_report=False, features=features)
            evaluate_run(load_run(place), None, plan.root, line)
        except MedtlError as refusal:
            write_json(failed, {"reason": str(refusal)})
            line.keep(f"this trial failed: {refusal}")
        if features is not None:
            shutil.rmtree(features, ignore_errors=True)


def _own_features(plan: Plan, name: str) -> Path | None:
    """Where seconds count, a trial's own empty place for features, so that its time is whole; else they are shared."""
    if not registry.component("study.readings", plan.study.reading.name).TIMED:  # type: ignore[attr-defined]
        return None
    features = plan.folder / "features" / name
    shutil.rmtree(features, ignore_errors=True)  # what a killed worker left
    return features


def _of_the_machine(plan: Plan, name: str, threads: int) -> list[str]:
    """Threads by the number of workers, and the precision that the first trial found: the same for all."""
    given = {key_of(text) for text in plan.overrides[name]}
    begun = [plan.place(other) / "experiment.yaml" for other in plan.trials if (plan.place(other) / "experiment.yaml").exists()]
    settings = [] if "trainer.threads" in given else [f"trainer.threads={threads}"]
    if begun and "trainer.precision" not in given and plan.experiments[name].trainer.precision == "auto":
        tuned = [other for other in map(load_experiment, begun) if other.transfer.tuned]
        settings += [f"trainer.precision={tuned[0].trainer.precision}"] if tuned else []
    return settings


def _done(place: Path) -> bool:
    return finished(place) and TEST in load_run(place).metrics()["splits"]


def _helpers(
    plan: Plan, path: Path, data: Path | str | None, weights: Path | str | None, overrides: Sequence[str], workers: int
) -> list[subprocess.Popen[bytes]]:
    """The same command in further processes; what they say goes into the study's folder."""
    threads = [] if any(key_of(text) == "trainer.threads" for text in overrides) else [f"trainer.threads={max(1, processors() // workers)}"]
    command = [sys.executable, "-m", "medtl", "study", str(path), "--out", str(plan.folder)]
    command += ["--data", str(data)] if data is not None else []
    command += ["--weights", str(weights)] if weights is not None else []
    command += [part for text in (*overrides, *threads) for part in ("--set", text)]
    started = []
    for number in range(1, workers):
        with (plan.folder / f"worker-{number}.log").open("ab") as said:
            started.append(subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT))
    return started
