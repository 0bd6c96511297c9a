"""From cohorts and measurements to records: every group falls into one split by a seeded hash, never by its labels.

The hash is of the group's id before the installation's key, so that a split is the same on every machine, and each group
falls by itself, so that it stays where it is when other rows come or go. Labels have no part in it: permuting those of the test
split changes nothing. What chance does to rare classes is told (:func:`check_classes`), not bent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from medtl import findings, records
from medtl.cohorts.chance import draw
from medtl.cohorts.findings import one_sided
from medtl.cohorts.fractions import draw_fraction, shuffle_labels
from medtl.cohorts.given_splits import take_column, take_run
from medtl.cohorts.grouping import add_groups
from medtl.cohorts.joining import Plan
from medtl.cohorts.settings import SplitSettings
from medtl.contracts import CALIBRATION, EXCLUDED, EXTERNAL, TEST, TRAIN, VALIDATION, Task
from medtl.errors import MedtlError, Mistakes, listed
from medtl.records import KEY


def make_records(table: pd.DataFrame, measurements: pd.DataFrame, experiment: Plan, root: Path, as_given: bool = False) -> pd.DataFrame:
    """The records table of a run, sorted by (image, frame).

    `table`: of :func:`medtl.cohorts.joining.read_cohorts`. `measurements`: a row for every (image, frame) of it. Images in
    quarantine, without a label, or named by `split.exclude` stay, in the split `excluded`. With `folds`, `fold` is set and `split`
    is empty until :func:`fold_records`, unless `split.fold` says which one; groups of `held_out` stand in the split `calibration`, and
    in no fold. Raises :class:`Mistakes` where a group stands in two given splits or a class is absent from a split; `as_given`, for
    audits, lets both be.
    """
    settings = experiment.split
    grouped = _with_groups(table, measurements, settings.by)
    usable = _usable(grouped, [cohort.domain for cohort in experiment.cohorts if cohort.labels == "hidden"])
    chance = grouped["group_unit"].map(lambda unit: draw(settings.seed, unit))
    grouped["fold"], grouped["split"] = "", EXCLUDED
    if settings.folds is not None:
        grouped.loc[usable, "split"] = ""
        grouped.loc[usable, "fold"] = (chance[usable] * settings.folds).astype(int).astype(str)
    else:
        grouped.loc[usable, "split"] = _splits(grouped[usable], chance[usable], settings, root, as_given)
    if settings.held_out is not None and settings.folds is not None:
        held = usable & (grouped["group_unit"].map(lambda unit: draw(settings.seed, f"held out:{unit}")) < settings.held_out)
        grouped.loc[held, ["split", "fold"]] = CALIBRATION, ""
    made = _finished(grouped, experiment)
    if as_given:
        return made
    if settings.labels == "shuffled":
        made = shuffle_labels(made, settings.seed)
    if settings.folds is None:
        made = draw_fraction(made, settings, experiment.seed)
        check_classes(made, experiment.task, settings)
    if settings.held_out is not None:
        check_held_out(made, experiment.task, settings)
    if settings.fold is not None:
        made = fold_records(made, settings.fold, settings, experiment.seed)
        check_classes(made, experiment.task, settings)
    for fold in range(settings.fits or 0):
        check_classes(fold_records(made, fold, settings, experiment.seed), experiment.task, settings)
    return made


def external_records(table: pd.DataFrame, measurements: pd.DataFrame, experiment: Plan) -> pd.DataFrame:
    """Records of outside data: everything usable is `external`, nothing is split."""
    grouped = _with_groups(table, measurements, experiment.split.by)
    usable = _usable(grouped)
    grouped["fold"], grouped["split"] = "", EXCLUDED
    grouped.loc[usable, "split"] = EXTERNAL
    return _finished(grouped, experiment)


def fold_records(made: pd.DataFrame, fold: int, settings: SplitSettings, seed: int = 0) -> pd.DataFrame:
    """The records of one fold's run: `test` is that fold; out of the rest, `validation` falls by a second hash, group by group.

    The second hash is of the smallest sha256 among the group's files: records hold nothing else that is the same on every machine.
    With `split.fraction`, `seed` (of training) draws what of both is used.
    """
    made = made.copy()
    inside = made["fold"] != ""
    digest = made[inside].groupby("group_id")["sha256"].min()
    chance = made["group_id"].map(digest.map(lambda unit: draw(settings.seed, f"validation of fold {fold}:{unit}")))
    made.loc[inside, "split"] = TRAIN
    made.loc[inside & (chance < settings.validation), "split"] = VALIDATION
    made.loc[inside & (made["fold"] == str(fold)), "split"] = TEST
    return draw_fraction(made, settings, seed)


def _with_groups(table: pd.DataFrame, measurements: pd.DataFrame, by: str) -> pd.DataFrame:
    """Cohort rows with their measurements, grouped; header facts fill kept columns that the cohort's own table leaves empty."""
    joined = table.merge(measurements, on=KEY, how="left", suffixes=("", "_measured"), validate="one_to_one")
    joined = joined.fillna({"sha256": "", "pixel_hash": ""})
    unmeasured = joined[joined["quarantine"].isna()]
    if len(unmeasured):
        raise MedtlError(f"{len(unmeasured):,} images have not been measured: {listed(unmeasured['image'])}")
    return add_groups(joined, by)


