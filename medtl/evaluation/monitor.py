"""The one number that training watches on validation. Higher is always better."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_expit, log_softmax

from medtl.errors import MedtlError, did_you_mean
from medtl.evaluation import confusion, ranking

NAMES = ("auroc", "auprc", "macro-f1", "balanced-accuracy", "loss")


def score(name: str, truth: ArrayLike, logits: ArrayLike, positive: int | None = None) -> float:
    """`truth` (N,) positions, `logits` (N, K) → the monitored number.

    `auroc`, `auprc`: of the positive class (default: the second) for two classes, else the mean over classes; `macro-f1`,
    `balanced-accuracy`: of the most probable class (the threshold is chosen later), over classes with images; `loss`: minus
    the mean negative log-likelihood. Several findings per image (`truth` (N, K): 1, 0, NaN = unknown): the mean over findings, each as a
    task of two classes, absent and present, where `macro-f1` is the F1 of presence. Logits that are not finite (training diverged)
    score -inf. Raises :class:`MedtlError` for an unknown name, no rows, or a ranking of one class only.
    """
    if name not in NAMES:
        raise MedtlError(f"monitor: '{name}' is unknown{did_you_mean(name, NAMES)}; there are: {', '.join(NAMES)}")
    if np.ndim(truth) == 2:
        return _of_findings(name, np.asarray(truth, dtype=np.float64), np.asarray(logits, dtype=np.float64))
    true, given = np.asarray(truth, dtype=np.int64), np.asarray(logits, dtype=np.float64)
    if given.ndim != 2 or true.shape != given.shape[:1] or not len(true):
        raise MedtlError(
            f"monitor: truth of shape {true.shape} and logits of shape {given.shape}; expected (images,) and (images, classes), not empty"
        )
    if not np.isfinite(given).all():
        return -float("inf")
    log_p = log_softmax(given, axis=1)
    if name == "loss":
        return float(log_p[np.arange(len(true)), true].mean())
    if name in ("macro-f1", "balanced-accuracy"):
        table, unread = confusion.confusion(true, np.argmax(given, axis=1), given.shape[1])
        return float(confusion.macro(confusion.f1(table, unread) if name == "macro-f1" else confusion.recall(table, unread)))
    if given.shape[1] == 2:  # the log-odds do not saturate as probabilities do
        ranked = np.stack([given[:, 0] - given[:, 1], given[:, 1] - given[:, 0]], axis=1)
    else:
        ranked = np.exp(log_p)
    value = (ranking.auroc if name == "auroc" else ranking.auprc)(true, ranked, positive)
    if np.isnan(value):
        raise MedtlError(
            f"monitor: {name} needs validation images of at least two classes; all {len(true)} are of one. Or set `transfer.monitor: loss`"
        )
    return value


def _of_findings(name: str, truth: NDArray[np.float64], logits: NDArray[np.float64]) -> float:
    """The mean over the findings of which both sides are known; `loss` over all that is known, as training counts it."""
    if truth.shape != logits.shape or not np.isfinite(truth).any():
        raise MedtlError(
            f"monitor: truth of shape {truth.shape} and logits of shape {logits.shape}; expected (images, findings) twice, some truth known"
        )
    if not np.isfinite(logits).all():
        return -float("inf")
    if name == "loss":
        return float(log_expit(np.where(truth == 1, logits, -logits))[np.isfinite(truth)].mean())
    scores = []
    for present, z in zip(truth.T, logits.T, strict=True):
        known = np.isfinite(present)
        sides = np.stack([-z, z], axis=1)[known] / 2  # the softmax of these is the sigmoid of z
        if len(np.unique(present[known])) == 2:
            scores.append(_f1_of_presence(present[known], z[known]) if name == "macro-f1" else score(name, present[known], sides, 1))
    if not scores:
        raise MedtlError(f"monitor: {name} needs validation images with and without a finding. Or set `transfer.monitor: loss`")
    return float(np.mean(scores))


def _f1_of_presence(present: NDArray[np.float64], logits: NDArray[np.float64]) -> float:
    table, unread = confusion.confusion(present, logits > 0, 2)
    return float(confusion.f1(table, unread)[1])
