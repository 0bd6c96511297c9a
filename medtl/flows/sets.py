"""Conformal sets of a single model, fitted on the images of `split.held_out`, which taught and chose nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.decisions import conformal
from medtl.decisions.precedence import Reasons
from medtl.experiment.schema import Experiment
from medtl.flows.rule import Rule
from medtl.model.answers import ensemble_logits
from medtl.training.fit import targets_of


def with_sets(
    rule: Rule, held: pd.DataFrame, logits: NDArray[np.floating], against: Reasons, prior_shift: Sequence[float], experiment: Experiment
) -> Rule:
    """The rule with sets, where `decision.conformal` asks for them.

    `held`: records of held-out images; `logits`: (M, N, K). Sets are asked for only where nothing else speaks against an answer, so
    they are fitted on such images: then their promise holds among them.
    """
    settings = experiment.decision.conformal
    if settings is None:
        return rule
    asked = np.array([not reason for reason in against.first()], bool)
    probabilities = rule.calibration.apply(ensemble_logits(logits[:, asked], prior_shift))
    own = held[asked]
    return replace(rule, conformal=conformal.fit(probabilities, targets_of(own, experiment.task), own["group_id"], settings.alpha))