def _usable(grouped: pd.DataFrame, hidden: Sequence[str] = ()) -> pd.Series[bool]:
    """(N,) readable, labelled (or of a domain whose labels are `hidden`) and not left out by `split.exclude`."""
    usable = (grouped["quarantine"] == "") & ((grouped["label"] != "") | grouped["domain"].isin(hidden))
    return usable & ~grouped["left_out"].astype(bool) if "left_out" in grouped.columns else usable


def _splits(rows: pd.DataFrame, chance: pd.Series[float], settings: SplitSettings, root: Path, as_given: bool) -> pd.Series[str]:
    """(N,) the split of each usable row; what is held out comes out of train, so that the other parts are the same without it."""
    if settings.column is not None:
        return _held_out_of_train(take_column(rows, chance, settings, as_given), chance, settings.validation, settings)
    judged = settings.test + settings.validation
    fallen = pd.Series(TRAIN, index=rows.index)
    fallen[chance < judged] = VALIDATION
    fallen[chance < settings.test] = TEST
    split = take_run(rows, fallen, root / settings.from_run) if settings.from_run is not None else fallen
    return split if (split == CALIBRATION).any() else _held_out_of_train(split, chance, judged, settings)


def _held_out_of_train(split: pd.Series[str], chance: pd.Series[float], start: float, settings: SplitSettings) -> pd.Series[str]:
    """(N,) splits in which the groups of train whose draw falls into the next `held_out` from `start` on are the calibration part."""
    held = (split == TRAIN) & (chance >= start) & (chance < start + (settings.held_out or 0.0))
    return split.mask(held, CALIBRATION)


def _finished(grouped: pd.DataFrame, experiment: Plan) -> pd.DataFrame:
    for column in experiment.keep:
        measured = grouped.get(f"{column}_measured")
        if column not in grouped.columns:
            grouped[column] = ""
        elif measured is not None:
            grouped[column] = grouped[column].where(grouped[column] != "", measured.fillna(""))
    spelled = [records.SPELLING] if records.SPELLING in grouped else []
    made = grouped[[*records.COLUMNS, *findings.columns_of(grouped), *spelled, *experiment.keep]].sort_values(KEY).reset_index(drop=True)
    for column in experiment.keep:
        made[column] = made[column].fillna("").astype(str)
    return made


