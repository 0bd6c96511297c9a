"""A search: which settings validation chose, and what they are worth on test images that had no part in it.

The best validation score of many is too good by choice alone, so it is never the answer: base and best are judged on test, with every
seed, and their difference stands with an interval that crosses trainings and test groups (:mod:`medtl.evaluation.crossed`). Nested, every
image is judged by what was searched and trained without its fold (Varma and Simon, BMC Bioinformatics 2006); the folds are read together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from medtl import registry
from medtl.contracts import TEST, VALIDATION, Task
from medtl.document.table import Table
from medtl.estimates import number
from medtl.evaluation.cases import each_member
from medtl.evaluation.crossed import Repeated, crossed, interval
from medtl.evaluation.drawn import AUROC, F1, Answers, answers
from medtl.evaluation.intervals import Interval
from medtl.study import each_finding
from medtl.study.figures import importance_bars, search_history
from medtl.study.importance import LEAST, importance
from medtl.study.reading import Claim, Reading
from medtl.study.space import Dimension, Range
from medtl.study.trials import DONE, FAILED, PRUNED, WAITING, in_columns, said, searched, values_of

TIMED = False
BASE, BEST, SEARCH = "base", "best", "search"
SHOWN = 10
"""Best trials in the table."""


class Settings(registry.Settings):
    name: Literal["search"] = "search"
    measure: Literal["auroc", "macro-f1"] = "auroc"
    """What the gain on test is told in; state it before you look."""


@dataclass(frozen=True)
class Judged:
    """One arm on test images, with every seed; over folds all together."""

    auroc: Repeated
    macro_f1: Repeated
    tested: Sequence[Answers]
    """Of each seed."""


def read(
    settings: Settings,
    trials: pd.DataFrame,
    judged: Mapping[str, pd.DataFrame],
    curves: pd.DataFrame,
    task: Task,
    space: Mapping[str, Any] | None = None,
) -> Reading:
    """The contract of `medtl.study.readings`. `space`: of the study's search."""
    tried = trials[trials["seed"] == trials["seed"].iloc[0]]
    nested = bool(trials["fold"].notna().any())
    chosen = {fold: _chosen(own) for fold, own in tried.groupby("fold", dropna=False)}
    found = {arm: _judged(trials, arm, chosen, judged, task) for arm in (BASE, BEST)}
    claims = [*_choice(tried, chosen), *_worth(settings, found, trials, judged, chosen, nested)]
    mattered = _importance(tried, space or {})
    told = {arm: figures.tested for arm, figures in found.items() if figures is not None}
    each = each_finding.table(told, "On test images, AUROC of each finding")
    tables = [_best_trials(tried, chosen), *_tested(found), *each, *(_by_fold(tried, chosen, judged, task) if nested else [])]
    plots = [("How the search went", search_history(tried))]
    if mattered:
        plots.append(("What mattered", importance_bars(mattered)))
        tables.append(_mattered(mattered))
    else:
        claims.append(Claim("importance of the settings", False, f"it takes {LEAST} finished trials (in every fold) that differ"))
    notes = [*each_finding.notes([each for own in told.values() for each in own]), *_notes(trials, chosen, judged, task)]
    return Reading("which settings, and what are they worth?", claims, tables, notes, pd.DataFrame(), plots)


def _chosen(tried: pd.DataFrame) -> pd.Series[Any] | None:
    """The best trial of one search by validation, the first on a tie; None where none is finished."""
    done = tried[tried["state"] == DONE]
    return None if done.empty else done.loc[done["validation"].astype(float).idxmax()]


def _judged(
    trials: pd.DataFrame, arm: str, chosen: Mapping[Any, pd.Series[Any] | None], judged: Mapping[str, pd.DataFrame], task: Task
) -> Judged | None:
    """The arm's figures, its folds pooled; None where something is missing. Where the base itself is the best, they are one."""
    tested, analytic = [], []
    for _, own in trials[trials["trial"].isin(judged)].groupby("seed", sort=True):
        rows = []
        for fold, best in chosen.items():
            of_fold = own[own["fold"].isna() if pd.isna(fold) else own["fold"] == fold]
            name = BASE if best is not None and best["arm"] == BASE else arm
            rows.append(of_fold[of_fold["arm"] == name])
        if any(len(each) != 1 for each in rows):
            return None
        table = pd.concat([judged[each["trial"].iloc[0]] for each in rows], ignore_index=True)
        tested.append(_answers(table, TEST, task))
        low, high = rows[0][["auroc_low", "auroc_high"]].iloc[0] if len(rows) == 1 else (np.nan, np.nan)
        analytic.append(Interval(float(low), float(high)))
    if len(tested) != trials["seed"].nunique():
        return None

    def figure(name: str, analytic: Sequence[Interval]) -> Repeated:
        return crossed([each.values[name] for each in tested], [each.drawn[name] for each in tested], tested[0].group_count, analytic)

    return Judged(figure(AUROC, analytic), figure(F1, [Interval(np.nan, np.nan)] * len(tested)), tested)


