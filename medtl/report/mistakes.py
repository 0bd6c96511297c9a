"""The worst errors: images that the model called wrong with the largest probability. Looking at them is how shortcuts are found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from medtl.contracts import Task
from medtl.document.picture import Key, picture_of
from medtl.document.table import Table
from medtl.estimates import number
from medtl.findings import from_words, without
from medtl.predictions import PLAIN, classes_of, of_findings, probabilities, true_findings
from medtl.report.contents import Contents

MOST = 12
SURE = 0.9


@dataclass(frozen=True)
class Mistake:
    """One image that was called something else than it is."""

    image: str
    frame: int
    truth: str
    predicted: str
    probability: float
    """Of the predicted class, as stored: calibrated."""
    of_truth: float
    domain: str

    @property
    def key(self) -> Key:
        return self.image, self.frame


def wrong(predictions: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of `split` that were read and called wrong, the most confident first, with `p_predicted` and `p_truth`.

    Where an image may have several findings, a row for each of them that was called wrong.
    """
    rows = predictions[(predictions["view"] == PLAIN) & (predictions["split"] == split) & (predictions["truth"] != "")]
    own = rows[rows["member"] == ""]
    rows = own if len(own) else rows
    if of_findings(rows):
        told = _wrong_findings(rows[rows["predicted"] != ""])
        return told.sort_values(["p_predicted", "image", "frame"], ascending=[False, True, True], kind="stable")
    rows = rows[(rows["predicted"] != "") & (rows["predicted"] != rows["truth"])]
    p, place = probabilities(rows), {name: index for index, name in enumerate(classes_of(rows))}
    told = rows.assign(**{f"p_{side}": p[range(len(rows)), rows[side].map(place).to_numpy(int)] for side in ("predicted", "truth")})
    return told.sort_values(["p_predicted", "image", "frame"], ascending=[False, True, True], kind="stable")


def _wrong_findings(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per image and finding that was called wrong: `truth` and `predicted` are `edema` and `no edema`, or the other way round."""
    classes = classes_of(rows)
    truth = true_findings(rows)
    called = from_words(rows["predicted"].tolist(), [""] * len(rows), classes)
    p = probabilities(rows)
    found = [rows.iloc[:0].assign(p_predicted=0.0, p_truth=0.0)]
    for k, name in enumerate(classes):
        amiss = np.isfinite(truth[:, k]) & (truth[:, k] != called[:, k])
        present = truth[amiss, k] == 1
        own, of_truth = rows[amiss], np.where(present, p[amiss, k], 1 - p[amiss, k])
        sides = [np.where(side, name, without(name)) for side in (present, ~present)]
        found.append(own.assign(truth=sides[0], predicted=sides[1], p_predicted=1 - of_truth, p_truth=of_truth))
    return pd.concat(found)


def worst(predictions: pd.DataFrame, task: Task, split: str, most: int = MOST) -> dict[str, list[Mistake]]:
    """Under a heading each: of two classes the missed and the false alarms, `most / 2` of each kind; of several classes the `most` worst.

    An image that several folds' models judged stands there once.
    """
    rows = wrong(predictions, split).drop_duplicates(["image", "frame"])
    if task.kind == "multi":
        present = rows["truth"].isin(task.names)
        return {"Missed findings": _listed(rows[present].head(most // 2)), "False alarms": _listed(rows[~present].head(most // 2))}
    if task.positive_index is None:
        return {"Called something else": _listed(rows.head(most))}
    ill = task.names[task.positive_index]
    missed = rows[rows["truth"] == ill]
    return {f"Missed {ill}": _listed(missed.head(most // 2)), "False alarms": _listed(rows[rows["truth"] != ill].head(most // 2))}


def _listed(rows: pd.DataFrame) -> list[Mistake]:
    names = ["image", "frame", "truth", "predicted", "p_predicted", "p_truth", "domain"]
    return [Mistake(*values) for values in rows[names].astype(object).to_numpy().tolist()]


def mistakes_table(contents: Contents) -> Table:
    """All that is shown as pictures, as a CSV."""
    shown = [each for group in worst(contents.predictions, contents.task, contents.split).values() for each in group]
    columns = ["image", "frame", "domain", "truth", "predicted", "probability", "probability_of_truth", "reading"]
    raw = pd.DataFrame(
        [
            [e.image, e.frame, e.domain, e.truth, e.predicted, e.probability, e.of_truth, picture_of(contents.pictures, e.key).reading]
            for e in shown
        ],
        columns=columns,
    )
    rows = [[e.image, str(e.frame), e.truth, e.predicted, number(e.probability)] for e in shown]
    return Table("worst_errors", "Worst errors", ["image", "frame", "truth", "predicted", "probability"], rows, raw, prose=True)
