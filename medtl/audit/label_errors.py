"""Labels that are probably wrong: images whose out-of-fold probabilities contradict their label too clearly for chance.

Confident learning (Northcutt, Jiang & Chuang, Journal of Artificial Intelligence Research 2021; 70: 1373-1411) as cleanlab has it:
how many labels of each kind are wrong is estimated from the probabilities themselves, and the least plausible ones are named.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.findings import Finding
from medtl.audit.joined import groups_of, keys_of
from medtl.audit.telling import FEW_GROUPS, auroc_by_group
from medtl.contracts import EXCLUDED, Task
from medtl.estimates import interval, number, percent
from medtl.evaluation.intervals import of_mean
from medtl.predictions import PLAIN, probabilities
from medtl.records import KEY


def label_errors(records: pd.DataFrame, task: Task, predictions: pd.DataFrame) -> list[Finding]:
    """LABELS_NOT_TOLD where the predictions are no better than chance (then nothing can be said of single labels), else
    PROBABLE_LABEL_ERRORS, the least plausible labels first; nothing where all labels are plausible.

    Arguments:
        predictions: of images that the predicting model had not learned from; several rows of an image are averaged.
    """
    rows, p = _with_probabilities(records, task, predictions)
    names = [name for name in task.names if rows.loc[rows["label"] == name, "group"].nunique() >= FEW_GROUPS]
    judged = rows["label"].isin(names).to_numpy()
    if len(names) < 2:
        return []
    rows, p = rows[judged].reset_index(drop=True), p[judged][:, [task.names.index(name) for name in names]]
    p = np.clip(p, 1e-9, None) / np.clip(p, 1e-9, None).sum(axis=1, keepdims=True)
    truth = np.asarray(rows["label"].map(names.index), dtype=np.int64)
    each = [auroc_by_group(p[:, k], truth == k, rows["group"].to_numpy()) for k in range(1 if len(names) == 2 else 0, len(names))]
    value, around = float(np.mean([one for one, _ in each])), of_mean([one for one, _ in each], [two for _, two in each])
    figure = f"AUROC {number(value)} ({interval({'low': around.low, 'high': around.high})})"
    if around.low <= 0.5:
        return [
            Finding(
                "LABELS_NOT_TOLD",
                "notable",
                f"The labels cannot be told from the pictures so far: {figure}, chance is 0.5",
                "Labels may be shuffled or joined to the wrong images: look at some of each class. Else the task is hard, or the images "
                "are few; with a better network this may change. Single labels cannot be doubted on this ground.",
            )
        ]
    return _errors(rows, p, truth, names, figure)


def _with_probabilities(records: pd.DataFrame, task: Task, predictions: pd.DataFrame) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """The labelled rows in use that were predicted, with `group`, and their (n, K) probabilities."""
    own = predictions
    if "view" in own.columns and (own["view"] == PLAIN).any():
        own = own[own["view"] == PLAIN]
    columns = [f"p_{name}" for name in task.names]
    mean = pd.DataFrame(probabilities(own[columns]), columns=columns).groupby([own[name].to_numpy() for name in KEY]).mean()
    rows = records.reset_index(drop=True)
    rows = rows.assign(group=groups_of(rows))
    p = mean.reindex(pd.MultiIndex.from_frame(rows[KEY])).to_numpy(np.float64)
    used = (rows["label"] != "").to_numpy() & (rows["split"] != EXCLUDED).to_numpy() & np.isfinite(p).all(axis=1)
    return rows[used].reset_index(drop=True), p[used]


def _errors(rows: pd.DataFrame, p: NDArray[np.float64], truth: NDArray[np.int64], names: list[str], figure: str) -> list[Finding]:
    from cleanlab.filter import find_label_issues

    wrong = np.asarray(find_label_issues(truth, p, filter_by="both", n_jobs=1), dtype=bool)
    if not wrong.any():
        return []
    given, rather = p[np.arange(len(truth)), truth], p.argmax(axis=1)
    order = np.flatnonzero(wrong)[np.argsort(given[wrong] - p[wrong].max(axis=1), kind="stable")]
    table = pd.DataFrame(
        {
            "image": rows["image"].to_numpy()[order], "frame": rows["frame"].to_numpy()[order], "label": rows["label"].to_numpy()[order],
            "its probability": given[order].round(4), "rather": np.array(names)[rather[order]],
            "that probability": p[order, rather[order]].round(4), "split": rows["split"].to_numpy()[order],
        }
    )  # fmt: skip
    count = len(order)
    return [
        Finding(
            "PROBABLE_LABEL_ERRORS",
            "notable",
            f"{count:,} of {len(truth):,} labels ({percent(count / len(truth))}) are contradicted by what other images taught ({figure})",
            "Some are wrong, others are hard cases: let a second reader look at them, worst first, without showing the model's answer. "
            "Do not drop them unseen: a test without its hard cases flatters every model.",
            table,
            images=keys_of(rows.iloc[order]),
        )
    ]
