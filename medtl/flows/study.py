"""`medtl study`: every trial of a study, each a run of its own, shared by several workers; then one reading of them all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medtl import registry
from medtl.contracts import FORMAT
from medtl.errors import MedtlError, listed
from medtl.experiment.load import data_root
from medtl.experiment.overrides import weights_override
from medtl.experiment.schema import Experiment
from medtl.files import write_json, write_text
from medtl.flows import adaptation_table, search, searching, study_results
from medtl.flows.trials import Planned, Site, run_all
from medtl.processors import processors
from medtl.study.settings import OF_THE_GRID, key_of, load_study
from medtl.study.trials import Trial, repeated, trials_of
from medtl.terminal import Line

SNAPSHOT, ORIGIN, TRIALS = "study.yaml", "origin.json", "trials"


@dataclass(frozen=True)
class Grid:
    """All trials of a study of arms, resolved."""

    trials: Mapping[str, Trial]
    planned: Mapping[str, Planned]

    @property
    def first(self) -> Experiment:
        """Of all trials, the task and the cohorts."""
        return next(iter(self.planned.values())).experiment


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
    with its share of the processors; more may be started on other machines that see the same folder. Every trial of an arm opens its own
    test images once, and nothing is chosen by them; of a search, the base and the best do.
    """
    site = _site(Path(path), data, weights, overrides, Path(out) if out else None, workers)
    given = site.study.search
    road = _grid(site) if given is None else search.plan(site, given)
    _same_as_before(site, road)
    line, helpers = site.line, _helpers(site, data, weights, overrides, workers)
    try:
        _go(site, road)
        for number, helper in enumerate(helpers, start=1):
            if helper.wait():
                line.keep(f"worker {number} ended with status {helper.returncode}: see {site.folder}/worker-{number}.log")
        _go(site, road)  # what a worker left that has died
    finally:
        for helper in helpers:
            helper.terminate()
    trials = road.trials if isinstance(road, Grid) else search.trials(road)
    table = study_results.write_table(trials, site.folder)
    reading = study_results.read(site.study, table, site.folder, road.first.task)
    for said in (*reading.claims, *reading.notes):
        line.keep(str(said))
    page = study_results.write(
        site.study, table, reading, site.folder, synthetic=any(cohort.name == "phantom" for cohort in road.first.cohorts)
    )
    line.keep(f"trials: {site.folder / study_results.TABLE}\nreport: {page}")
    if not isinstance(road, Grid):
        search.write_best(road)
    return site.folder


def _go(site: Site, road: Grid | search.Search) -> None:
    if isinstance(road, Grid):
        run_all(site, road.trials, road.planned)
        reading = site.study.reading
        if getattr(registry.component("study.readings", reading.name), "OPENS_TARGET", False):  # type: ignore[attr-defined]
            most = max(site.study.fractions)
            names = [name for name, trial in road.trials.items() if trial.fraction == most]
            adaptation_table.complete(site, names, adaptation_table.Ceilings(reading.ceiling, reading.as_taken))  # type: ignore[attr-defined]
    else:
        searching.run(road)


def _site(path: Path, data: Path | str | None, weights: Path | str | None, further: Sequence[str], out: Path | None, workers: int) -> Site:
    given = load_study(path)
    base = path.parent / given.base
    for text in further:
        key = key_of(text)
        if key in OF_THE_GRID:
            raise MedtlError(f"--set {text}: is varied by the study itself; change `{OF_THE_GRID[key]}` in {path}")
        if given.search is not None and key in given.search.space:
            raise MedtlError(f"--set {text}: is searched by the study itself; change `search.space` in {path}")
    if weights is not None:
        further = [*further, weights_override(weights)]
    folder = out or Path("runs") / "studies" / given.name
    root = data_root(base, Path(data) if data else None)
    return Site(given, path, folder, base, root, tuple(further), Line(), time.time(), max(1, processors() // workers))


def _grid(site: Site) -> Grid:
    """Everything that can be wrong with the study is told before anything is trained."""
    found = [(trial, site.resolved(trial.overrides)) for trial in trials_of(site.study)]
    for trial, planned in found:
        unsuited = getattr(site.study.reading, "unsuited", lambda experiment: "")(planned.experiment)
        if unsuited:
            raise MedtlError(f"{site.file}: {trial.arm}: {unsuited}")
    trials = {planned.name: trial for trial, planned in found}
    twins = repeated([planned.name for _, planned in found])
    if twins:
        arms = sorted({trials[name].arm for name in twins})
        raise MedtlError(f"{site.file}: two arms are one and the same experiment ({listed(arms)} and another); change or remove one")
    return Grid(trials, {planned.name: planned for _, planned in found})


def _same_as_before(site: Site, road: Grid | search.Search) -> None:
    """A folder holds one study of one set of images; the time limit may change. Trials of a grid are known by all their settings, so that
    its base may change as well; what a search proposed holds for the base that it was tried on."""
    folder, path, root = site.folder, site.file, site.root
    bases = [] if isinstance(road, Grid) else [part.base.name for part in road.parts]
    snapshot, text = folder / SNAPSHOT, path.read_text(encoding="utf-8")
    if snapshot.exists():
        free = {"minutes": None}
        if load_study(snapshot).model_copy(update=free) != load_study(path).model_copy(update=free):
            raise MedtlError(f"{folder} holds another study of this name (see {snapshot}); choose another --out, or another name")
        begun = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
        if begun["data_root"] != str(root.resolve()):
            raise MedtlError(
                f"{folder} was begun with the images of {begun['data_root']}, not of {root.resolve()}; give these, or choose another --out"
            )
        if begun.get("bases", bases) != bases:
            raise MedtlError(
                f"{folder} was begun with other settings: its trials were proposed for another {site.base}, --set or --weights, and are no "
                "better or worse than these; give the same, or choose another --out"
            )
    elif folder.exists() and {item.name for item in folder.iterdir()} - {TRIALS}:  # trials of these names may have been trained before
        raise MedtlError(f"--out {folder}: is not empty and no study; choose another folder")
    write_json(folder / ORIGIN, {"format": FORMAT, "data_root": str(root.resolve()), "bases": bases})
    write_text(snapshot, text)


def _helpers(
    site: Site, data: Path | str | None, weights: Path | str | None, overrides: Sequence[str], workers: int
) -> list[subprocess.Popen[bytes]]:
    """The same command in further processes; what they say goes into the study's folder."""
    threads = [] if any(key_of(text) == "trainer.threads" for text in overrides) else [f"trainer.threads={site.threads}"]
    command = [sys.executable, "-m", "medtl", "study", str(site.file), "--out", str(site.folder)]
    command += ["--data", str(data)] if data is not None else []
    command += ["--weights", str(weights)] if weights is not None else []
    command += [part for text in (*overrides, *threads) for part in ("--set", text)]
    started = []
    for number in range(1, workers):
        with (site.folder / f"worker-{number}.log").open("ab") as said:
            started.append(subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT))
    return started
