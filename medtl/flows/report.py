"""`medtl report`: what a run or an outside evaluation shows, gathered from its folder and written as `report.html` and `report/*.csv`."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from medtl import measurements, predictions
from medtl.audit import kept as audit
from medtl.audit.audit import audit as check_all
from medtl.audit.easy import alone
from medtl.audit.kept import Audit
from medtl.contracts import TEST
from medtl.errors import MedtlError
from medtl.evaluation import acceptance_file, baseline, here_and_there
from medtl.files import locked
from medtl.flows.looks import read_looks
from medtl.flows.release_file import read as read_release
from medtl.flows.report_pictures import pictures_of, with_pictures
from medtl.flows.run import EXPERIMENT, Run, load_run
from medtl.flows.stress_pictures import with_stress
from medtl.imaging.settings import ImageSettings
from medtl.model import format as package_format
from medtl.records import KEY
from medtl.terminal import Line

if TYPE_CHECKING:
    from medtl.flows.judging import Evaluation
    from medtl.report.contents import Contents
    from medtl.report.figures.learning import Log


def report(run_folder: Path | str, data: Path | str | None = None) -> Path:
    """Write the report of a run that has finished; returns the path of `report.html`.

    data: where the run's images are now, if they were moved; without them the worst errors have no pictures, and say so.
    Raises MedtlError where the folder is no run or not finished.
    """
    run = load_run(run_folder)
    return _write(run, run.folder, Path(data) if data else None)


def report_evaluation(run: Run, done: Evaluation, data: Path | None) -> Path:
    """Write the report of a run's own test that went into another folder."""
    return _write(run, done.folder, data)


def report_outside(package: Path, done: Evaluation, rows: pd.DataFrame, measured: pd.DataFrame, root: Path, command: str) -> Path:
    """Write the report of an outside evaluation into its folder. `rows`: its records, `measured`: of all its images."""
    from medtl.report.contents import Contents
    from medtl.report.page import write_report

    opened = package_format.read(package)
    looks = done.looks.all_sentence() if done.looks else ""
    contents = Contents(
        task=done.task,
        metrics={"unit": done.unit, "looks": done.looks.by_this_model if done.looks else 0, "splits": {done.split: done.metrics}},
        predictions=predictions.read(done.folder / "predictions.csv"),
        records=rows,
        package=opened.model_dump(mode="json"),
        measurements=measured,
        commands=[command],
        looks=looks,
        hashes=_hashes(done.folder),
        acceptance=acceptance_file.read(done.folder),
        external=here_and_there.read(done.folder),
        baselines={done.split: {"neighbours": {"reason": "a model package does not hold the images that it learned from"}}},
    )
    with locked(done.folder):
        found = audit.summed_up(opened.name, rows, done.task.names, [], check_all(rows, measured, done.task, None, contents.predictions))
        contents = _with_alone(_with_audit(contents, found, opened.image, root))
        contents = with_stress(contents, done.folder, opened.image, root)
        return write_report(with_pictures(contents, opened.image, root), done.folder)


def said(write: Callable[[], Path], line: Line, again: str) -> None:
    """Write a report by `write()` and say where it is; one that cannot be written costs nobody the run: it says how to try again."""
    line.show("drawing the report …")
    try:
        path = write()
    except Exception as error:  # whatever it is, what was trained or judged lies safely in its tables
        reason = str(error) if isinstance(error, MedtlError) else type(error).__name__
        line.keep(f"the report could not be written ({reason}); all else is complete; to try again: {again}")
    else:
        line.keep(f"report: {path}")


def _write(run: Run, folder: Path, data: Path | None) -> Path:
    from medtl.report.page import write_report

    contents = contents_of(run, folder)
    root = data or Path(str(contents.environment.get("data_root", "")))
    above = run.folder if (run.folder / EXPERIMENT).is_file() else run.folder.resolve().parent.parent
    with locked(folder):
        found = audit.read(above) or _audited(run, contents)
        contents = _with_audit(contents, found, run.experiment.image, root) if found else contents
        contents = with_stress(contents, folder, run.experiment.image, root)
        return write_report(with_pictures(_with_alone(contents), run.experiment.image, root), folder)


