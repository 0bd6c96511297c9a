"""Which of the searched settings mattered: functional analysis of variance (fANOVA: Hutter, Hoos and Leyton-Brown, ICML 2014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medtl.study.space import Dimension

LEAST = 10
"""Finished trials: fewer tell one setting from another by chance."""


def importance(space: Sequence[Dimension], tried: Sequence[Mapping[str, Any]], scores: Sequence[float], seed: int = 0) -> dict[str, float]:
    """Each setting's share of the variance of the score over the space, together 1; empty where too few trials are finished or all are
    alike. `tried`: setting -> value, a mapping for each finished trial; `scores`: what each reached."""
    if len(scores) < LEAST or float(np.ptp(scores)) < 1e-9:
        return {}
    import optuna

    memory = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed))
    distributions = {each.key: each.distribution() for each in space}
    for values, score in zip(tried, scores, strict=True):
        params = {each.key: each.parameter(values[each.key]) for each in space}
        memory.add_trial(optuna.create_trial(value=score, params=params, distributions=distributions))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(memory, evaluator=evaluator)
    return {each.key: float(found[each.key]) for each in space}
