"""Everything that is said of a target without its labels, and one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.shift import label_shift
from medtl.shift.accuracy import Answers, Estimate, KnownShift, guessed
from medtl.shift.columns import ColumnsCompared, ColumnShift, coded, compare
from medtl.shift.directions import Direction, directions
from medtl.shift.distances import FOLDS, Probe, apart, gaussian, median_distance, mmds, probed
from medtl.shift.draws import DRAWS, FEW, Draws, null_and_observed, p_value
from medtl.shift.measured import property_named
from medtl.shift.prevalence import Labelled, Shares, estimated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEVEL = 0.05
"""Chance of an alarm between two random halves of one hospital, all signs together."""
NO_ALARM = "no alarm: not proof of safety"
SAID = 5
"""Properties that a verdict names."""
MOST_ROWS = 2000
"""Images of either side: more would cost memory and tell no more."""


@dataclass(frozen=True)
class Sample:
    """Images of one place. Row for row; whatever is None is not known of them."""

    groups: Ints
    """(N,) patients."""
    columns: pd.DataFrame
    """(N rows) what was measured."""
    features: Floats | None = None
    """(N, d) finite, in the same coordinates on both sides, fitted on neither side alone."""
    probabilities: Floats | None = None
    """(N, K) calibrated."""
    predicted: Ints | None = None
    """(N,) positions of the given answers."""
    truth: Ints | None = None
    """(N,) positions of the true classes; of the source alone."""

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def patients(self) -> int:
        return int(np.unique(self.groups).size)

    def part(self, rows: NDArray[np.bool_] | Ints) -> Sample:
        """Some of its images."""
        columns = self.columns.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows].reset_index(drop=True)
        predicted, truth = (None if one is None else one[rows] for one in (self.predicted, self.truth))
        features, probabilities = (None if one is None else one[rows] for one in (self.features, self.probabilities))
        return Sample(self.groups[rows], columns, features, probabilities, predicted, truth)

    def at_most(self, images: int, seed: int) -> Sample:
        """Whole patients at random, about so many images."""
        if len(self) <= images:
            return self
        _, place = np.unique(self.groups, return_inverse=True)
        order = np.random.default_rng(seed).permutation(int(place.max()) + 1)
        sizes = np.bincount(place)[order]
        return self.part(np.isin(place, order[: max(FEW, int(np.searchsorted(np.cumsum(sizes), images)))]))

    def with_features(self, features: Floats) -> Sample:
        return replace(self, features=features)


@dataclass(frozen=True)
class Sign:
    """One way in which target and source may differ, held against halves of the source."""

    name: str
    words: str
    value: float
    null: Floats
    """(D,) of the halves."""
    p: float

    @property
    def null_high(self) -> float:
        """Of 95 of 100 halves it is at most this."""
        return float(np.quantile(self.null, 0.95))


@dataclass(frozen=True)
class Shift:
    """What was found between a source and a target."""

    source_patients: int
    target_patients: int
    compared: tuple[int, int]
    """Patients of each comparison: near, far."""
    signs: Sequence[Sign]
    columns: Sequence[ColumnShift] = ()
    directions: Sequence[Direction] = ()
    probe: Probe | None = None
    check: label_shift.Check | None = None
    """Only where truth and answers are known."""
    shares: Sequence[Shares] = ()
    """Empty where the check does not pass."""
    accuracy: Sequence[Estimate] = ()
    classes: Sequence[str] = ()
    far_off: float | None = None
    """Squared MMD of the features by the source's own width, as of the known shifts; that of the signs is by the width of both places."""

    @property
    def alarms(self) -> list[Sign]:
        """Those that halves of the source show in fewer than 1 of 20 draws, over all signs together (Bonferroni), clearest first."""
        found = [sign for sign in self.signs if sign.p * len(self.signs) <= LEVEL]
        return sorted(found, key=lambda sign: sign.p)

    @property
    def only_shares(self) -> bool:
        """An alarm that another share of the classes explains, as far as can be seen."""
        return bool(self.alarms) and self.check is not None and self.check.passes

    @property
    def verdict(self) -> str:
        """`alarm: brightness … differ`, or :data:`NO_ALARM`."""
        return f"alarm: {'; '.join(sign.words for sign in self.alarms)}" if self.alarms else NO_ALARM


def examine(source: Sample, target: Sample, classes: Sequence[str] = (), known: Sequence[KnownShift] = (), names: Sequence[str] = (),
            draws: int = DRAWS, seed: int = 0) -> Shift | None:  # fmt: skip
    """Hold the target against the source. None where either side has too few patients (:data:`medtl.shift.draws.FEW`) to say anything.

    classes: names of the K classes. known: shifts on which the guesses of the accuracy were tried. names: of the d features.
    """
    source, target = source.at_most(MOST_ROWS, seed), target.at_most(MOST_ROWS, seed)
    drawn = null_and_observed(source.groups, target.groups, draws, seed)
    if drawn is None:
        return None
    null, observed = drawn
    measured = compare(source.columns, target.columns, null, observed)
    signs, probe, kernel, far_off = [], None, None, np.inf
    if measured is not None:
        signs.append(_of_columns("measured", "what was measured of the images", measured))
    if source.features is not None and target.features is not None:
        rows = np.vstack([source.features, target.features])
        kernel = gaussian(rows, median_distance(rows))
        probe_sign, probe = _of_probe(rows, null, observed, seed)
        mmd_sign = _of_mmd(kernel, null, observed)
        far_off = apart(source.features, target.features)
        signs += [probe_sign, mmd_sign]
    answered = _answers(source, classes), _answers(target, classes)
    answers = compare(*answered, null, observed) if len(answered[0].columns) else None
    if answers is not None:
        signs.append(_of_columns("answers", "how the model answers", answers))
    check, shares = _prevalence(source, target, kernel, answered, draws, seed)
    return Shift(
        source.patients, target.patients, (null.near.shape[1], null.far.shape[1]), signs, measured.columns if measured else (),
        _directions(source, target, answered, names), probe, check, shares, _accuracy(source, target, known, far_off), tuple(classes),
        far_off if np.isfinite(far_off) else None,
    )  # fmt: skip


