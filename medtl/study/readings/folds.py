"""k folds: what each fold says by itself, their mean and spread, and the figures of all images pooled (:mod:`medtl.evaluation.folds`).

Each fold's model was stopped, calibrated and given its threshold on validation images of its own (patient-disjoint); its test images are
the fold's. Pooled figures come after this calibration. Arms are held against the reference by pooled AUROC, paired by group and crossed
over seeds (:mod:`medtl.evaluation.crossed`), with Holm's correction (Scandinavian Journal of Statistics 1979); a single arm claims nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from medtl import registry
from medtl.contracts import TEST, VALIDATION, Task
from medtl.document.table import Table
from medtl.errors import did_you_mean
from medtl.estimates import number
from medtl.evaluation.crossed import Repeated, holm, interval, p_value
from medtl.evaluation.drawn import AUROC, Answers
from medtl.evaluation.folds import each_fold, figures_of, mean_auroc, out_of_fold, pooled
from medtl.evaluation.intervals import Interval
from medtl.experiment.schema import Experiment
from medtl.registry import Mistake
from medtl.study import each_finding
from medtl.study.reading import Claim, Reading
from medtl.study.trials import DONE

TIMED = False
NO_INTERVAL = "The spread between folds is no confidence interval, for they share most of their training images."


class Settings(registry.Settings):
    name: Literal["folds"] = "folds"
    reference: str | None = None
    """The arm that the others are held against; default: the first."""

    def unfit(self, arms: list[str]) -> list[Mistake]:
        """What does not go with the study's arms."""
        if self.reference is None or self.reference in arms:
            return []
        sentence = f"is no arm{did_you_mean(self.reference, arms)}; there are: {', '.join(arms)}"
        return [Mistake(("reference",), self.reference, sentence)]

    def unsuited(self, experiment: Experiment) -> str:
        """Why trials of this experiment cannot be read so; empty where they can."""
        return "" if experiment.split.fits else "reading: folds reads cross-validations; set split.folds, such as `set: [split.folds=5]`"


@dataclass(frozen=True)
class Cell:
    """One arm with one fraction of the labels, all seeds."""

    arm: str
    name: str
    """The arm, with the fraction where there are several."""
    fraction: float
    folds: pd.DataFrame
    """A row per seed and fold."""
    pooled: Mapping[str, Repeated]
    mean: Repeated
    """AUROC, the mean over folds."""
    told: Sequence[Answers]
    """Of each seed, all folds together."""


def read(settings: Settings, trials: pd.DataFrame, judged: Mapping[str, pd.DataFrame], curves: pd.DataFrame, task: Task) -> Reading:
    """The contract of `medtl.study.readings`. An arm and fraction of which a seed is missing is left out, and said."""
    cells, missing = [], []
    for (arm, fraction), own in trials.groupby(["arm", "fraction"], sort=False):
        several = f", {100 * fraction:g} % of the labels" if trials["fraction"].nunique() > 1 else ""
        name = f"{arm}{several}"
        if (own["state"] == DONE).all() and set(own["seed"]) == set(trials["seed"]):
            cells.append(_cell(str(arm), name, float(fraction), own.sort_values("seed"), judged, curves, task))
        else:
            missing.append(f"{name} is left out: a seed is missing or failed.")
    arms = list(dict.fromkeys(trials["arm"]))
    claims = list(_claims(settings.reference or arms[0], cells, trials))
    notes = [*missing, *each_finding.notes([each for cell in cells for each in cell.told]), *_notes(cells, trials)]
    each = each_finding.table({cell.name: cell.told for cell in cells}, "AUROC of each finding, all folds pooled")
    tables = [_table_of_means(cells, task), *each, _table_of_folds(cells, task)]
    return Reading("what do the folds say?", claims, tables, notes, pd.DataFrame())


def _cell(
    arm: str, name: str, fraction: float, own: pd.DataFrame, judged: Mapping[str, pd.DataFrame], curves: pd.DataFrame, task: Task
) -> Cell:
    tables = [judged[trial] for trial in own["trial"]]
    tested = [table[table["split"] == TEST] for table in tables]
    intervals = [Interval(low, high) for low, high in zip(own["auroc_low"], own["auroc_high"], strict=True)]
    folds = []
    for trial, seed, table, test in zip(own["trial"], own["seed"], tables, tested, strict=True):
        chosen = table[table["split"] == VALIDATION].groupby("fold").size().rename(int)
        best = _best_epochs(curves[curves["trial"] == trial])
        found = each_fold(test, task)
        folds.append(found.assign(seed=seed, validation=found["fold"].map(chosen), best_epoch=found["fold"].map(best)))
    together = out_of_fold(tested, task)
    figures, mean = pooled(together, task, intervals), mean_auroc(tested, task, intervals)
    return Cell(arm, name, fraction, pd.concat(folds, ignore_index=True), figures, mean, together)


def _best_epochs(curves: pd.DataFrame) -> dict[int, float]:
    """Fold -> the epoch with the best validation score, the first of equals; none for a probe."""
    epochs = curves.dropna(subset="epoch")
    return {int(str(fold)): own.loc[own["score"].idxmax(), "epoch"] for fold, own in epochs.groupby("fold")}


