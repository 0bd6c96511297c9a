"""What the trials of a study came to: `trials.csv`, the reading as `study.json`, its page and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtl import registry
from medtl.contracts import FORMAT, TEST, TRAIN, VALIDATION, Task
from medtl.document.table import write_csv, write_tables
from medtl.experiment.schema import Experiment
from medtl.files import write_json
from medtl.flows.run import Run, load_run
from medtl.flows.run_folder import finished
from medtl.report.figures.learning import read_log
from medtl.study.page import write_page
from medtl.study.reading import Reading
from medtl.study.settings import StudySettings
from medtl.study.trials import COLUMNS, DONE, FAILED, WAITING, Trial

TABLE = "trials.csv"


def write_table(trials: Mapping[str, Trial], folder: Path, experiments: Mapping[str, Experiment]) -> pd.DataFrame:
    """Write trials.csv anew from the runs that are there; whichever worker does it writes the same."""
    rows = [_row(name, trial, folder, experiments[name]) for name, trial in trials.items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_csv(table, folder / TABLE)
    return table


def read(study: StudySettings, table: pd.DataFrame, folder: Path, task: Task) -> Reading:
    """The study's reading of its finished trials."""
    done = table[table["state"] == DONE]
    runs = {name: load_run(folder / "trials" / name) for name in done["trial"]}
    judged = {name: run.predictions() for name, run in runs.items()}
    curves = pd.DataFrame(
        [point for name, run in runs.items() for point in _curve(name, run)], columns=["trial", "fold", "seconds", "score"]
    )
    file = registry.component("study.readings", study.reading.name)  # type: ignore[attr-defined]
    reading: Reading = file.read(study.reading, done, judged, curves, task)
    return reading


def write(study: StudySettings, table: pd.DataFrame, reading: Reading, folder: Path, synthetic: bool) -> Path:
    """Write `study.json`, `study/*.csv` and `study.html`; returns the page."""
    claims = [{"what": claim.what, "shown": claim.shown, "text": claim.text, **claim.figures} for claim in reading.claims]
    states = {state: int(count) for state, count in table["state"].value_counts().items()}
    content = {"format": FORMAT, "name": study.name, "trials": states, "claims": claims, "notes": list(reading.notes)}
    write_json(folder / "study.json", content)
    write_tables(reading.tables, folder / "study")
    return write_page(study, table, reading, folder, synthetic)


def _row(name: str, trial: Trial, folder: Path, experiment: Experiment) -> dict[str, Any]:
    known = {"trial": name, "arm": trial.arm, "fraction": trial.fraction, "seed": trial.seed}
    place, failed = folder / "trials" / name, folder / "failed" / f"{name}.json"
    if not finished(place) or TEST not in load_run(place).metrics()["splits"]:
        reason = json.loads(failed.read_text(encoding="utf-8"))["reason"] if failed.exists() else ""
        return {**known, "state": FAILED if reason else WAITING, "reason": reason}
    run = load_run(place)
    tested = run.metrics()["splits"][TEST]
    points = pd.DataFrame(_curve(name, run))
    labels, groups = _labels(run)
    events = read_log(place / "log.jsonl")
    return {
        **known,
        "state": DONE,
        "labels": labels,
        "groups": groups,
        "validation": points.groupby("fold")["score"].max().mean() if len(points) else np.nan,
        "auroc": tested["auroc"]["value"],
        "auroc_low": tested["auroc"].get("low"),
        "auroc_high": tested["auroc"].get("high"),
        "macro_f1": tested["macro_f1"]["value"],
        "cpu_seconds": _seconds(events, "cpu"),
        "wall_seconds": _seconds(events, "time"),
    }


def _labels(run: Run) -> tuple[int, int]:
    """Labelled images and groups of train and validation; the mean over folds."""
    counts = []
    for part in run.folds() or [run]:
        rows = part.records()
        used = rows[rows["split"].isin([TRAIN, VALIDATION])]
        counts.append((len(used), used["group_id"].nunique()))
    images, groups = np.mean(counts, axis=0)
    return round(images), round(groups)


def _curve(name: str, run: Run) -> Iterator[dict[str, Any]]:
    """Each judgement of validation with the seconds of training until then: CPU seconds on a CPU, else wall seconds."""
    clock = "cpu" if run.experiment.trainer.device == "cpu" else "time"
    for fold, part in enumerate(run.folds() or [run]):
        events = read_log(part.folder / "log.jsonl")
        for event, seconds in zip(events, _elapsed(events, clock), strict=True):
            score = max(event["scores"].values()) if event["event"] == "probe" else _monitored(event)
            if score is not None:
                yield {"trial": name, "fold": fold, "seconds": seconds, "score": score}


def _monitored(event: Mapping[str, Any]) -> float | None:
    names = [key for key in event if key.startswith("validation_")] if event["event"] == "epoch" else []
    return float(event[names[0]]) if names else None


def _elapsed(events: list[dict[str, Any]], clock: str) -> list[float]:
    """Seconds since training began; where it was resumed, without what had been lost and the time between."""
    total, before, found = 0.0, 0.0, []
    for event in events:
        now = float(event.get(clock, 0.0))
        total += 0.0 if event["event"] in ("begin", "images") else max(0.0, now - before)
        before = now
        found.append(total)
    return found


def _seconds(events: list[dict[str, Any]], clock: str) -> float:
    elapsed = _elapsed(events, clock)
    return round(elapsed[-1], 1) if elapsed else 0.0
