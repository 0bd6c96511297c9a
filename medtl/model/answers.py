"""From the members' raw logits to the rows of a predictions table. Torch-free numpy.

One arithmetic, for one member and for many: each member's logits minus its prior shift → log-softmax → mean of the members'
probabilities → logarithm → calibration → probabilities → the stored rule. Of several findings per image the same with each by itself: the
mean of the members' sigmoids → its log-odds → calibration and threshold of the finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_expit, log_softmax, logsumexp

from medtl.contracts import Task, Threshold
from medtl.decisions.conformal import Sets
from medtl.decisions.methods import Calibrated
from medtl.decisions.per_class import decide_each
from medtl.decisions.precedence import Reasons
from medtl.decisions.threshold import decide
from medtl.findings import words
from medtl.predictions import LEADING, NO_ANSWER, PLAIN, TRAILING, UNKNOWN, UNSURE, columns

Floats = NDArray[np.float64]


def ensemble_logits(logits: ArrayLike, prior_shift: ArrayLike, kind: str = "single") -> Floats:
    """Members' raw logits (M, N, K) → log of their mean probability (N, K), the input of calibration; of `multi` its log-odds.

    `prior_shift`: (K,) for all members, or (M, K).
    """
    members = np.asarray(logits, np.float64)
    shift = np.broadcast_to(np.asarray(prior_shift, np.float64), (members.shape[0], members.shape[2]))
    shifted = members - shift[:, None, :]
    if kind == "multi":
        odds: Floats = logsumexp(log_expit(shifted), axis=0) - logsumexp(log_expit(-shifted), axis=0)
        return odds
    single = log_softmax(shifted, axis=2)
    mean: Floats = logsumexp(single, axis=0) - np.log(members.shape[0])
    return mean


def reported_logits(logits: ArrayLike, prior_shift: ArrayLike, kind: str = "single") -> Floats:
    """What stands in `logit_<class>`: the raw logits of a single member, :func:`ensemble_logits` of an ensemble; (N, K)."""
    members = np.asarray(logits, np.float64)
    return members[0] if len(members) == 1 else ensemble_logits(members, prior_shift, kind)


def answer_table(
    keys: pd.DataFrame,
    logits: ArrayLike,
    reasons: Reasons | Sequence[str],
    *,
    task: Task,
    prior_shift: ArrayLike,
    calibration: Calibrated,
    threshold: Threshold | None,
    adjusted: Sequence[float] | None = None,
    conformal: Sets | None = None,
) -> pd.DataFrame:
    """A predictions table, one row per row of `keys`, in its order.

    `keys` holds `image` and `frame` and any of the leading columns (truth, split …; absent = empty). `logits`: (M, N, K); those of rows
    with a reason to be unreadable are not looked at. `reasons`: alone, why images could not be read. `threshold`, `adjusted`: see
    :func:`medtl.decisions.threshold.decide`; of several findings per image, a threshold for each. `conformal`: an image whose set is not
    just what it is called is unsure.
    """
    against = reasons if isinstance(reasons, Reasons) else Reasons.unread(reasons)
    read = np.asarray([not reason for reason in against.unreadable], bool)
    answered = np.asarray(logits, np.float64)[:, read]
    together = task.kind == "multi"
    probabilities = calibration.apply(ensemble_logits(answered, prior_shift, task.kind))
    table = pd.DataFrame({column: _leading(keys, column) for column in ((*LEADING, UNKNOWN) if together else LEADING)})
    for prefix, values in (("logit_", reported_logits(answered, prior_shift, task.kind)), ("p_", probabilities)):
        for k, name in enumerate(task.names):
            table[f"{prefix}{name}"] = _spread(values[:, k], read)
    predicted = np.full(len(read), "", object)
    called = _called(probabilities, task, threshold, adjusted)
    predicted[read] = words(called, task.names) if together else np.asarray(task.names, object)[called]
    if conformal is not None:
        unsure = np.full(len(read), "", object)
        unsure[read] = [each and f"{each} [{UNSURE}]" for each in conformal.unsure(probabilities, task.names, called)]
        against = replace(against, unsure=unsure.tolist())
    first = np.asarray(against.first(), object)
    table[TRAILING[0]] = predicted
    table[TRAILING[1]] = np.where(first == "", predicted, NO_ANSWER).astype(object)
    table[TRAILING[2]] = first
    return table[columns(task.names, together)]


def _called(probabilities: Floats, task: Task, threshold: Threshold | None, adjusted: Sequence[float] | None) -> NDArray[Any]:
    """(N,) class positions, or (N, K) which findings are there."""
    if isinstance(threshold, tuple):
        return decide_each(probabilities, threshold)
    return decide(probabilities, task.positive_index, threshold, adjusted)


def _leading(keys: pd.DataFrame, column: str) -> Any:
    default = {"view": PLAIN, "frame": 0}.get(column, "")
    return keys[column].to_numpy() if column in keys.columns else np.full(len(keys), default, object)


def _spread(values: Floats, read: NDArray[np.bool_]) -> Floats:
    """Values of the rows that were read, NaN in the others."""
    spread = np.full(len(read), np.nan)
    spread[read] = values
    return spread
