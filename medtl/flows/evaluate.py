"""`medtl evaluate`: a run on its own test images, or a model on outside data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from medtl import predictions
from medtl.contracts import TEST, VALIDATION
from medtl.errors import MedtlError, did_you_mean
from medtl.estimates import ONE_TRAINING
from medtl.evaluation import answering, baseline, here_and_there
from medtl.evaluation.table import lines, unit_lines
from medtl.evaluation.units import By, Combine
from medtl.files import locked
from medtl.flows import report
from medtl.flows.judging import Evaluation
from medtl.flows.run import Run, data_root_of, load_run, model_folder
from medtl.guarantees import of_ensemble
from medtl.memory import keep_freed_memory
from medtl.model import format as package_format
from medtl.terminal import Line


def evaluate(
    target: Path | str,
    manifest: Path | str | None = None,
    column: Mapping[str, str] | None = None,
    map: Mapping[str, str] | None = None,
    out: Path | str | None = None,
    *,
    data: Path | str | None = None,
    allow_seen: bool = False,
    by: By | None = None,
    combine: Combine = "mean",
    stress: bool = False,
    split: str = TEST,
) -> Evaluation:
    """Judge `target`.

    Without a manifest, `target` is a run: its own test images are opened, and the look is counted. With a manifest (a CSV with `image`
    relative to it, and `label`), `target` is a model package or a run: external validation.

    column: what a column is called in the manifest: `{"label": "dx"}`. map: what a label means here: `{"PNA": "pneumonia"}`.
    out: where the tables go; default: into the run, or `evaluations/<model>-<time>/`. data: where a run's images are now, if they were
    moved. allow_seen: judge on images that the model learned from all the same. by, combine: of a run, judge one answer per patient, lesion
    or study as well: the mean of its images' log-odds, or the max (`by_unit` in the metrics). stress: judge the same images under every
    stress view too, and probe the features. split: with `stress`, `validation` takes the run's validation images, at no look.
    """
    keep_freed_memory()
    line = Line()
    _refuse_unknown_units(manifest, by, combine)
    _refuse_unknown_splits(manifest, split, stress, out, by)
    if manifest is None:
        if column or map:
            raise MedtlError("--column and --map say how a manifest is read, and no manifest is given; a run knows its own labels")
        from medtl.flows.own_test import evaluate_run

        run, place = load_run(target), Path(data) if data else None
        if split == VALIDATION:
            from medtl.flows.own_validation import stress_validation

            done = stress_validation(run, place, line)
        else:
            done = evaluate_run(run, Path(out) if out else None, place, line, by, combine, stress)
        report.said(lambda: _reported(run, done, place, line), line, f"medtl report {run.folder}")
    else:
        from medtl.flows.external import evaluate_outside

        if data is not None:
            raise MedtlError("--data says where a run's own images are; the images of a manifest are relative to the manifest")
        done = evaluate_outside(
            model_folder(target), Path(manifest), dict(column or {}), dict(map or {}), Path(out) if out else None, allow_seen, line, stress
        )
    line.clear()
    package = package_format.read(model_folder(target))
    print(lines(done.metrics, done.task, done.unit))
    for said in filter(None, (*answering.lines(done.metrics), package.helped(done.metrics))):
        print(said)
    if "by_unit" in done.metrics:
        print("\n" + unit_lines(done.metrics["by_unit"], done.task))
    held_against_its_own = here_and_there.read(done.folder) if manifest is not None else None
    if held_against_its_own is not None:
        print("\n" + "\n".join(here_and_there.sentences(held_against_its_own)))
    if done.trainings == 1:
        print(ONE_TRAINING)
    if stress:
        from medtl.flows.stress import lines as under_stress

        print("\n" + under_stress(done.folder, predictions.read(done.folder / "predictions.csv"), done.split, done.task))
    if done.looks is not None:
        print(done.looks.sentence(done.split))
    over_folds = manifest is None and bool(load_run(target).folds())
    promised = [package.not_promised] if manifest is not None else [*package.promised, *of_ensemble(package.promised, over_folds)]
    for said in filter(None, (package.unverified, *promised)):
        print(said)
    print(f"tables: {done.folder}")
    return done


def _reported(run: Run, done: Evaluation, data: Path | None, line: Line) -> Path:
    """The baseline beside the model, and the report that holds it."""
    from medtl.flows.baselines import nearest_images

    with locked(done.folder):
        baseline.write(done.folder, done.split, {"neighbours": nearest_images(run, done.split, data_root_of(run, data), line)})
    return report.report_evaluation(run, done, data)


def _refuse_unknown_units(manifest: Path | str | None, by: str | None, combine: str) -> None:
    """Raises MedtlError for a unit or a way of combining that there is not, or where there is no validation to fit a threshold on."""
    for option, given, allowed in (("by", by, get_args(By)), ("combine", combine, get_args(Combine))):
        if given is not None and given not in allowed:
            raise MedtlError(f"--{option} '{given}': is unknown{did_you_mean(given, allowed)}; there are: {', '.join(allowed)}")
    if by is not None and manifest is not None:
        raise MedtlError(
            "--by needs a run: threshold and calibration by unit are fitted on its own validation images, which a manifest lacks"
        )


def _refuse_unknown_splits(manifest: Path | str | None, split: str, stress: bool, out: Path | str | None, by: str | None) -> None:
    """Raises MedtlError for a split that is none of a run's, or that needs no evaluation."""
    if split not in (TEST, VALIDATION):
        raise MedtlError(f"--split '{split}': is unknown{did_you_mean(split, (TEST, VALIDATION))}; there are: {TEST}, {VALIDATION}")
    if split == TEST:
        return
    if manifest is not None:
        raise MedtlError("--split names a part of a run; all labelled images of a manifest are judged")
    if not stress:
        raise MedtlError("--split validation goes with --stress: what the validation images show otherwise, the run has said by itself")
    if out is not None or by is not None:
        raise MedtlError("--split validation writes into the run itself and judges image by image; leave out --out and --by")
