"""The predictions table: one row per image and model. Metrics, report, notebooks and comparisons are functions of it.

Columns: `image, frame, domain, split, fold, member, view, group_id, truth`, then `logit_<class>` (raw, as the network gave them; of
an ensemble the log of its members' mean probability), `p_<class>` (calibrated, summing to 1), `predicted` (the stored rule),
`decision` (the predicted class, or `no answer`) and `reason`. `truth` is empty where unknown; `member` is empty for the package's
own answer and names the fold where a fold's model gave it; `view` is `plain` or a stress test's name. An image that could not
be read has empty logits and probabilities, `predicted` empty, `decision` `no answer` and its reason. One that was read but is not answered
(out of scope, unlike the training images, of poor quality, unsure) has `decision` `no answer` and its reason too, and keeps logits,
probabilities and `predicted`, so that all comers can be judged beside the answered.
Only of `medtl predict --prevalence`, `p_<class>` is for the prevalence that was asked for.

Where an image may have several findings, `truth`, `predicted` and `decision` name them joined by `|` (`none` = none of them), `unknown`
follows `truth` and names those of which the truth is not known, and each `p_<class>` is a probability by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import findings

NO_ANSWER = "no answer"
OUT_OF_SCOPE, UNLIKE_TRAINING, QUALITY, UNSURE = "OUT_OF_SCOPE", "UNLIKE_TRAINING", "QUALITY", "UNSURE"
"""Why an image that was read gets no answer, at the end of its `reason`: `… [QUALITY]`. See :mod:`medtl.decisions.precedence`."""
PLAIN = "plain"
LEADING = ["image", "frame", "domain", "split", "fold", "member", "view", "group_id", "truth"]
UNKNOWN = "unknown"
TRAILING = ["predicted", "decision", "reason"]


def columns(classes: Sequence[str], together: bool = False) -> list[str]:
    """All columns of a predictions table for these classes, in order; `together`: of several findings per image."""
    leading = [*LEADING, UNKNOWN] if together else LEADING
    return [*leading, *(f"logit_{name}" for name in classes), *(f"p_{name}" for name in classes), *TRAILING]


def classes_of(table: pd.DataFrame) -> list[str]:
    """The class names of a table, in the order of its logits."""
    return [column.removeprefix("p_") for column in table.columns if column.startswith("p_")]


def logits(table: pd.DataFrame) -> NDArray[np.float64]:
    """(N, K) raw logits; NaN rows for unread images."""
    return table[[f"logit_{name}" for name in classes_of(table)]].to_numpy(np.float64)


def probabilities(table: pd.DataFrame) -> NDArray[np.float64]:
    """(N, K) calibrated probabilities; NaN rows for unread images."""
    return table[[f"p_{name}" for name in classes_of(table)]].to_numpy(np.float64)


def of_findings(table: pd.DataFrame) -> bool:
    """Whether its images may have several findings."""
    return UNKNOWN in table.columns


def true_findings(table: pd.DataFrame) -> NDArray[np.float64]:
    """(N, K) 1 = present, 0 = absent, NaN = unknown."""
    return findings.from_words(table["truth"].tolist(), table[UNKNOWN].tolist(), classes_of(table))


def known_only_of(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The same table, of findings, with the truth of all but `names` unknown."""
    classes = classes_of(table)
    truth = np.where([name in names for name in classes], true_findings(table), np.nan)
    return table.assign(truth=findings.words(truth, classes), unknown=findings.unknown_words(truth, classes))


def true_positions(table: pd.DataFrame) -> NDArray[np.int64]:
    """(N,) the position of each image's one class; every truth must be known."""
    place = {name: k for k, name in enumerate(classes_of(table))}
    return np.array([place[name] for name in table["truth"]], dtype=np.int64)


def read(path: Path) -> pd.DataFrame:
    """Read a table as written by :func:`write`: numbers as float64, everything else strings (empty = unknown)."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    for column in table.columns:
        if column.startswith(("logit_", "p_")):
            table[column] = pd.to_numeric(table[column].replace("", np.nan))
    table["frame"] = table["frame"].astype(int)
    return table


def write(table: pd.DataFrame, path: Path) -> None:
    """Write with the documented column order; floats in full precision (repr), so that reading gives the same numbers."""
    known = columns(classes_of(table), of_findings(table))
    table.sort_values(["image", "frame", "member", "view"])[known].to_csv(path, index=False, encoding="utf-8", lineterminator="\n")