def _choice(tried: pd.DataFrame, chosen: Mapping[Any, pd.Series[Any] | None]) -> Iterator[Claim]:
    states = tried["state"].value_counts()
    counted = ", ".join(f"{states[state]} {state}" for state in (DONE, PRUNED, FAILED, WAITING) if state in states)
    for fold, best in chosen.items():
        what = "chosen on validation" + ("" if pd.isna(fold) else f" in fold {int(fold)}")
        if best is None:
            yield Claim(what, False, "no trial is finished")
            continue
        own = tried[tried["fold"].isna() if pd.isna(fold) else tried["fold"] == fold]
        base = own.loc[(own["arm"] == BASE) & (own["state"] == DONE), "validation"]
        against = f", the base {number(base.iloc[0])}" if len(base) and best["arm"] != BASE else ""
        settings = "the base itself, which no trial beat" if best["arm"] == BASE else said(best["settings"])
        trials = f" ({len(own)} trials: {counted})" if pd.isna(fold) else ""
        yield Claim(what, True, f"{settings}; validation {number(best['validation'])}{against}{trials}", values_of(best["settings"]))


def _worth(
    settings: Settings,
    found: Mapping[str, Judged | None],
    trials: pd.DataFrame,
    judged: Mapping[str, pd.DataFrame],
    chosen: Mapping[Any, pd.Series[Any] | None],
    nested: bool,
) -> Iterator[Claim]:
    """What the best is worth on test, against the base."""
    base, best = found[BASE], found[BEST]
    what, measure = "gain on test over the base", "AUROC" if settings.measure == "auroc" else "macro-F1"
    if base is None or best is None:
        yield Claim(what, False, "the search is not over, or a training of the base or the best is missing")
        return
    own, other = (each.auroc if settings.measure == "auroc" else each.macro_f1 for each in (best, base))
    if nested:
        low, high = interval(own)
        text = f"{measure} {number(own.mean)} ({number(max(0.0, low))} to {number(min(1.0, high))}) out of fold, all folds together"
        yield Claim("searching and training", True, text, {"value": own.mean, "low": low, "high": high})
    if all(each is not None and each["arm"] == BASE for each in chosen.values()):
        yield Claim(what, False, "the base itself was the best on validation")
        return
    gap = own.less(other)
    low, high = interval(gap)
    text = f"{gap.mean:+.3f} {measure} ({low:+.3f} to {high:+.3f})"
    why = ""
    if any((table["member"] != "").any() for table in judged.values()):
        why = "test images of one fold were validation images of others, by which the settings were chosen; ask for `nested`"
    elif trials["seed"].nunique() < 2 and trials.loc[trials["state"] == DONE, "luck"].astype(bool).any():
        why = "one seed tells nothing about training luck"
    elif low <= 0:
        why = "the interval does not lie above 0"
    yield Claim(what, not why, f"{text}: {why}" if why else text, {"value": gap.mean, "low": low, "high": high})


def _importance(tried: pd.DataFrame, space: Mapping[str, Any]) -> dict[str, float]:
    """The mean over folds; empty where one of them cannot tell."""
    each = []
    for _, own in tried[tried["state"] == DONE].groupby("fold", dropna=False):
        values = [values_of(text) for text in own["settings"]]
        known = [place for place, one in enumerate(values) if space.keys() <= one.keys()]
        whole = {key: all(isinstance(values[place][key], int) for place in known) for key in space}
        fitting = [Dimension(key, limits, isinstance(limits, Range) and whole[key]) for key, limits in space.items()]
        each.append(importance(fitting, [values[place] for place in known], own["validation"].astype(float).iloc[known].to_list()))
    return {key: float(np.mean([one[key] for one in each])) for key in space} if each and all(each) else {}


