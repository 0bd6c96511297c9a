"""`medtl evaluate RUN --by patient`: the run's test answers, one per patient, lesion or study, beside those by image.

Calibration and threshold by image do not hold for means or maxima over images: both are fitted again, by the same rules, on the units of
validation. Nothing is predicted anew, and no further look is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from medtl.contracts import TEST, TRAIN, VALIDATION, Threshold
from medtl.decisions.threshold import adjustment
from medtl.errors import MedtlError, listed
from medtl.evaluation.summary import summarize
from medtl.evaluation.units import By, Combine, by_unit
from medtl.experiment.schema import Experiment
from medtl.flows.run import Run
from medtl.model.answers import answer_table
from medtl.predictions import PLAIN
from medtl.records import KEY
from medtl.training.fit import calibrate

NOT_READ = "no image of it could be read [NO_IMAGE]"


def judge_units(parts: Sequence[Run], tested: Sequence[pd.DataFrame], by: By, combine: Combine) -> dict[str, Any]:
    """An entry of metrics.json by unit, with `unit`, `combine`, `mixed` (units whose images differ in truth) and `fitted_on` (units of
    validation) before its figures.

    parts: the run, or its folds; tested: the test predictions of each. Raises MedtlError where the records do not know the units, or a
    unit stands in several splits.
    """
    task = parts[0].experiment.task
    answers, cut, mixed, fitted = [], None, 0, 0
    for part, table in zip(parts, tested, strict=True):
        ids = unit_ids(part.records(), by, str(part.folder))
        answered, cut, counts = _answered(part, table, ids, by, combine)
        answers.append(answered.assign(image=f"{len(answers)}:" + answered["image"]))
        mixed, fitted = mixed + counts[0], fitted + counts[1]
    entry = summarize(pd.concat(answers, ignore_index=True), task, threshold=cut if len(parts) == 1 else None)
    return {"unit": by, "combine": combine, "mixed": mixed, "fitted_on": fitted, **entry}


def _answered(run: Run, table: pd.DataFrame, ids: pd.Series, by: By, combine: Combine) -> tuple[pd.DataFrame, Threshold | None, list[int]]:
    """Test units with calibrated answers, the threshold, and how many units were mixed, and were fitted on."""
    experiment, task = run.experiment, run.experiment.task
    before = run.predictions()
    chose = before[(before["split"] == VALIDATION) & (before["view"] == PLAIN) & (before["truth"] != "") & (before["member"] == "")]
    learned, judged = (by_unit(rows, _of(rows, ids), task, combine) for rows in (chose, table[table["truth"] != ""]))
    read = np.isfinite(learned.logits).all(axis=1)
    if not read.any():
        raise MedtlError(f"{run.folder}: holds no validation {by} that was read, on which calibration and threshold could be fitted")
    none = np.zeros(len(task.names))
    decided = calibrate(_without_curve(experiment), learned.logits[read][None], none, learned.truth[read])
    fitted, cut = decided.calibration, decided.threshold
    weighed = adjustment(fitted.apply(learned.logits[read]), experiment.decision.adjust)
    reasons = ["" if there else NOT_READ for there in np.isfinite(judged.logits).all(axis=1)]
    answered = answer_table(
        judged.keys, judged.logits[None], reasons, task=task, prior_shift=none, calibration=fitted, threshold=cut, adjusted=weighed
    )
    return answered, cut, [judged.mixed, int(read.sum())]


def _without_curve(experiment: Experiment) -> Experiment:
    """Units are fewer than images: an isotonic curve, which wants many, gives way to temperature and intercept."""
    decision = experiment.decision
    if decision.calibration != "isotonic":
        return experiment
    return experiment.model_copy(update={"decision": decision.model_copy(update={"calibration": "temperature-intercept"})})


def unit_ids(rows: pd.DataFrame, by: By, where: str) -> pd.Series:
    """(image, frame) → whose it is; an image without an id is a unit of its own. Raises MedtlError as :func:`judge_units`."""
    known = rows["patient_id"] if by == "patient" else rows["group_id"].where(rows["group_kind"] == by, "")
    if not (known != "").any():
        kinds = sorted({*rows["group_kind"], *(["patient"] if (rows["patient_id"] != "").any() else [])} - {"", "image"})
        there = f"known are: {listed(kinds)}" if kinds else "no image has an id of any kind"
        raise MedtlError(f"--by {by}: the records of {where} do not know the {by} of an image; {there}. Give it in the cohort's settings")
    splits = rows[(known != "") & rows["split"].isin([TRAIN, VALIDATION, TEST])].groupby(known)["split"].nunique()
    if (splits > 1).any():
        raise MedtlError(
            f"--by {by}: {int((splits > 1).sum())} of {len(splits)} have images in several splits of {where}, so what is judged was "
            f"learned from; train with split.by: {by}"
        )
    alone = rows["image"] + "#" + rows["frame"].astype(str)
    return known.where(known != "", alone).set_axis(pd.MultiIndex.from_frame(rows[KEY]))


def _of(rows: pd.DataFrame, ids: pd.Series) -> list[str]:
    return ids.loc[pd.MultiIndex.from_frame(rows[KEY])].tolist()