def _audited(run: Run, contents: Contents) -> Audit | None:
    """The audit of a run that was trained before there were audits: out of its tables alone."""
    if contents.measurements is None:
        return None
    rows, task = contents.records, contents.task
    looked = ["From the tables of the run, without features of a network."]
    findings = check_all(rows, contents.measurements, task, None, run.predictions())
    return audit.summed_up(run.experiment.name, rows, task.names, looked, findings)


def _with_audit(contents: Contents, found: Audit, settings: ImageSettings, root: Path) -> Contents:
    """The contents with the audit's section and its pictures."""
    from medtl.audit import page as audit_page

    pictures = pictures_of(audit_page.shown_images(found.findings, audit_page.SECTION), contents.records, settings, root)
    section = audit_page.section(found, contents.records, pictures)
    return dataclasses.replace(contents, audit=section, audit_summary=audit_page.summary(found))


def _with_alone(contents: Contents) -> Contents:
    """The contents with what brightness and size of the file alone can tell; nothing where there are several findings per image."""
    if contents.measurements is None or contents.task.kind == "multi":
        return contents
    return dataclasses.replace(contents, alone=alone(contents.records, contents.measurements, contents.split))


def contents_of(run: Run, folder: Path) -> Contents:
    """Everything that the run's folder holds; tables and figures are those of `folder`."""
    from medtl.evaluation import metrics_file
    from medtl.report.contents import Contents

    metrics = metrics_file.read(folder / "metrics.json")
    package = package_format.read(run.folder / "model").model_dump(mode="json")
    above = run.folder if (run.folder / EXPERIMENT).is_file() else run.folder.resolve().parent.parent
    rows = run.records()
    read = measurements.read(above / "measurements.csv") if (above / "measurements.csv").is_file() else None
    judged = predictions.read(folder / "predictions.csv")
    return Contents(
        task=run.experiment.task,
        metrics=metrics,
        predictions=judged,
        records=rows,
        package=package,
        measurements=read,
        experiment=run.experiment.model_dump(mode="json"),
        experiment_yaml=_without_folders((above / EXPERIMENT).read_text(encoding="utf-8")),
        environment=Run(above, run.experiment).environment(),
        logs=dict(_logs(run)),
        hashes=_hashes(folder),
        acceptance=acceptance_file.read(folder),
        release=read_release(run.folder),
        baselines=baseline.read(folder),
        commands=_commands(run),
        looks=_looks(rows, judged, package["fingerprint"]) if metrics["looks"] else "",
    )


def _logs(run: Run) -> Iterator[tuple[str, Log]]:
    """The run's own log, each fold's or member's under its number, each adaptation candidate's under its name."""
    from medtl.report.figures.learning import read_log

    parts = [part.folder for part in run.trainings() if part.folder != run.folder]
    named = [(str(int(part.name) + 1), part) for part in parts] + [(name, each.folder) for name, each in run.candidates().items()]
    for name, folder in [("", run.folder), *named]:
        if (folder / "log.jsonl").is_file():
            yield name, read_log(folder / "log.jsonl")


def _looks(rows: pd.DataFrame, judged: pd.DataFrame, fingerprint: str) -> str:
    """What this installation's ledger says about the test images; empty where it knows nothing (another installation's run)."""
    tested = judged.loc[(judged["split"] == TEST) & (judged["view"] == predictions.PLAIN), KEY].merge(rows[[*KEY, "sha256"]], on=KEY)
    found = read_looks(tested["sha256"], fingerprint)
    return found.all_sentence() if found else ""


def _hashes(folder: Path) -> dict[str, str]:
    files = [folder / name for name in ("records.csv", "predictions.csv", "metrics.json")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.is_file()}


def _commands(run: Run) -> list[str]:
    weights = " --weights FILE" if run.experiment.backbone.weights not in ("none", "imagenet") else ""
    named = f"; FILE: {Path(run.experiment.backbone.weights).name}" if weights else ""
    return [
        f"# RUN: this folder; DATA: the folder of the images{named}",
        f"medtl train RUN/experiment.yaml --data DATA{weights} --out AGAIN --expect RUN",
        "medtl evaluate AGAIN",
        "medtl report AGAIN",
    ]


def _without_folders(text: str) -> str:
    """Settings without the folders of the machine that they were resolved on: a report travels."""
    return re.sub(r"(?<=[ \[,{])(['\"]?)/\S*/(?=[^/\s])", r"\1…/", text)
