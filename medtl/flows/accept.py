"""`medtl accept`: lines that a model has to keep, stated in a file before anyone has looked, and whether it keeps them."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from medtl import records
from medtl.contracts import EXCLUDED, EXTERNAL, FORMAT, TEST
from medtl.errors import GateRefusal
from medtl.estimates import ONE_TRAINING
from medtl.evaluation import acceptance_file
from medtl.evaluation.acceptance import COUNTED, MET, Acceptance, Outcome, all_met, judge, plan
from medtl.experiment.load import load_settings
from medtl.files import write_json
from medtl.flows.looks import first_look, state_dir
from medtl.flows.sides import Side, side_of, task_of
from medtl.predictions import NO_ANSWER
from medtl.report.acceptance import put_into
from medtl.terminal import Line

REPORT = "report.html"


def accept(file: Path, judged: Path | None = None, split: str | None = None, like: Path | None = None) -> list[Outcome]:
    """State the lines of `file`; with a run, or an evaluation on outside data, say which of them it keeps.

    The first time that this installation sees the file's content is remembered, so that lines written after the test images were opened
    are called so. split: by default `test`, and `external` of outside data. like: see :func:`medtl.flows.compare.compare`. Writes
    `acceptance.json` into the folder, and what became of the lines onto the report that is there. Raises GateRefusal (exit code 3) where a
    line is not met, or not decided by so few cases.
    """
    acceptance, line = load_settings(file, Acceptance), Line()
    stated, name = _stated(file)
    if judged is None:
        for said in plan(acceptance):
            line.keep(said)
        line.keep(f"stated {stated} ({name[:16]}); what it is judged on may be opened now")
        return []
    side = side_of(judged)
    task = task_of([side], like)
    chosen = split or (EXTERNAL if side.task is None else TEST)
    rows, hashes = _with_kept(side, side.judged(chosen), chosen)
    outcomes = judge(acceptance, rows, task)
    note = _when(stated, first_look(hashes)) if chosen in (TEST, EXTERNAL) else f"judged on {chosen}, which chose the model: no proof"
    for outcome in outcomes:
        line.keep(str(outcome))
    counted = COUNTED if (rows["decision"] == NO_ANSWER).any() else ""
    for said in filter(None, (counted, note)):
        line.keep(said)
    if side.trainings in (None, 1):
        line.keep(ONE_TRAINING)
    told = {"name": acceptance.name, "sha256": name, "stated": stated, "split": chosen, "note": note, "counted": counted}
    answers = hashlib.sha256((judged / "predictions.csv").read_bytes()).hexdigest()
    content = acceptance_file.write(judged, outcomes, **told, answers=answers)
    if put_into(judged / REPORT, content, answers):
        line.keep(f"report: {judged / REPORT}")
    if not all_met(outcomes):
        open_ = [outcome for outcome in outcomes if outcome.state != MET]
        raise GateRefusal(
            f"{acceptance.name}: {len(open_)} of {len(outcomes)} lines are not met or not decided ({judged / acceptance_file.FILE})"
        )
    line.keep(f"{acceptance.name}: all {len(outcomes)} lines are met ({judged / acceptance_file.FILE})")
    return outcomes


def _stated(file: Path) -> tuple[str, str]:
    """When this installation first saw the file's content, and its SHA-256."""
    name = hashlib.sha256(file.read_bytes()).hexdigest()
    place = state_dir() / "acceptance" / f"{name}.json"
    if not place.exists():
        write_json(place, {"format": FORMAT, "stated": datetime.now(UTC).isoformat(timespec="seconds")})
    return str(json.loads(place.read_text(encoding="utf-8"))["stated"]), name


def _with_kept(side: Side, rows: pd.DataFrame, split: str) -> tuple[pd.DataFrame, list[str]]:
    """Judged rows with the columns that records keep, and the SHA-256 of the images of the split, as looks are counted by."""
    parts = [place / "records.csv" for place in sorted((side.folder / "folds").glob("*"))] or [side.folder / "records.csv"]
    tables = [own[own["label"] != ""] for own in map(records.read, parts)]
    asked = {split, EXCLUDED} if split == EXTERNAL else {split}  # outside, what cannot be read is asked for too, and missed
    known = pd.concat([own[own["split"].isin(asked)] for own in tables], ignore_index=True)
    kept = [column for column in known.columns if column not in rows.columns]
    of_image = (
        rows["image"].str.replace(r"^\d+:", "", regex=True) if rows["image"].isin(known["image"]).sum() < len(rows) else rows["image"]
    )
    joined = rows.assign(image=of_image).merge(known[[*records.KEY, *kept]], on=records.KEY, how="left", validate="many_to_one")
    return rows.assign(**{column: joined[column].fillna("").to_numpy() for column in kept}), known["sha256"].tolist()


def _when(stated: str, looked: str | None) -> str:
    if looked is None:
        return f"stated {stated}; when these images were first opened is not known to this installation"
    if stated < looked:
        return f"stated {stated}, before these images were first opened ({looked})"
    return f"stated {stated}, AFTER these images were first opened ({looked}): the lines may have been chosen to be met"