def _claims(reference: str, cells: Sequence[Cell], trials: pd.DataFrame) -> Iterator[Claim]:
    """Every other arm against the reference, with the largest fraction."""
    largest = {cell.arm: cell for cell in cells if cell.fraction == trials["fraction"].max()}
    others = [arm for arm in dict.fromkeys(trials["arm"]) if arm != reference]
    there = [arm for arm in others if arm in largest and reference in largest]
    gaps = {arm: largest[arm].pooled[AUROC].less(largest[reference].pooled[AUROC]) for arm in there}
    corrected = dict(zip(there, holm([p_value(gap) for gap in gaps.values()]), strict=True))
    for arm in others:
        what = f"{arm} against {reference}"
        if arm not in there:
            yield Claim(what, False, "trials are missing")
            continue
        (low, high), value, p = interval(gaps[arm]), gaps[arm].mean, corrected[arm]
        after = " after Holm's correction" if len(there) > 1 else ""
        text = f"{value:+.3f} pooled AUROC ({low:+.3f} to {high:+.3f}; p {number(p)}{after})"
        lucky = trials["seed"].nunique() < 2 and bool(trials.loc[trials["arm"].isin([arm, reference]), "luck"].astype(bool).any())
        why = "; one seed tells nothing about training luck" if lucky else ""
        yield Claim(what, p < 0.05 and not lucky, text + why, {"value": value, "low": low, "high": high, "p": p})


def _table_of_means(cells: Sequence[Cell], task: Task) -> Table:
    """A row per arm and figure: what averaging over folds gives, and what pooling gives."""
    raw = []
    for cell in cells:
        by_fold = cell.folds.groupby("fold")[list(figures_of(task))].mean()
        for name in figures_of(task):
            (low, high), own = interval(cell.pooled[name]), by_fold[name].dropna()
            row = {"arm": cell.arm, "fraction": cell.fraction, "figure": name, "mean": own.mean(), "sd": own.std()}
            row |= {"lowest": own.min(), "highest": own.max(), "pooled": cell.pooled[name].mean}
            row |= {"pooled_low": max(0.0, low), "pooled_high": min(1.0, high)}
            gap = interval(cell.mean.less(cell.pooled[AUROC])) if name == AUROC else Interval(np.nan, np.nan)
            raw.append(
                {**row, "name": cell.name, "mean_less_pooled": row["mean"] - row["pooled"], "gap_low": gap.low, "gap_high": gap.high}
            )
    frame = pd.DataFrame(raw)
    rows = [
        [
            row.name if row.figure == AUROC else "",
            row.figure,
            number(row.mean),
            f"{row.sd:.3f}",
            f"{number(row.lowest)} to {number(row.highest)}",
            f"{number(row.pooled)} ({number(row.pooled_low)} to {number(row.pooled_high)})",
            f"{row.mean_less_pooled:+.3f}" + (f" ({row.gap_low:+.3f} to {row.gap_high:+.3f})" if row.figure == AUROC else ""),
        ]
        for row in frame.itertuples(index=False)
    ]
    header = ["arm", "figure", "mean over folds", "SD between folds", "range of folds", "pooled (95 %)", "mean less pooled"]
    note = f"{NO_INTERVAL} Pooled: after each fold's own calibration and threshold."
    return Table("folds", "Averages over folds, and all folds pooled", header, rows, frame.drop(columns="name", errors="ignore"), note)


def _table_of_folds(cells: Sequence[Cell], task: Task) -> Table:
    """A row per arm and fold, the mean over seeds; the CSV has every seed."""
    raw = pd.concat([cell.folds.assign(arm=cell.arm, fraction=cell.fraction) for cell in cells]) if cells else pd.DataFrame()
    rarest = "rarest finding" if task.kind == "multi" else "rarest class"
    of = task.names[task.positive_index] if task.positive_index is not None else rarest
    epochs = bool(len(raw)) and bool(raw["best_epoch"].notna().any())
    rows = []
    for cell in cells:
        for place, (fold, own) in enumerate(cell.folds.groupby("fold")):
            counts, best = own.iloc[0], sorted({int(epoch) for epoch in own["best_epoch"].dropna()})
            sizes = [f"{counts[name]:,.0f}" for name in ("images", "groups", "cases", "validation")]
            figures = [number(value) if np.isfinite(value) else "n/a" for value in own[list(figures_of(task))].mean()]
            stopped = [", ".join(map(str, best))] if epochs else []
            rows.append([cell.name if place == 0 else "", str(int(str(fold)) + 1), *sizes, *stopped, *figures])
    header = ["arm", "fold", "images", "groups", of, "validation", *(["best epoch"] if epochs else []), *figures_of(task)]
    note = "Validation: images of other folds, not trained on, that stop, calibrate and choose the threshold. Figures: means over seeds."
    return Table("each-fold", "Every fold by itself", header, rows, raw, note)


def _unranked(folds: pd.DataFrame) -> list[tuple[int, str]]:
    """Folds, and the findings that they cannot rank; nothing of one class per image."""
    some = folds[folds["unranked"] != ""] if "unranked" in folds else folds.head(0)
    return [(int(fold), str(names)) for fold, names in some[["fold", "unranked"]].to_numpy()] if len(some) else []


def _notes(cells: Sequence[Cell], trials: pd.DataFrame) -> Iterator[str]:
    if trials["seed"].nunique() < 3 and trials["luck"].fillna(False).astype(bool).any():
        yield "Fewer than 3 seeds: intervals know little of training luck."
    for fold, findings in dict.fromkeys(each for cell in cells for each in _unranked(cell.folds)):
        yield f"Fold {fold + 1}: {findings} left out of its AUROC, for all its images of which it is known have it, or none has."
    for cell in cells:
        gap = cell.mean.less(cell.pooled[AUROC])
        low, high = interval(gap)
        if low > 0 or high < 0:
            far = f"{gap.mean:+.3f} ({low:+.3f} to {high:+.3f})"
            yield (
                f"{cell.name}: the mean of the folds' AUROCs lies {far} from the pooled one, more than chance. Pooling also compares "
                "images of different folds, whose probabilities are not on one scale: too few validation images to calibrate each fold by, "
                "or folds of unlike images. Each fold ranks as it says, but one threshold does not serve all."
            )
