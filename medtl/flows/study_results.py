"""What the trials of a study came to: `trials.csv`, the reading as `study.json`, its page and tables."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medtl import registry
from medtl.contracts import FORMAT, TEST, TRAIN, VALIDATION, Task
from medtl.document.table import write_csv, write_tables
from medtl.files import write_json
from medtl.flows import release_file
from medtl.flows.run import Run, load_run
from medtl.flows.run_folder import finished
from medtl.predictions import PLAIN
from medtl.report.figures.learning import read_log
from medtl.study import target
from medtl.study.judged import refuse_other_images
from medtl.study.page import write_page
from medtl.study.reading import Reading
from medtl.study.settings import StudySettings
from medtl.study.trials import COLUMNS, DONE, FAILED, WAITING, Trial

TABLE = "trials.csv"
PREPARING = ("images", "leaks allowed")
"""Events before `begin`: what a session does to get there is no training."""


def write_table(trials: Mapping[str, Trial], folder: Path) -> pd.DataFrame:
    """Write trials.csv anew from the runs that are there; whichever worker does it writes the same."""
    rows = [_row(name, trial, folder) for name, trial in trials.items()]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_csv(table, folder / TABLE)
    return table


def read(study: StudySettings, table: pd.DataFrame, folder: Path, task: Task) -> Reading:
    """The study's reading of its trials. Raises MedtlError where trials were judged on different images."""
    done = table[table["state"] == DONE]
    runs = {name: load_run(folder / "trials" / name) for name in done["trial"]}
    tables = {name: run.predictions() for name, run in runs.items()}
    judged = {name: own[own["view"] == PLAIN] for name, own in tables.items() if (own["split"] == TEST).any()}
    for _, same in done[done["trial"].isin(judged)].groupby("fold", dropna=False):
        refuse_other_images({name: judged[name] for name in same["trial"]})
    points = [point for name, run in runs.items() for point in _curve(name, run)]
    file = registry.component("study.readings", study.reading.name)  # type: ignore[attr-defined]
    curves = pd.DataFrame(points, columns=["trial", "fold", "epoch", "seconds", "kwh", "score"])
    further: dict[str, Any] = {} if study.search is None else {"space": study.search.space}
    if getattr(file, "OPENS_TARGET", False):
        further["opened"] = {name: target.read(folder, name) for name in runs if target.is_opened(folder, name)}
    reading: Reading = file.read(study.reading, table, judged, curves, task, **further)
    return reading


def write(study: StudySettings, table: pd.DataFrame, reading: Reading, folder: Path, synthetic: bool) -> Path:
    """Write `study.json`, `study/*.csv` and `study.html`; returns the page."""
    claims = [{"what": claim.what, "shown": claim.shown, "text": claim.text, **claim.figures} for claim in reading.claims]
    states = {state: int(count) for state, count in table["state"].value_counts().items()}
    content = {"format": FORMAT, "name": study.name, "trials": states, "claims": claims, "notes": list(reading.notes)}
    write_json(folder / "study.json", content)
    write_tables(reading.tables, folder / "study")
    return write_page(study, table, reading, folder, synthetic)


def _row(name: str, trial: Trial, folder: Path) -> dict[str, Any]:
    known = {"trial": name, "arm": trial.arm, "fraction": trial.fraction, "seed": trial.seed, "fold": trial.fold}
    known["settings"] = json.dumps(trial.values) if trial.values else ""
    place = folder / "trials" / name
    if trial.ended is not None:
        return {**known, "state": trial.ended.state, "reason": trial.ended.reason, "validation": trial.ended.score}
    run = _figures(place, (place / "metrics.json").stat().st_mtime_ns) if finished(place) else None
    if run is None or (trial.tested and "auroc" not in run):
        reason = failure(folder, name)
        return {**known, "state": FAILED if reason else WAITING, "reason": reason}
    return {**known, "state": DONE, **run, "luck": run["luck"] or trial.fraction < 1}