def check_classes(made: pd.DataFrame, task: Task, settings: SplitSettings) -> None:
    """Refuse records in which a class is absent from train, from validation, or (one split only) from a test split that exists.

    Of several findings per image, each must also be known to be absent somewhere in each of them.
    """
    needed = [TRAIN, VALIDATION]
    if settings.folds is None and (settings.test > 0 if settings.column is None else (made["split"] == TEST).any()):
        needed.append(TEST)
    counts = _counts(made, task)
    mistakes = []
    if task.kind == "multi":
        mistakes = [mistake for split in needed for mistake in one_sided(made[made["split"] == split], task, split)]
    for split, name in product(needed, task.names if task.kind == "single" else ()):
        if not counts[name, split]:
            groups = made.loc[(made["label"] == name) & (made["split"] != EXCLUDED), "group_id"].nunique()
            there = listed(f"{other} {counts[name, other]:,}" for other in needed)
            mistakes.append(f"the class '{name}' is absent from {split} ({there}; {groups:,} groups have it)")
    if mistakes:
        raise Mistakes("the split cannot be used; take another split.seed, a larger share, or split: {folds: k}:", mistakes)


FEWEST_HELD_OUT = 10
"""Groups of every class that must be held out: with fewer, its recall beyond any threshold has an interval of half the scale, and a
threshold chosen by them is chance (as `audit.label_health.FEW_TO_JUDGE`)."""


def check_held_out(made: pd.DataFrame, task: Task, settings: SplitSettings) -> None:
    """Refuse records whose held-out part is too small to calibrate by; of several findings per image, each with and each without it."""
    held = made[made["split"] == CALIBRATION]
    found = {name: held.loc[side, "group_id"].nunique() for name, side in findings.sides(held, task).items()}
    mistakes = [f"{groups:,} groups of '{name}'" for name, groups in found.items() if groups < FEWEST_HELD_OUT]
    if mistakes:
        without = "" if settings.folds is None else " (the ensemble is then called unverified)"
        raise Mistakes(
            f"split.held_out keeps fewer than {FEWEST_HELD_OUT} groups {_too_few_for(task)}; "
            f"take a larger share, or leave it out{without}:",
            mistakes,
        )


def _too_few_for(task: Task) -> str:
    """Of more than two classes there is no threshold."""
    if task.kind == "multi":
        return "with or without a finding, too few to choose its threshold by"
    return f"of a class, too few to {'calibrate' if task.positive_index is None else 'choose a threshold'} by"


def split_notes(made: pd.DataFrame, task: Task) -> list[str]:
    """What a reader of the split should know: groups that several ids share, and classes whose share in a split is far from overall."""
    ids = made[made["patient_id"] != ""].groupby("group_id")["patient_id"].nunique()
    tied = int((ids > 1).sum())
    notes = [f"{tied:,} groups hold several patient ids, tied by one picture, a shared id or split.groups"] if tied else []
    return [*notes, *_balance_notes(made, task)]


def _balance_notes(made: pd.DataFrame, task: Task) -> list[str]:
    """A note for each class whose share in a split is less than half or more than twice its share overall."""
    counts = _counts(made, task)
    notes = []
    for split, name in product((TRAIN, VALIDATION, CALIBRATION, TEST), task.names):
        total = _known(made, task, name)
        overall = sum(counts[name, other] for other in total) / max(1, sum(total.values()))
        share = counts[name, split] / max(1, total[split])
        if total[split] and overall and not 0.5 <= share / overall <= 2:
            notes.append(f"the class '{name}' is {share:.1%} of {split} but {overall:.1%} of all; another split.seed may be nearer")
    return notes


def _counts(made: pd.DataFrame, task: Task) -> Counter[tuple[str, str]]:
    """Images of each (class, split); an image of several findings counts for each."""
    if task.kind == "single":
        return Counter(zip(made["label"], made["split"], strict=True))
    present = [(name, made.loc[made[findings.PREFIX + name] == "1", "split"]) for name in task.names]
    return Counter((name, split) for name, splits in present for split in splits)


def _known(made: pd.DataFrame, task: Task, name: str) -> dict[str, int]:
    """Images per split (empty: in a fold) of which it is known whether they are of the class."""
    known = made["label"].isin(task.names) if task.kind == "single" else made[findings.PREFIX + name] != ""
    return {split: int((known & (made["split"] == split)).sum()) for split in ("", TRAIN, VALIDATION, CALIBRATION, TEST)}
