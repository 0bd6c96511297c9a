"""What training wrote while it worked: loss and validation score, epoch by epoch, a line for each fold."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from medtl.errors import MedtlError
from medtl.report.figures import style

Log = Sequence[Mapping[str, Any]]
"""The lines of a `log.jsonl`."""
MONITORS = {"auroc": "AUROC", "auprc": "AUPRC", "macro-f1": "macro-F1", "balanced-accuracy": "balanced accuracy", "loss": "minus log loss"}
_SCORE = "validation_"
MANY = 5
"""Trainings; of more the legend stands below both axes."""


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a `log.jsonl`; one that a kill has cut is left out. Raises MedtlError where there is no such file."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise MedtlError(f"{path}: is not there; every run and every fold of one has a log.jsonl") from None
    return [line for line in map(_parsed, text.splitlines()) if line]


def epochs(log: Log) -> pd.DataFrame:
    """A row per epoch: `epoch`, `loss`, `score` (of `monitor`), `monitor`, `rate`, `seconds`, `settled` (whether it could be kept). Of an
    epoch done again after a resume, the later one. Epoch 0, without a loss, is the linear probe that it began with. Empty where nothing but
    a linear probe was trained."""
    rows = []
    for event in log:
        names = [key for key in event if key.startswith(_SCORE)]
        if event.get("event") == "epoch" and names:
            monitor = names[0].removeprefix(_SCORE)
            own = {key: event[key] for key in ("epoch", "loss", "rate", "seconds")}
            rows.append({"monitor": monitor, "score": event[names[0]], **own, "settled": event.get("settled", True)})
    columns = ["epoch", "loss", "score", "monitor", "rate", "seconds", "settled"]
    return pd.DataFrame(rows, columns=columns).drop_duplicates("epoch", keep="last").sort_values("epoch", ignore_index=True)


def kept_epoch(table: pd.DataFrame) -> pd.DataFrame:
    """The row of :func:`epochs` with the best score, the first of equals, among those that could be kept; empty where there is none."""
    settled = table[table["settled"].astype(bool)]
    kept: pd.DataFrame = settled[settled["score"] == settled["score"].max()].head(1)
    return kept


def probe_score(log: Log) -> float | None:
    """The validation score of the linear probe that was chosen, None where there was none."""
    scores = [max(event["scores"].values()) for event in log if event.get("event") == "probe" and event.get("scores")]
    return float(scores[-1]) if scores else None


@style.in_style
def curves(log: Log | Mapping[str, Log]) -> style.Plot:
    """Training loss (left) and the validation score that chose the epoch (right), from the lines of `log.jsonl`.

    `log`: of one training, or `{name: log}` of several (folds), which then stand in the same axes. The dot is the kept epoch; the dashed
    line is the linear probe, from which fine-tuning starts. Raises MedtlError where the log holds neither epochs nor a probe.
    """
    logs = dict(log) if isinstance(log, Mapping) else {"": log}
    plot = style.new(7.1, 2.5)
    left, right = plot.subplots(1, 2)
    monitors = [_draw(left, right, name, own, style.line_of(place)) for place, (name, own) in enumerate(logs.items())]
    named = next((monitor for monitor in monitors if monitor), "")
    if not named and not right.lines:
        raise MedtlError("the log holds neither epochs nor a linear probe; there is nothing to draw")
    for axes, title, label in ((left, "Training loss", "loss"), (right, "Validation", MONITORS.get(named, named) or "score")):
        axes.set_title(title)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    if not left.lines:
        left.text(0.5, 0.5, "no epochs: a linear probe only", ha="center", transform=left.transAxes, color=style.GREY)
    if len(logs) > 1 and left.lines:
        kind = "fold" if all(name.isdigit() for name in logs) else "candidate"
        if len(left.lines) > MANY:
            plot.set_size_inches(7.1, 3.1)
            plot.legend(handles=left.lines, title=kind, title_fontsize=7.5, loc="outside lower center", ncols=5)
        else:
            left.legend(handles=left.lines, title=kind, title_fontsize=7.5, ncols=2)
    return plot


@style.in_style
def rates(curve: pd.DataFrame, chosen: float, steepest: float) -> style.Plot:
    """The learning-rate range test: `rate` and `loss` of every step; the dashed line is the rate where the loss falls fastest, the
    dotted one what the settings say."""
    plot = style.new(6.4, 2.8)
    axes = plot.subplots()
    axes.plot(curve["rate"], curve["loss"], color=style.BLUE)
    axes.axvline(steepest, color=style.VERMILLION, linestyle="--", linewidth=0.9, label=f"falls fastest: {steepest:.1e}")
    axes.axvline(chosen, color=style.GREY, linestyle=":", linewidth=1.2, label=f"transfer.rate: {chosen:.1e}")
    axes.set_xscale("log")
    axes.set(xlabel="learning rate", ylabel="training loss, smoothed")
    axes.grid(color=style.PALE, linewidth=0.4, alpha=0.6)
    axes.legend()
    return plot


def _draw(left: Axes, right: Axes, name: str, log: Log, look: dict[str, Any]) -> str:
    """One training's lines; the name of its monitored score, empty where it had no epochs."""
    table, probe = epochs(log), probe_score(log)
    if probe is not None:
        right.axhline(probe, linewidth=0.8, alpha=0.7, color=look["color"], linestyle="--")
    if table.empty:
        return ""
    left.plot(table["epoch"], table["loss"], label=name, **look)
    right.plot(table["epoch"], table["score"], **look)
    best = kept_epoch(table)
    right.plot(best["epoch"], best["score"], "o", color=look["color"], markersize=4)
    return str(table["monitor"].iloc[-1])


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