def _of_columns(name: str, words: str, found: ColumnsCompared) -> Sign:
    out = list(dict.fromkeys(property_named(column.name) for column in found.columns if column.stands_out))
    said = f"{words} ({', '.join(out[:SAID])}" + (f" and {len(out) - SAID} more)" if len(out) > SAID else ")") if out else words
    return Sign(name, said, found.largest, found.null, found.p)


def _of_probe(rows: Floats, null: Draws, observed: Draws, seed: int) -> tuple[Sign, Probe]:
    """The AUROC decides, for it is finer than the error."""
    rng = np.random.default_rng(seed)

    def each(draws: Draws) -> list[Probe]:
        a, b = draws.near.shape[1], draws.far.shape[1]
        far, folds = np.arange(a + b) >= a, np.r_[np.arange(a) % FOLDS, np.arange(b) % FOLDS]
        return [probed(rows[np.r_[near, there]], far, np.r_[rng.permutation(folds[:a]), rng.permutation(folds[a:])])
                for near, there in zip(draws.near, draws.far, strict=True)]  # fmt: skip

    halves, ours = np.array([one.auroc for one in each(null)]), each(observed)
    probe = Probe(float(np.median([one.auroc for one in ours])), float(np.median([one.error for one in ours])))
    words = f"a probe tells the features apart (AUROC {probe.auroc:.2f}, proxy A-distance {probe.a_distance:.2f})"
    return Sign("probe", words, probe.auroc, halves, p_value(halves, probe.auroc)), probe


def _of_mmd(kernel: Floats, null: Draws, observed: Draws) -> Sign:
    halves, value = mmds(kernel, null.near, null.far), float(np.median(mmds(kernel, observed.near, observed.far)))
    return Sign("mmd", f"the features are distributed otherwise (squared MMD {value:.3f})", value, halves, p_value(halves, value))


def _answers(sample: Sample, classes: Sequence[str]) -> pd.DataFrame:
    """The probabilities as columns, of two classes the second's."""
    if sample.probabilities is None:
        return pd.DataFrame(index=range(len(sample)))
    own = range(1, 2) if len(classes) == 2 else range(len(classes))
    return pd.DataFrame({f"p({classes[k]})": sample.probabilities[:, k].round(9) for k in own})


def _labelled(sample: Sample) -> Labelled | None:
    if sample.predicted is None or sample.probabilities is None:
        return None
    unknown = np.full(len(sample), -1, np.int64)
    return Labelled(sample.groups, sample.predicted, sample.probabilities, unknown if sample.truth is None else sample.truth)


def _prevalence(source: Sample, target: Sample, kernel: Floats | None, answered: tuple[pd.DataFrame, pd.DataFrame], draws: int,
                seed: int) -> tuple[label_shift.Check | None, list[Shares]]:  # fmt: skip
    ours, theirs = _labelled(source), _labelled(target)
    if ours is None or theirs is None or source.truth is None:
        return None, []
    shares = estimated(ours, theirs, seed)
    if not shares:
        return label_shift.Check(None, 0, "the answers tell the classes too little, or a class is missing at the source"), []
    tables = [_pooled(*answered), _pooled(source.columns, target.columns)]
    columns = [[coded(table[name]) for name in table.columns] for table in tables]
    check = label_shift.check(ours, theirs, kernel, [own for own in columns if own], shares[0].value, draws, seed)
    return check, shares if check.passes else []


def _accuracy(source: Sample, target: Sample, known: Sequence[KnownShift], far_off: float) -> list[Estimate]:
    if source.truth is None:
        return []
    ours, theirs = _labelled(source), _labelled(target)
    if ours is None or theirs is None:
        return []
    both = [Answers(side.probabilities, side.predicted, side.truth) for side in (ours, theirs)]
    return guessed(both[0], both[1], known, far_off)


def _directions(source: Sample, target: Sample, answered: tuple[pd.DataFrame, pd.DataFrame], names: Sequence[str]) -> list[Direction]:
    if source.features is None or target.features is None:
        return []
    rows = np.vstack([source.features, target.features])
    columns = pd.concat([_pooled(source.columns, target.columns), _pooled(*answered)], axis=1)
    named = list(names) or [f"feature {k + 1}" for k in range(rows.shape[1])]
    return directions(rows, np.arange(len(rows)) >= len(source), columns, named)


def _pooled(source: pd.DataFrame, target: pd.DataFrame) -> pd.DataFrame:
    """The columns that both have, the source's rows first."""
    shared = [name for name in source.columns if name in target.columns]
    return pd.concat([source[shared], target[shared]], ignore_index=True)
