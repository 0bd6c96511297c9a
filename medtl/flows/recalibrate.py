"""`medtl recalibrate`: a package whose probabilities are right where it is used, from 10 to a few hundred labels there; no training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import records
from medtl.contracts import EXTERNAL, FORMAT
from medtl.decisions.precedence import Reasons
from medtl.errors import GateRefusal, MedtlError, did_you_mean
from medtl.evaluation import mending as shown
from medtl.evaluation.answering import judge_split
from medtl.evaluation.cases import Cases
from medtl.files import locked, write_atomically, write_json
from medtl.flows import recalibrate_words as in_words
from medtl.flows.judging import answered_rows, looked, reasons_of, refuse_occupied, unit_of, write_predictions
from medtl.flows.looks import count_look
from medtl.flows.recalibrate_candidate import Chosen, Mending, chosen_anew, moved_model, operating_point, step_of
from medtl.flows.recalibrate_evidence import cross_fitted, questions
from medtl.flows.recalibrate_package import THRESHOLD, save
from medtl.flows.recalibrate_set import HERE, read_here, refuse_known
from medtl.flows.run import model_folder
from medtl.flows.update_lineage import descent
from medtl.flows.update_sets import Sets
from medtl.model.ancestry import Ancestry
from medtl.model.model import Model
from medtl.model.prevalence import metrics_of
from medtl.terminal import Line

FILE = "recalibration.json"


def recalibrate(
    model: Path | str,
    manifest: Path | str,
    out: Path | str,
    column: Mapping[str, str] | None = None,
    map: Mapping[str, str] | None = None,
    threshold: str = "moved",
) -> dict[str, Any]:
    """Fit the probabilities of `model` to the labelled images of `manifest`, and write `out`/model if that is shown to better them.

    manifest: images of the place of use, drawn at random, of patients new to the model; as of `medtl evaluate`, as are column and map.
    threshold: `moved`, so that every answer stays what it was, or `refit`: by the package's own rule, where there are 50 ill and 50 well.
    Returns the content of `out`/recalibration.json, which is written also where nothing is released; the old package is only read.
    Raises GateRefusal (exit code 3) for too few patients, where nothing is shown, or where patients or images are not new to the model;
    MedtlError where the model or the table cannot be used.
    """
    line, folder, place = Line(), model_folder(model), Path(out)
    old = Model.load(folder)
    _refuse_unfit(old, threshold)
    refuse_occupied(place)
    metrics_of(folder)  # a damaged one is told before a look is counted
    sets = read_here(old, Path(manifest), column or {}, map or {}, line)
    before = refuse_known(sets, folder, line)
    with locked(place):
        write_atomically(place / "records.csv", lambda path: records.write(sets.rows, path))
        return _decided(old, sets, before, threshold, place, line)


def _refuse_unfit(old: Model, threshold: str) -> None:
    """Before anything is read."""
    allowed = get_args(THRESHOLD)
    if threshold not in allowed:
        raise MedtlError(f"--threshold '{threshold}': is unknown{did_you_mean(threshold, allowed)}; there are: {', '.join(allowed)}")
    if threshold == "refit" and old.threshold is None:
        raise MedtlError("--threshold refit is for two classes or findings: of several classes there is no threshold; leave it out")


@dataclass(frozen=True)
class _Answered:
    """The images that can be used, in one order: their rows, and what the older model says of them."""

    rows: pd.DataFrame
    keys: pd.DataFrame
    logits: NDArray[np.float32]
    reasons: Reasons
    shipped: pd.DataFrame
    asked: Mapping[str, Cases]
    """Question → images of which the truth is known."""


def _answered(old: Model, sets: Sets, line: Line) -> _Answered:
    positions = sets.positions(EXTERNAL)
    rows = sets.rows.iloc[positions]
    logits, scores = looked(old, sets.store, positions, line.progress("images"))
    reasons, keys = reasons_of(old, rows, sets.store, positions, scores), answered_rows(rows)
    shipped = old.answer(keys, logits, reasons)
    line.clear()
    return _Answered(rows, keys, logits, reasons, shipped, questions(shipped, old.task))


def _decided(old: Model, sets: Sets, before: Ancestry, threshold: str, place: Path, line: Line) -> dict[str, Any]:
    """Judge, write the evidence, and release the re-calibrated model or refuse it."""
    here = _answered(old, sets, line)
    unit = unit_of(here.rows)
    told = {"format": FORMAT, **descent(old.package), **_described(sets, here.rows), "threshold": threshold}
    few = {name: shown.too_few(cases, unit) for name, cases in here.asked.items()}
    if all(few.values()):  # before a look is counted: nothing is shown to anybody
        _refuse(place, {**told, "questions": {name: {"reason": why} for name, why in few.items()}}, in_words.together(few))
    looks = count_look(here.rows["sha256"], old.fingerprint, old.package.name)
    write_predictions(here.shipped, place / "before.csv")
    mending = {name: shown.mend(cases, unit) for name, cases in here.asked.items()}
    content = {**told, "looks": looks.count, "questions": {name: _entry(each) for name, each in mending.items()}}
    print("\n".join([*in_words.sentences(content), looks.sentence("re-calibration")]))
    reason = in_words.together({name: each.reason for name, each in mending.items()})
    if not any(each.shown for each in mending.values()):
        _refuse(place, content, reason)
    step, chosen = step_of(mending, old.task), _anew(old, here.asked, mending, threshold, unit)
    new = moved_model(old, step, operating_point(old, step, chosen, here.asked, mending))
    answers = new.answer(here.keys, here.logits, here.reasons)
    changed = int((answers["predicted"] != here.shipped["predicted"]).sum())
    if changed and not any(isinstance(each, Chosen) for each in chosen.values()):  # probabilities that rounding has made 0 or 1
        _refuse(place, content, f"{changed:,} answers would not stay what they were, for their probabilities are too near to 0 or 1")
    table = cross_fitted(answers, mending, chosen, old.task)
    write_predictions(table, place / "after.csv")
    content |= {"answers_changed": changed, "thresholds": in_words.thresholds(chosen)}
    entry = judge_split(table, old.task)
    package = save(place / "model", old, new, sets, content, before, mending, here.asked, entry, looks.by_this_model)
    content |= {"released": True, "reason": reason, "fingerprint": package.fingerprint}
    write_json(place / FILE, content)
    print("\n".join(in_words.written(content, package, entry, place / "model", old.folder)))
    return content


def _anew(old: Model, asked: Mapping[str, Cases], mending: Mending, threshold: str, unit: str) -> dict[str, Chosen | str]:
    if threshold == "moved":
        return {}
    return {
        name: chosen_anew(cases, mending[name], old.package.operating_point.rule, unit)
        for name, cases in asked.items()
        if mending[name].shown
    }


def _described(sets: Sets, rows: pd.DataFrame) -> dict[str, Any]:
    return {
        "images": len(rows),
        "groups": int(rows["group_id"].nunique()),
        "unit": unit_of(rows),
        "left_out": dict(sets.left_out),
        "sha256": sets.described()[HERE]["sha256"],
    }


def _entry(mended: shown.Mended) -> dict[str, Any]:
    return {**mended.evidence, "shown": mended.shown, "reason": mended.reason}


def _refuse(place: Path, content: Mapping[str, Any], reason: str) -> None:
    write_json(place / FILE, {**content, "released": False, "reason": reason})
    raise GateRefusal(f"not re-calibrated: {reason}. The evidence is in {place / FILE}; the model is as it was")
