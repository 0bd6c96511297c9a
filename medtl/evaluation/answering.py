"""What became of everybody who came: found, missed, or sent away without an answer; and the figures of those answered alone.

An entry of metrics.json judges every image that was read, whether its answer was given or held back. Beside it stands `answering`:
`coverage` (the share answered), `counts` and `reasons` per class, `reasons_in_all`; and where some got no answer `all_comers` (no answer is
no hit, as if the image had not been read) and `answered_only` (too good where the hard ones are sent away). `risk_coverage`: AURC and
E-AURC of the images read (:mod:`medtl.evaluation.selective`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import Task, Threshold
from medtl.estimates import percent
from medtl.evaluation import selective
from medtl.evaluation.cases import findings_from_table, from_table
from medtl.evaluation.figures import Estimate, share_of
from medtl.evaluation.resampling import RESAMPLES
from medtl.evaluation.summary import summarize
from medtl.evaluation.table import estimate
from medtl.predictions import NO_ANSWER, PLAIN, classes_of

Mask = NDArray[np.bool_]
OTHER = "OTHER"
"""A reason that ends in no code."""
FIGURES = ("n", "groups", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "brier", "ece", "confusion", "unread")
OF_CLASS = ("precision", "recall", "f1", "specificity", "npv", "support")
NEED_PROBABILITY = ("auroc", "auprc", "brier", "ece")
_CODE = re.compile(r"\[([A-Z][A-Z0-9_]*)\]\s*$")


def judge_split(
    predictions: pd.DataFrame, task: Task, seed: int = 0, threshold: Threshold | None = None, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """The whole entry of one split: :func:`medtl.evaluation.summary.summarize` (same arguments), `answering` and `risk_coverage`."""
    entry = summarize(predictions, task, seed, threshold, resamples)
    return {
        **entry,
        "answering": answering(predictions, task, seed, threshold, resamples),
        "risk_coverage": selective.areas_entry(risk_coverage(predictions, task, threshold, seed, resamples)),
    }


def risk_coverage(
    predictions: pd.DataFrame, task: Task, threshold: Threshold | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> selective.RiskCoverage | None:
    """Of the judged rows of one split; `threshold`: the one (or those) behind `predicted`, None where there are several models'."""
    if task.kind == "multi":
        return selective.of_findings(findings_from_table(predictions, task), threshold, seed, resamples)
    return selective.of_cases(from_table(predictions, task), threshold, seed, resamples)


