"""What can be read from features: a linear probe of each column, cross-fitted by group, before and after training (docs/stress.md).

Linear probes: Alain & Bengio (ICLR workshop 2017); of sex, age and site in the features of image classifiers: Glocker et al. (eBioMedicine
2023; 89: 104467). That features tell sex does not say that answers use it; that they tell it *better* after training than before says
that training had a use for it, or for what goes with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.estimates import estimate as words_of
from medtl.estimates import number
from medtl.evaluation.cases import Cases
from medtl.evaluation.contrast import contrast
from medtl.evaluation.influence import Linear, figures
from medtl.evaluation.stressed import area_estimate

FEWEST = 10
"""Groups that must hold a value, and groups that must not, for it to be asked for."""
PARTS = 5
COMPONENTS = 64
STRENGTH = 0.1
"""C of scikit-learn: the inverse of the probe's penalty, on components whose first has unit variance."""


@dataclass(frozen=True)
class Column:
    """What is asked of the features, of N images."""

    name: str
    values: NDArray[np.int64]
    """(N,) 0 … K-1, -1 where unknown, or where too few groups have the value."""
    names: Sequence[str]
    reason: str = ""


def columns_of(records: pd.DataFrame, names: Sequence[str]) -> list[Column]:
    """What these columns ask; numbers (age) above or not above their median. A column of one value is left out."""
    found = [_column(name, records[name].fillna("").astype(str), records["group_id"]) for name in names]
    return [column for column in found if column is not None]


def _column(name: str, cells: pd.Series, groups: pd.Series) -> Column | None:
    known = cells[cells != ""]
    numbers = pd.to_numeric(known, errors="coerce")
    if len(known) and numbers.notna().all() and known.nunique() > 2:
        middle = float(numbers.median())
        name = f"{name} above {middle:g}"
        known = numbers.gt(middle).map({True: "above", False: "not above"})
    if known.nunique() < 2:
        return None
    held = groups[known.index].groupby(known).nunique().sort_index()
    others = {value: groups[known[known != value].index].nunique() for value in held.index}
    enough = [str(value) for value in held.index if min(held[value], others[value]) >= FEWEST]
    if len(enough) < 2:
        few = f"fewer than {FEWEST} groups on a side"
        return Column(name, np.full(len(cells), -1, np.int64), [str(value) for value in held.index], few)
    place = {value: index for index, value in enumerate(enough)}
    positions = known.reindex(cells.index).map(place).fillna(-1)
    return Column(name, np.asarray(positions, np.int64), enough)


def probed(
    columns: Sequence[Column], after: NDArray[np.floating[Any]], before: NDArray[np.floating[Any]] | None, groups: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Of each column what its probe reaches, as JSON: `column, values, images, groups`, the estimates `after` and `before`, and their
    `difference` (paired by group; above 0: the training made it easier to read); `reason` where a column could not be asked for.

    after, before: (N, D) features of the same images by the network as trained, and by the weights it started from; None where those are
    not at hand. groups: (N,).
    """
    return [_probed(column, after, before, groups) for column in columns]


def _probed(
    column: Column, after: NDArray[np.floating[Any]], before: NDArray[np.floating[Any]] | None, groups: NDArray[np.int64]
) -> dict[str, Any]:
    known = column.values >= 0
    found: dict[str, Any] = {"column": column.name, "values": list(column.names)}
    found |= {"images": int(known.sum()), "groups": int(np.unique(groups[known]).size), "reason": column.reason}
    if column.reason:
        return found
    own = probe(column, after, groups)
    found["after"] = area_estimate(own)
    if before is not None:
        first = probe(column, before, groups)
        gap = contrast(own, first)
        found |= {"before": area_estimate(first), "difference": {"value": gap.value, "low": gap.low, "high": gap.high}}
    return found


def probe(column: Column, features: NDArray[np.floating[Any]], groups: NDArray[np.int64]) -> Linear:
    """The AUROC of a probe's answers, each by one that has not seen the image's group; of several values the mean of one against rest.

    features: (N, D), finite. groups: (N,). Standardised, then the first 64 principal components of the images learned from, then a
    penalised logistic regression; five parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    known = column.values >= 0
    x, y, own = np.asarray(features[known], np.float64), column.values[known], np.unique(groups[known], return_inverse=True)[1]
    answers = np.zeros((len(y), len(column.names)))
    for learned, asked in StratifiedGroupKFold(PARTS, shuffle=True, random_state=0).split(x, y, own):
        answers[asked] = _fitted(x[learned], y[learned], x[asked], len(column.names))
    positive = 1 if len(column.names) == 2 else None
    cases = Cases(tuple(column.names), positive, y, answers.argmax(axis=1), answers, own, len(y), int(own.max()) + 1)
    return figures(cases)["auroc"]


def _fitted(x: NDArray[np.float64], y: NDArray[np.int64], asked: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """(N, K) probabilities of the images `asked`."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    centre, spread = x.mean(axis=0), x.std(axis=0)
    used = spread > 0
    components = PCA(min(COMPONENTS, int(used.sum()), len(x) - 1), random_state=0, svd_solver="randomized")
    inside = components.fit_transform((x[:, used] - centre[used]) / spread[used])
    scale = inside[:, 0].std()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ConvergenceWarning: a probe that is not quite at its minimum answers all the same
        regression = LogisticRegression(C=STRENGTH, max_iter=500).fit(inside / scale, y)
    answers = np.full((len(asked), classes), 1e-6)
    answers[:, regression.classes_] = regression.predict_proba(components.transform((asked[:, used] - centre[used]) / spread[used]) / scale)
    return np.asarray(answers / answers.sum(axis=1, keepdims=True), np.float64)


def sentence(found: dict[str, Any]) -> str:
    """`The model's features tell sex with an AUROC of 0.790 (0.741 to 0.832); before the training it was 0.740: …`, or why not."""
    if found["reason"]:
        return f"{found['column']}: not asked for, {found['reason']}."
    after = found["after"]
    begun = f"The model's features tell {found['column']} with an AUROC of {words_of(after)}"
    if after["low"] is None or after["low"] <= 0.5:
        begun = f"That the model's features tell {found['column']} is not shown: AUROC {words_of(after)}"
    if "before" not in found:
        return f"{begun}."
    gap = found["difference"]
    moved = f"{gap['value']:+.3f} ({gap['low']:+.3f} to {gap['high']:+.3f})"
    return f"{begun}; before the training it was {number(found['before']['value'])}: {moved}."
