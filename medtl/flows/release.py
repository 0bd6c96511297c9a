"""Which candidate becomes the run's model. No harm: an adapted one only on the evidence of labelled target patients that nothing has used.

`release.json` says which, and why. The labels are those of the target's validation patients, opened once after all training, where the
config allows it; or they come later, in a manifest (:mod:`medtl.flows.later_release`). Without them source-only is the package.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.adaptation import SOURCE_ONLY, MethodSettings
from medtl.contracts import FORMAT, VALIDATION, Task
from medtl.errors import MedtlError
from medtl.evaluation.answering import judge_split
from medtl.evaluation.noninferiority import Verdict, not_worse
from medtl.files import write_json
from medtl.flows import label_free
from medtl.flows.fitting import Training
from medtl.flows.hidden_labels import opened
from medtl.flows.judging import judge, write_predictions
from medtl.flows.label_free import Candidate, Scores
from medtl.flows.release_file import FILE, read
from medtl.flows.run import CANDIDATES
from medtl.imaging.store import Store
from medtl.model import package
from medtl.model.model import Model
from medtl.terminal import Line

ANSWERS = "target.csv"
"""A candidate's predictions of the labelled target patients that decided."""
NO_LABELS = (
    "no labelled target patients: whether adapting helps or harms cannot be known without them; bring some with "
    "`medtl release RUN MANIFEST.csv`, or allow release.labels: validation"
)


def decide(whole: Training, candidates: Sequence[Candidate], target: NDArray[np.int64]) -> None:
    """Choose the method that is put up, judge it, write `release.json`, and make the released candidate the run's own model."""
    adaptation = whole.experiment.adaptation
    assert adaptation != "none"
    found = label_free.scores(whole, candidates, target)
    put_up, chosen_by = _put_up(adaptation, found)
    veto = label_free.veto(found, put_up, whole.experiment.task.names)
    answers, missing = _answers_with_labels(whole, candidates, adaptation)
    verdict = verdict_of(answers, put_up, whole.experiment.task, adaptation.release.margin, veto, missing)
    content = {
        "format": FORMAT,
        "candidate": put_up,
        "chosen_by": chosen_by,
        "target": adaptation.target.domain if adaptation.target else "",
        "target_images": len(target),
        "veto": veto,
        "scores": {name: dict(each.values) for name, each in found.items()},
        **evidence(answers, whole.experiment.task),
    }
    settle(whole.folder, content, verdict, adaptation.release.margin, whole.line)


def _put_up(adaptation: MethodSettings, found: Mapping[str, Scores]) -> tuple[str, str]:
    """The method, and by which rule."""
    by = adaptation.choose
    if by == "primary" or len(adaptation.methods) == 1:
        return adaptation.name, "named in the config as the primary method"
    if any(each.values[by] is None for each in found.values()):
        return adaptation.name, f"the primary method: {by} is not defined for this task"
    return label_free.best(found, by), f"the best of {len(adaptation.methods)} methods by {by}, without a target label"


def _answers_with_labels(
    whole: Training, candidates: Sequence[Candidate], adaptation: MethodSettings
) -> tuple[dict[str, pd.DataFrame], str]:
    """What each candidate says of the target's validation patients, whose labels are opened here; or why there is nothing."""
    if adaptation.release.labels == "none":
        return {}, NO_LABELS
    try:
        assert adaptation.target is not None
        rows, positions = opened(whole.experiment, whole.rows, whole.root, adaptation.target.domain, VALIDATION)
    except MedtlError as refusal:  # a finished training is not lost by labels that cannot be read
        return {}, f"the target's labels could not be read: {refusal}"
    if not len(rows):
        return {}, "none of the target's validation patients has a label"
    places = {each.name: whole.folder / CANDIDATES / each.name for each in candidates}
    return judged(places, rows, whole.store, positions, whole.experiment.trainer.device, whole.line), ""


def judged(
    places: Mapping[str, Path], rows: pd.DataFrame, store: Store, positions: NDArray[np.int64], device: str, line: Line
) -> dict[str, pd.DataFrame]:
    """Predictions of each candidate, kept beside it."""
    found = {}
    for name, place in places.items():
        found[name] = judge(Model.load(place / "model", device), rows, store, positions, line.progress(f"target, {name}"))
        write_predictions(found[name], place / ANSWERS)
    return found


def verdict_of(answers: Mapping[str, pd.DataFrame], put_up: str, task: Task, margin: float, veto: str, missing: str) -> Verdict:
    """Whether the candidate that is put up is released, and why (not)."""
    if not answers:
        return Verdict(False, missing, {"value": None, "reason": missing})
    verdict = not_worse(answers[put_up], answers[SOURCE_ONLY], task, margin)
    return Verdict(False, f"vetoed without labels: {veto}. {verdict.reason}", verdict.difference) if veto else verdict


def evidence(answers: Mapping[str, pd.DataFrame], task: Task) -> dict[str, Any]:
    """On the labelled target patients: how many there were, each candidate's AUROC, and which an oracle would have taken."""
    if not answers:
        return {"patients": 0, "images": 0, "auroc": {}, "oracle": None}
    table = answers[SOURCE_ONLY]
    areas = {name: judge_split(each, task)["auroc"] for name, each in answers.items()}
    known = {name: area["value"] for name, area in areas.items() if area["value"] is not None}
    oracle = max(known, key=lambda name: known[name]) if known else None
    return {"patients": int(table["group_id"].nunique()), "images": len(table), "auroc": areas, "oracle": oracle}


def settle(folder: Path, content: Mapping[str, Any], verdict: Verdict, margin: float, line: Line) -> None:
    """Make the released candidate the run's own model, tables and figures, and write `release.json`."""
    released = content["candidate"] if verdict.shown else SOURCE_ONLY
    before = read(folder)
    if before is None or before["released"] != released:  # else what was found since, such as a look at the test, stays
        place = folder / CANDIDATES / released
        for name in ("predictions.csv", "metrics.json"):
            shutil.copyfile(place / name, folder / name)
        package.copy(place / "model", folder / "model")
    told = {"released": released, "reason": verdict.reason, "margin": margin, "difference": verdict.difference}
    write_json(folder / FILE, {**content, **told})
    line.keep(f"released: {released}. {verdict.reason}")
