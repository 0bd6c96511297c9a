"""How good an adapted model may be on a target without labels: scores that choose between candidates, and can all be wrong.

Each is a function of what a model says of unlabelled target images (and of labelled source validation); none is an estimate of an AUROC.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
HIGHER_IS_BETTER = {"source-validation": True, "entropy": False, "neighbourhood-density": True, "dev": False}
"""Of each score that `adaptation.choose` may name."""
_AT_ONCE = 512
COLLAPSED = 0.01
"""A class that a model gives to fewer of the target's images, and source-only to five times as many, has been lost."""


def entropy(p: ArrayLike) -> float:
    """The mean entropy, in nats, of probabilities (N, K); lower is surer. A model that says one class of everything is the surest."""
    given = np.clip(np.asarray(p, np.float64), 1e-12, 1.0)
    return float(-(given * np.log(given)).sum(axis=1).mean())


def neighbourhood_density(p: ArrayLike, temperature: float = 0.05) -> float:
    """Soft neighbourhood density (Saito et al., ICCV 2021) of probabilities (N, K), in nats; higher is better.

    The similarity of each image to all others (cosine of their probabilities, over `temperature`) as a distribution, its entropy, and the
    mean over images: high where images lie in dense groups. At most log(N - 1), which a model reaches that says the same of everything.
    """
    given = np.asarray(p, np.float64)
    if len(given) < 2:
        raise ValueError(f"{len(given)} images have no neighbours; at least 2 are needed")
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    found = []
    for start in range(0, len(unit), _AT_ONCE):
        near = unit[start : start + _AT_ONCE] @ unit.T / temperature
        near[np.arange(len(near)), start + np.arange(len(near))] = -np.inf
        near = np.exp(near - near.max(axis=1, keepdims=True))
        share = near / near.sum(axis=1, keepdims=True)
        found.append(-(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1))
    return float(np.concatenate(found).mean())


def density_ratio(source: ArrayLike, target: ArrayLike, asked: ArrayLike, seed: int = 0) -> Floats:
    """(M,) density of target over source at features `asked` (M, D), by a logistic regression that tells (A, D) of both apart.

    Features are standardised; the penalty is chosen by cross-validation, so that many features do not make two halves of one domain differ.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    first, second = np.asarray(source, np.float64), np.asarray(target, np.float64)
    folds = min(3, len(first), len(second))
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    penalties = {"logisticregression__C": (1e-4, 1e-3, 1e-2, 1e-1)}
    told = GridSearchCV(plain, penalties, cv=StratifiedKFold(folds, shuffle=True, random_state=seed), scoring="neg_log_loss")
    told.fit(np.concatenate([first, second]), np.repeat([0, 1], [len(first), len(second)]))
    p = np.clip(told.predict_proba(np.asarray(asked, np.float64))[:, 1], 1e-6, 1 - 1e-6)
    ratio: Floats = p / (1 - p) * len(first) / len(second)
    return ratio


def dev(losses: ArrayLike, ratio: ArrayLike) -> float:
    """Deep embedded validation (You et al., ICML 2019): the target's risk by importance weighting, with a control variate; lower is better.

    losses (M,) of labelled source validation images, ratio (M,) their density of target over source. Where the domains hardly overlap, a
    few images carry the whole estimate.
    """
    loss, weight = np.asarray(losses, np.float64), np.asarray(ratio, np.float64)
    weighted = loss * weight
    spread = weight.var()
    control = -float(np.mean((weighted - weighted.mean()) * (weight - weight.mean())) / spread) if spread > 0 else 0.0
    return float(weighted.mean() + control * weight.mean() - control)


def best(scores: Mapping[str, Mapping[str, float | None]], by: str) -> str:
    """The candidate with the best score, the first on a tie. `scores`: candidate -> score -> value, each known."""
    sign = 1 if HIGHER_IS_BETTER[by] else -1
    return max(scores, key=lambda name: sign * (scores[name][by] or 0.0))


def lost_classes(adapted: ArrayLike, source_only: ArrayLike) -> list[int]:
    """Classes that the adapted model has lost on the target, by both models' probabilities (N, K): a veto, whatever else speaks for it."""
    shares = []
    for p in (adapted, source_only):
        given = np.asarray(p, np.float64)
        shares.append(np.bincount(given.argmax(axis=1), minlength=given.shape[1]) / len(given))
    return [int(k) for k in np.flatnonzero((shares[0] < COLLAPSED) & (shares[1] >= 5 * COLLAPSED))]