def answering(
    predictions: pd.DataFrame, task: Task, seed: int = 0, threshold: Threshold | None = None, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Coverage, counts and reasons per class of the judged rows of one split; where some got no answer, both kinds of figures."""
    rows, silent = _judged(predictions)
    codes = rows["reason"].map(code_of).to_numpy(str)
    of_class = {name: _of_class(rows, task, name) for name in task.names}
    found: dict[str, Any] = {
        "coverage": _share_by_group(~silent, rows),
        "counts": {name: _counts(there, right, silent) for name, (there, right) in of_class.items()},
        "reasons": {
            code: {name: int((there & silent & (codes == code)).sum()) for name, (there, _) in of_class.items()}
            for code in sorted(set(codes[silent]))
        },
        "reasons_in_all": {code: int((codes[silent] == code).sum()) for code in sorted(set(codes[silent]))},
    }
    if silent.any():
        found["all_comers"] = _kept(summarize(held_back(rows), task, seed, threshold, resamples))
        found["answered_only"] = _kept(summarize(rows[~silent], task, seed, threshold, resamples))
    return found


def of_all_comers(entry: Mapping[str, Any], own: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """`entry` with the shares of `own` (its `all_comers`; None: all were answered), in which no answer is no hit. What needs a probability
    stays that of every image read, had its answer been given."""
    if own is None:
        return entry
    per_class = {name: {**each, **own["per_class"].get(name, {})} for name, each in entry["per_class"].items()}
    return {**entry, **{key: value for key, value in own.items() if key not in (*NEED_PROBABILITY, "per_class")}, "per_class": per_class}


def summarize_all_comers(rows: pd.DataFrame, task: Task) -> Mapping[str, Any]:
    """As :func:`medtl.evaluation.summary.summarize`, in which no answer is no hit."""
    entry = summarize(rows, task)
    return (
        entry
        if entry["answered"] == entry["n"] - sum(entry["unread"].values())
        else of_all_comers(entry, _kept(summarize(held_back(rows), task)))
    )


def answered_only(rows: pd.DataFrame, task: Task) -> Mapping[str, Any] | None:
    """As :func:`medtl.evaluation.summary.summarize`, of the answered alone: too good where the hard ones are sent away. None where all were
    answered, and there is nothing to set beside."""
    silent = rows["decision"] == NO_ANSWER
    return summarize(rows[~silent], task) if silent.any() else None


def unanswered(predictions: pd.DataFrame) -> Estimate:
    """The share of the judged rows without an answer, with its interval by group: what `coverage` leaves."""
    rows, silent = _judged(predictions)
    return _share_by_group(silent, rows)


def held_back(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same rows, in which an image without an answer has no prediction and no probability, as if it had not been read."""
    silent = predictions["decision"] == NO_ANSWER
    table = predictions.copy()
    table.loc[silent, "predicted"] = ""
    given = [column for name in classes_of(table) for column in (f"logit_{name}", f"p_{name}") if column in table.columns]
    table.loc[silent, given] = np.nan
    return table


def code_of(reason: str) -> str:
    """The code in brackets that a reason ends in.

    >>> code_of("unlike every image it learned from [UNLIKE_TRAINING]"), code_of("because")
    ('UNLIKE_TRAINING', 'OTHER')
    """
    found = _CODE.search(reason)
    return found.group(1) if found else OTHER


def sentences(answers: Mapping[str, Any]) -> list[str]:
    """`Of 120 ill: 101 found, 9 missed, 10 unanswered.` for each class that has images."""
    return [
        f"Of {each['n']:,} {name}: {each['found']:,} found, {each['missed']:,} missed, {each['unanswered']:,} unanswered."
        for name, each in answers["counts"].items()
        if each["n"]
    ]


def lines(entry: Mapping[str, Any]) -> list[str]:
    """For the terminal, after the figures of every image read; empty where all were answered, or by an earlier version."""
    answers = entry.get("answering", {})
    if "all_comers" not in answers:
        return []
    why = ", ".join(f"{count:,} {code}" for code, count in answers["reasons_in_all"].items())
    told = [f"answered: {percent(answers['coverage']['value'])}; not answered: {why}", *sentences(answers)]
    for key, label in (("balanced_accuracy", "balanced accuracy"), ("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        told.append(
            f"{label}: all who came {estimate(answers['all_comers'][key])}, answered only {estimate(answers['answered_only'][key])}"
        )
    return told


def _judged(predictions: pd.DataFrame) -> tuple[pd.DataFrame, Mask]:
    """The package's own answers on plain images whose truth is known, and (N,) whether each was held back."""
    rows = predictions[(predictions["member"] == "") & (predictions["view"] == PLAIN) & (predictions["truth"] != "")]
    return rows, (rows["decision"] == NO_ANSWER).to_numpy(bool)


def _share_by_group(hits: Mask, rows: pd.DataFrame) -> Estimate:
    names = [group or f"{image}:{frame}" for group, image, frame in zip(rows["group_id"], rows["image"], rows["frame"], strict=True)]
    groups = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return share_of(hits, np.ones(len(rows), dtype=bool), groups)


def _of_class(rows: pd.DataFrame, task: Task, name: str) -> tuple[Mask, Mask]:
    """(N,) whether an image is of the class, or has the finding; and whether it is called so."""
    if task.kind == "single":
        return (rows["truth"] == name).to_numpy(), (rows["predicted"] == name).to_numpy()
    there, called = (rows[column].str.split("|", regex=False).map(set) for column in ("truth", "predicted"))
    return np.array([name in each for each in there], dtype=bool), np.array([name in each for each in called], dtype=bool)


def _counts(there: Mask, called: Mask, silent: Mask) -> dict[str, int]:
    return {
        "n": int(there.sum()),
        "found": int((there & called & ~silent).sum()),
        "missed": int((there & ~called & ~silent).sum()),
        "unanswered": int((there & silent).sum()),
    }


def _kept(entry: Mapping[str, Any]) -> dict[str, Any]:
    per_class = {name: {key: each[key] for key in OF_CLASS if key in each} for name, each in entry["per_class"].items()}
    return {**{key: entry[key] for key in FIGURES}, "per_class": per_class}
