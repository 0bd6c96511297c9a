"""Sums per group (patient): every figure that is not a rank follows from them, for the table itself and for each resample of its groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation import agreement, confusion, decomposition, probability
from medtl.evaluation.cases import Cases

Floats = NDArray[np.float64]


def per_group(cases: Cases) -> dict[str, Floats]:
    """Per group (G, …): confusion `cells` and `silent` (unread) per true class, `brier` and `log_loss` (images read, terms and their
    products), `gaps` of calibration, `bins` of the Brier score's decomposition."""
    classes, read = len(cases.classes), cases.read
    cell = np.where(cases.predicted < 0, classes * classes + cases.truth, cases.truth * classes + cases.predicted)
    cells = np.zeros((cases.numbered, classes * classes + classes))
    np.add.at(cells, (cases.groups, cell), 1)
    truth, p, groups = cases.truth[read], cases.probabilities[read], cases.groups[read]
    gaps = np.zeros((cases.numbered, probability.BINS))
    np.add.at(gaps, groups, probability.calibration_gaps(truth, p))
    return {
        "cells": cells[:, : classes * classes],
        "silent": cells[:, classes * classes :],
        "brier": _terms(probability.brier_terms(truth, p, cases.positive), groups, cases.numbered),
        "log_loss": _terms(probability.log_loss_terms(truth, p), groups, cases.numbered),
        "gaps": gaps,
        "bins": decomposition.binned(truth, p, groups, cases.numbered, cases.positive).reshape(cases.numbered, -1),
    }


def _terms(values: Floats, groups: NDArray[np.int64], number: int) -> Floats:
    """(G, 5) n, x, n², n x, x² of each group, as :func:`mean_and_error` takes them."""
    images = np.bincount(groups, minlength=number).astype(np.float64)
    sums = np.bincount(groups, weights=values, minlength=number)
    return np.column_stack([images, sums, images**2, images * sums, sums**2])


def mean_and_error(sums: Floats) -> tuple[Floats, Floats]:
    """A mean over images and its standard error between groups, out of sums over groups (…, 5) of n, x, n², n x, x².

    n: images of a group, x: their values' sum. The error is the linearised ratio estimator's, √Σ (x - mean n)² / Σ n.
    """
    images, total, squared_images, product, squared = np.moveaxis(sums, -1, 0)
    mean = total / images
    return mean, np.sqrt(np.maximum(squared - 2 * mean * product + mean**2 * squared_images, 0)) / images


def own_error(cases: Cases, name: str) -> float:
    """The standard error of the table's own `brier` score or `log_loss`."""
    return float(mean_and_error(per_group(cases)[name].sum(axis=0))[1])


def figures(sums: dict[str, Floats], whole: dict[str, Floats], positive: int | None) -> dict[str, Floats]:
    """Weighted sums (R, …) of :func:`per_group`, and the table's own (…) → each figure, (R,) or (R, K); see `resampling.Resampled`."""
    classes = sums["silent"].shape[-1]
    table, unread = sums["cells"].reshape(-1, classes, classes), sums["silent"]
    support = table.sum(axis=-1) + unread
    images = np.where(sums["brier"][:, 0] > 0, sums["brier"][:, 0], np.nan)
    f1s, precisions = confusion.f1(table, unread), confusion.precision(table)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "recalls": confusion.recall(table, unread),
            "precisions": precisions,
            "f1s": f1s,
            "supports": support,
            "weighted_precision": agreement.by_support(precisions, support),
            "weighted_f1": agreement.by_support(f1s, support),
            "mcc": agreement.mcc(table, unread),
            "kappa": agreement.kappa(table, unread),
            **_mean("brier", sums, whole),
            **_mean("log_loss", sums, whole),
            "ece": probability.calibration_error(sums["gaps"], images),
            "ece_noise": probability.calibration_error(sums["gaps"] - whole["gaps"], images),
            **_brier_parts(sums, whole, table.sum(axis=-1) / images[:, None], positive),
        }


def _mean(name: str, sums: dict[str, Floats], whole: dict[str, Floats]) -> dict[str, Floats]:
    """A mean and its t: the distance from the table's own in its own standard errors, infinite where all groups drawn are alike."""
    mean, error = mean_and_error(sums[name])
    own, _ = mean_and_error(whole[name])
    return {name: mean, f"{name}_t": np.where(mean == own, 0.0, (mean - own) / error)}


def _brier_parts(sums: dict[str, Floats], whole: dict[str, Floats], shares: Floats, positive: int | None) -> dict[str, Floats]:
    """Reliability, resolution and uncertainty; `shares` (R, K) of the classes among the images read."""
    images, gaps = _of_bins(sums["bins"])
    own_images, own_gaps = _of_bins(whole["bins"])
    expected = images * np.where(own_images > 0, own_gaps / own_images, 0)
    judged = shares if shares.shape[-1] > 2 else shares[:, [1 if positive is None else positive]]
    reliability, uncertainty = decomposition.reliability(images, gaps), decomposition.uncertainty(judged)
    return {
        "brier_reliability": reliability,
        "reliability_noise": decomposition.reliability(images, gaps - expected),
        "brier_resolution": reliability + uncertainty - mean_and_error(sums["brier"])[0],
        "brier_uncertainty": uncertainty,
    }


def _of_bins(flat: Floats) -> tuple[Floats, Floats]:
    """(…, J · BINS · 2) → images and summed gaps, (…, J, BINS) each."""
    cells = flat.reshape(*flat.shape[:-1], -1, decomposition.BINS, 2)
    return cells[..., 0], cells[..., 1]