@functools.lru_cache(maxsize=10_000)
def _figures(place: Path, written: int) -> dict[str, Any]:
    """What a finished run came to. `written`: when its metrics were; a look at test images writes them anew."""
    run = load_run(place)
    transfer, tested = run.experiment.transfer, run.metrics()["splits"].get(TEST)
    labels, groups = _labels(run)
    parts = [read_log(part.folder / "log.jsonl") for part in run.candidates().values() or run.trainings()]
    return {
        "luck": transfer.tuned or (transfer.views or 1) > 1,
        "labels": labels,
        "groups": groups,
        "validation": reached(run),
        **(_of_test(tested) if tested else {}),
        "cpu_seconds": sum(round(_until_fitted(events, "cpu"), 1) for events in parts),
        "wall_seconds": sum(round(_until_fitted(events, "time"), 1) for events in parts),
        "kwh": sum(_until_fitted(events, "kwh") for events in parts) if run.experiment.tracking.energy else np.nan,
    }


def _of_test(tested: Mapping[str, Any]) -> dict[str, Any]:
    auroc = tested["auroc"]
    return {
        "auroc": auroc["value"],
        "auroc_low": auroc.get("low"),
        "auroc_high": auroc.get("high"),
        "macro_f1": tested["macro_f1"]["value"],
    }


def reached(run: Run) -> float:
    """The monitored validation score of what a run's package holds (of a candidate, the released one); the mean over folds or members."""
    released = release_file.read(run.folder)
    parts = run.trainings() if released is None else [run.candidates()[released["released"]]]
    logs = [read_log(part.folder / "log.jsonl") for part in parts]
    return float(np.mean([_reached(events, run.experiment.transfer.monitor) for events in logs]))


def failure(folder: Path, name: str) -> str:
    """Why a trial failed; empty where it did not (or another worker has just taken it up again)."""
    try:
        return str(json.loads((folder / "failed" / f"{name}.json").read_text(encoding="utf-8"))["reason"])
    except FileNotFoundError:
        return ""


def _reached(events: list[dict[str, Any]], monitor: str) -> float:
    """The validation score of what the package holds: of the head that was fitted last, of the soup, of the best epoch, of the probe."""
    history = next(event for event in reversed(events) if event["event"] == "fitted")
    for stage in ("retrained", "tuned", "probe"):
        if stage in history:
            return float(history[stage].get("souped", history[stage][f"validation_{monitor}"]))
    return float("nan")


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
    """Each judgement of validation that could be released, with the seconds of training until then: of the processor on a CPU, else of
    the clock; and with the kilowatt hours, where they were counted. A probe counts where nothing follows it, an epoch where the loss is in
    its final phase."""
    clock = "cpu" if run.experiment.trainer.device == "cpu" else "time"
    for fold, part in enumerate(run.trainings()):
        events = read_log(part.folder / "log.jsonl")
        energy = _elapsed(events, "kwh") if run.experiment.tracking.energy else [np.nan] * len(events)
        for event, seconds, kwh in zip(events, _elapsed(events, clock), energy, strict=True):
            score = None
            if event["event"] == "probe" and not run.experiment.transfer.tuned:
                score = max(event["scores"].values())
            elif event["event"] == "epoch" and event.get("settled", True):
                score = event[f"validation_{run.experiment.transfer.monitor}"]
            if score is not None:
                yield {"trial": name, "fold": fold, "epoch": event.get("epoch"), "seconds": seconds, "kwh": kwh, "score": float(score)}


def _elapsed(events: list[dict[str, Any]], clock: str) -> list[float]:
    """What training has taken until each event (`cpu` or `time`: seconds; `kwh`), counted from `begin`; where it was resumed, without what
    had been lost, the time between, and what was done again, such as the probe."""
    total, before, found = 0.0, None, []
    earlier, session = Counter[tuple[str, object]](), Counter[tuple[str, object]]()
    for event in events:
        now, step = float(event.get(clock, 0.0)), (event["event"], event.get("epoch"))
        if event["event"] == "begin":
            before, earlier, session = now, earlier | session, Counter()
        elif event["event"] in PREPARING:
            before = None
        elif before is not None:
            again = session[step] < earlier[step]
            session[step] += 1
            total, before = total + (0.0 if again else max(0.0, now - before)), now
        found.append(total)
    return found


def _until_fitted(events: list[dict[str, Any]], clock: str) -> float:
    """Until the model was fitted and calibrated."""
    fitted = [spent for event, spent in zip(events, _elapsed(events, clock), strict=True) if event["event"] == "fitted"]
    return fitted[-1] if fitted else 0.0
