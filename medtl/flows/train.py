"""`medtl train`: one config → a run folder with a trained, calibrated, packaged model. Never reads a test image's answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from medtl import measurements, records
from medtl.augmentation import STRONG
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records, split_notes
from medtl.contracts import VALIDATION
from medtl.errors import GateRefusal, MedtlError
from medtl.estimates import ONE_TRAINING
from medtl.evaluation import answering, baseline
from medtl.evaluation.table import lines
from medtl.experiment.load import data_root, load_experiment
from medtl.experiment.overrides import weights_override
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.files import locked, write_atomically, write_json
from medtl.flows import replay, report, run_folder
from medtl.flows.audit import audit_run
from medtl.flows.baselines import nearest_images
from medtl.flows.candidates import fit_candidates
from medtl.flows.fitting import Training, fit_all
from medtl.flows.guarantee import foreseen
from medtl.flows.leaks import refuse_leaking
from medtl.flows.near_duplicates import tie_near_duplicates
from medtl.flows.quarantine import refuse_broken
from medtl.flows.run import Run, load_run
from medtl.guarantees import of_ensemble
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.memory import keep_freed_memory
from medtl.model import format as package_format
from medtl.model.scope import set_aside
from medtl.terminal import Line
from medtl.training import machine
from medtl.training.adapting import refuse_network
from medtl.training.energy import metered
from medtl.training.environment import describe
from medtl.training.fit import build_classifier
from medtl.training.job import Watch, unwatched
from medtl.training.log import Log


def train(
    config: Path | str,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    resume: bool = False,
    expect: Path | str | None = None,
    with_report: bool = True,
    features: Path | None = None,
    watch: Watch = unwatched,
) -> Run:
    """Train the experiment described by `config` and return its run.

    data: the data root, default the config's folder. weights: takes the place of `backbone.weights`. out: the run folder itself,
    default `runs/<name>/<time>`; it must be new or empty unless `resume`, which continues an unfinished run (the newest of
    this name where `out` is not given). expect: a finished run that this one must repeat, else GateRefusal (exit code 3) with the first
    difference; records are compared before anything is trained.
    with_report: whether figures are said, audit and report follow; without, for one of many short trainings. features: where what frozen
    layers make of images is kept; default: the cache. watch: see `medtl.training.job.Watch`; over folds, epochs are counted on from one
    to the next.
    """
    started, cpu = time.monotonic(), time.process_time()
    if weights is not None:
        overrides = [*overrides, weights_override(weights)]
    experiment = load_experiment(Path(config), overrides)
    root = data_root(Path(config), Path(data) if data else None)
    expected = _finished(Path(expect)) if expect is not None else None
    folder = run_folder.choose(experiment, Path(out) if out else None, resume)
    with metered(experiment.tracking.energy) as meter, locked(folder):
        line, log = Line(), Log(folder / "log.jsonl", meter)
        try:
            experiment = _settled(experiment, folder, root)
            torch.set_num_threads(experiment.trainer.threads or 1)
            keep_freed_memory()
            rows, store = read_images(experiment, folder, root, line, log)
            if expected is not None:
                _refuse_another(rows, expected, None if resume else folder)
            fit_whatever = fit_all if experiment.adaptation == "none" else fit_candidates
            fit_whatever(Training(experiment, rows, store, root, folder, log, line, features, watch))
            run_folder.drop_checkpoints(folder)
            log.event("finished", wall_seconds=round(time.monotonic() - started, 1), cpu_seconds=round(time.process_time() - cpu, 1))
        except KeyboardInterrupt:
            line.keep(f"stopped; continue with the same command and: --resume --out {folder}")
            raise
        except MedtlError:
            if not resume:
                run_folder.withdraw(folder)
            raise
    run = load_run(folder)
    metrics = run.metrics()
    if with_report:
        judged = metrics["splits"][VALIDATION]
        package = package_format.read(folder / "model")
        told = [*answering.lines(judged), *filter(None, [package.helped(judged)])]
        line.keep("\n".join(["\nvalidation", lines(judged, experiment.task, metrics["unit"]), *told, ""]))
        if len(run.trainings()) == 1:
            line.keep(ONE_TRAINING)
        report.said(lambda: _reported(run, store, root, line), line, f"medtl report {folder}")
        if package.unverified:
            line.keep(f"{package.unverified} split.held_out keeps images for that")
        for sentence in (*package.promised, *of_ensemble(package.promised, bool(run.folds()))):
            line.keep(sentence)
        line.keep(f"run: {folder}\nmodel: {folder / 'model'}\nnext: medtl evaluate {folder}   (opens the test images, and counts the look)")
    if expected is not None:
        replay.verify(run, expected, line)
    return run


def _refuse_another(rows: pd.DataFrame, expected: Run, begun: Path | None) -> None:
    """As `replay.refuse_other_records`; the tables of a start that is refused go, so that the folder can be withdrawn."""
    try:
        replay.refuse_other_records(rows, expected)
    except GateRefusal:
        for name in ("records.csv", "measurements.csv") if begun is not None else ():
            (begun / name).unlink(missing_ok=True)
        raise


def _finished(folder: Path) -> Run:
    """The run in `folder`; raises MedtlError where it has no figures to be repeated."""
    run = load_run(folder)
    run.metrics()
    return run


def _reported(run: Run, store: Store, root: Path, line: Line) -> Path:
    """The audit of the images, the baseline beside the model, and the report that holds both."""
    with locked(run.folder):
        audit_run(run, store, root, line)
        baseline.write(run.folder, VALIDATION, {"neighbours": nearest_images(run, VALIDATION, root, line, store)})
    return report.report(run.folder, root)


def _settled(experiment: Experiment, folder: Path, root: Path) -> Experiment:
    """The experiment with what the machine decides filled in; on resume, what was decided then, if nothing else changed."""
    if experiment.adaptation != "none" and experiment.adaptation.augmentation == "strong":
        experiment = experiment.model_copy(update={"augmentation": experiment.augmentation.at_least(STRONG)})
    snapshot = folder / "experiment.yaml"
    if snapshot.exists():
        before = load_experiment(snapshot)
        if before.model_copy(update={"trainer": experiment.trainer}) != experiment:
            raise MedtlError(f"--resume: {folder} was begun with other settings (see {snapshot}); resume with the same config and options")
        return before
    trainer = machine.decide(experiment.trainer)
    experiment = experiment.model_copy(update={"trainer": trainer})
    if trainer.precision == "auto":
        experiment = experiment.model_copy(update={"trainer": _with_precision(experiment, root)})
    classifier = build_classifier(experiment, root)  # weights that are missing or do not fit are told now, not after all images were read
    if experiment.adaptation != "none":
        refuse_network(experiment.adaptation, classifier, experiment.transfer)
    save_experiment(experiment, snapshot)
    write_json(folder / "environment.json", describe(root))
    return experiment


def _with_precision(experiment: Experiment, root: Path) -> object:
    """Probe a few training steps of the network itself where bfloat16 may pay."""
    trainer = experiment.trainer
    if not experiment.transfer.tuned:
        return trainer.model_copy(update={"precision": "float32"})
    classifier = None

    def step() -> None:
        nonlocal classifier
        if classifier is None:
            classifier = build_classifier(experiment, root).train()
        image = experiment.image
        images = torch.zeros(8, image.size, image.size, image.channels, dtype=torch.uint8, device=trainer.device)
        classifier(images).float().square().mean().backward()

    return machine.decide_precision(trainer, step)


def read_images(experiment: Experiment, folder: Path, root: Path, line: Line, log: Log) -> tuple[pd.DataFrame, Store]:
    """Records and store of all images, row for row; on resume the records of the run, whose files must not have changed."""
    file = folder / "records.csv"
    if file.exists():
        rows = records.read(file)
        store = open_store(rows[records.KEY], root, experiment.image, cache_dir(), line.progress("images"))
        set_aside(store, experiment.scope, rows)
        if not (store.measurements["sha256"].to_numpy() == rows["sha256"].to_numpy()).all():
            raise MedtlError(
                f"--resume: the image files in {root} are not those of {file}; give the same --data as at the start, or start a new run"
            )
        return rows, store
    source = read_cohorts(experiment, root)
    source.table = source.table.sort_values(records.KEY, ignore_index=True)
    store = open_store(source.table[records.KEY], root, experiment.image, cache_dir(), line.progress("images"))
    set_aside(store, experiment.scope, source.table)
    refuse_broken(source.table, store, experiment)
    table, tied = tie_near_duplicates(source.table, store, experiment, line)
    rows = make_records(table, store.measurements, experiment, root)
    rows = rows.sort_values(records.KEY, ignore_index=True)
    refuse_leaking(experiment, rows, source.table, store, line, log)
    notes = [*source.notes, *tied]
    for note in [*notes, *split_notes(rows, experiment.task), *foreseen(rows, experiment)]:
        line.keep(note)
    quarantined = store.measurements[~store.usable]
    for broken in quarantined.itertuples():
        line.keep(f"quarantined: {broken.image}: {broken.reason} [{broken.quarantine}]")
    counts = rows.groupby("split")["group_id"].agg(["size", "nunique"])
    summary = {split: {"images": int(n), "groups": int(groups)} for split, (n, groups) in counts.iterrows()}
    log.event("images", splits=summary, decoded=store.decoded, quarantined=len(quarantined), notes=notes)
    line.keep(
        "  ".join(
            f"{split or 'cross-validation'}: {part['images']:,} images of {part['groups']:,} groups" for split, part in summary.items()
        )
    )
    write_atomically(folder / "measurements.csv", lambda path: measurements.write(store.measurements, path))
    write_atomically(file, lambda path: records.write(rows, path))  # a torn one would be resumed as a smaller study
    return rows, store
