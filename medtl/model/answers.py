"""From the members' raw logits to the rows of a predictions table. Torch-free numpy.

One arithmetic, for one member and for many: each member's logits minus its prior shift → log-softmax → mean of the members'
probabilities → logarithm → calibration → probabilities → the stored rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, logsumexp

from medtl.contracts import Task
from medtl.decisions.calibration import Calibration
from medtl.decisions.threshold import decide
from medtl.predictions import LEADING, NO_ANSWER, PLAIN, TRAILING, columns

Floats = NDArray[np.float64]


def ensemble_logits(logits: ArrayLike, prior_shift: ArrayLike) -> Floats:
    """Members' raw logits (M, N, K) → log of their mean probability (N, K), the input of calibration.

    `prior_shift`: (K,) for all members, or (M, K).
    """
    members = np.asarray(logits, np.float64)
    shift = np.broadcast_to(np.asarray(prior_shift, np.float64), (members.shape[0], members.shape[2]))
    single = log_softmax(members - shift[:, None, :], axis=2)
    mean: Floats = logsumexp(single, axis=0) - np.log(members.shape[0])
    return mean


def reported_logits(logits: ArrayLike, prior_shift: ArrayLike) -> Floats:
    """What stands in `logit_<class>`: the raw logits of a single member, the log of the mean probability of an ensemble; (N, K)."""
    members = np.asarray(logits, np.float64)
    return members[0] if len(members) == 1 else ensemble_logits(members, prior_shift)


def answer_table(
    keys: pd.DataFrame,
    logits: ArrayLike,
    reasons: Sequence[str],
    *,
    task: Task,
    prior_shift: ArrayLike,
    calibration: Calibration,
    threshold: float | None,
    adjusted: Sequence[float] | None = None,
) -> pd.DataFrame:
    """A predictions table, one row per row of `keys`, in its order.

    `keys` holds `image` and `frame` and any of the leading columns (truth, split …; absent = empty). `logits`: (M, N, K); rows whose
    `reasons` entry is not empty were not read: they get no answer, and their logits are not looked at. `threshold`, `adjusted`: see
    :func:`medtl.decisions.threshold.decide`.
    """
    read = np.asarray([not reason for reason in reasons], bool)
    answered = np.asarray(logits, np.float64)[:, read]
    probabilities = calibration.apply(ensemble_logits(answered, prior_shift))
    chosen = decide(probabilities, task.positive_index, threshold, adjusted)
    table = pd.DataFrame({column: _leading(keys, column) for column in LEADING})
    names = np.asarray(task.names, object)
    for prefix, values in (("logit_", reported_logits(answered, prior_shift)), ("p_", probabilities)):
        for k, name in enumerate(task.names):
            table[f"{prefix}{name}"] = _spread(values[:, k], read)
    predicted = np.full(len(read), "", object)
    predicted[read] = names[chosen]
    table[TRAILING[0]] = predicted
    table[TRAILING[1]] = np.where(read, predicted, NO_ANSWER).astype(object)
    table[TRAILING[2]] = list(reasons)
    return table[columns(task.names)]


def _leading(keys: pd.DataFrame, column: str) -> Any:
    default = {"view": PLAIN, "frame": 0}.get(column, "")
    return keys[column].to_numpy() if column in keys.columns else np.full(len(keys), default, object)


def _spread(values: Floats, read: NDArray[np.bool_]) -> Floats:
    """Values of the rows that were read, NaN in the others."""
    spread = np.full(len(read), np.nan)
    spread[read] = values
    return spread