def _best_trials(tried: pd.DataFrame, chosen: Mapping[Any, pd.Series[Any] | None]) -> Table:
    """The best trials by validation, of each fold its own; in the CSV all that are finished."""
    ordered = tried[tried["state"] == DONE].sort_values(["fold", "validation"], ascending=[True, False], kind="stable")
    shown = ordered.groupby("fold", dropna=False).head(max(3, SHOWN // len(chosen)))
    winners = {best["trial"] for best in chosen.values() if best is not None}
    keys, nested = searched(tried["settings"]), bool(tried["fold"].notna().any())
    rows = [
        [
            *([f"{row.fold:.0f}"] if nested else []),
            row.arm + (" (chosen)" if row.trial in winners else ""),
            *in_columns(row.settings, keys),
            number(row.validation),
            f"{row.cpu_seconds:.0f}",
        ]
        for row in shown.itertuples()
    ]
    header = [*(["fold"] if nested else []), "trial", *keys, "validation", "seconds of CPU"]
    note = "Validation chose, so the best scores here are better than they would be on new images. All trials: trials.csv."
    columns = ["trial", "arm", "fold", "validation", "settings"]
    return Table("search", "The best trials on validation", header, rows, ordered[columns], note)


def _tested(found: Mapping[str, Judged | None]) -> Iterator[Table]:
    rows, raw = [], []
    for arm, figures in found.items():
        if figures is None:
            return
        row, columns = [arm], dict[str, Any](arm=arm)
        for name, figure in (("auroc", figures.auroc), ("macro_f1", figures.macro_f1)):
            low, high = interval(figure)
            row.append(f"{number(figure.mean)} ({number(max(0.0, low))} to {number(min(1.0, high))})")
            columns |= {name: figure.mean, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
        raw.append(columns)
    note = "Opened for these two alone, when the search was over. Means over seeds; intervals cross seeds and test groups."
    yield Table("tested", "On test images", ["", "AUROC (95 %)", "macro-F1 (95 %)"], rows, pd.DataFrame(raw), note)


def _by_fold(
    tried: pd.DataFrame, chosen: Mapping[Any, pd.Series[Any] | None], judged: Mapping[str, pd.DataFrame], task: Task
) -> Iterator[Table]:
    """What each fold's search chose, and its AUROC on validation and on the fold."""
    keys = searched(tried["settings"])
    rows, raw = [], []
    for fold, best in chosen.items():
        if best is None or best["trial"] not in judged:
            return
        base = tried.loc[(tried["fold"] == fold) & (tried["arm"] == BASE), "trial"].iloc[0]
        seen, own, other = (
            _answers(judged[name], split, task).values[AUROC]
            for name, split in ((best["trial"], VALIDATION), (best["trial"], TEST), (base, TEST))
        )
        rows.append([str(int(fold)), *in_columns(best["settings"], keys), number(seen), number(own), number(other)])
        raw.append({"fold": int(fold), "settings": best["settings"], "validation": seen, "test": own, "test_base": other})
    header = ["fold", *keys, "AUROC, validation", "AUROC, fold", "the base's, fold"]
    yield Table(
        "folds", "What each fold's search chose, and what it was worth on the fold", header, rows, pd.DataFrame(raw), "Of the first seed."
    )


def _mattered(importances: Mapping[str, float]) -> Table:
    ordered = sorted(importances.items(), key=lambda item: -item[1])
    rows = [[key, f"{share:.2f}"] for key, share in ordered]
    note = "Of finished trials, by functional analysis of variance: of these ranges and this base, and no cause."
    return Table(
        "importance", "Importance of the settings", ["setting", "share"], rows, pd.DataFrame(ordered, columns=["setting", "share"]), note
    )


def _notes(
    trials: pd.DataFrame, chosen: Mapping[Any, pd.Series[Any] | None], judged: Mapping[str, pd.DataFrame], task: Task
) -> Iterator[str]:
    """How far validation flattered, and what was too few."""
    names = [best["trial"] for best in chosen.values() if best is not None]
    if names and all(name in judged for name in names):
        seen, own = (float(np.mean([_answers(judged[name], split, task).values[AUROC] for name in names])) for split in (VALIDATION, TEST))
        yield f"AUROC of the best: {number(seen)} on the validation images that chose it, {number(own)} on test ({own - seen:+.3f})."
    yield "The validation score of the best is the highest of many, and so too good; only test images say what it is worth."
    seeds = trials["seed"].nunique()
    if seeds < 3:
        yield f"Only {seeds} seed{'s' if seeds > 1 else ''}: intervals know little of training luck; take at least 3."


def _answers(table: pd.DataFrame, split: str, task: Task) -> Answers:
    own = table[table["split"] == split]
    return answers(each_member(own) if split == VALIDATION else own.assign(member=""), task)
