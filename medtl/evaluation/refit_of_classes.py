"""Several classes answered anew where the model is used: by its own rule, from probabilities re-calibrated there, cross-fitted by group.

There is no threshold to move: the class of the largest log-probability is answered, perhaps less a share of log(its frequency)
(:func:`medtl.decisions.threshold.decide`). So what other patients choose are the intercepts of
:mod:`medtl.evaluation.recalibration_of_classes` and, where the rule asks for them, the frequencies.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from medtl.evaluation import refit
from medtl.evaluation.cases import UNREAD, Cases
from medtl.evaluation.recalibration import METHODS
from medtl.evaluation.recalibration_of_classes import fit_cases
from medtl.evaluation.refit import FOLDS, Floats, Ints, apart, dealt, part_of, too_few

Decide = Callable[[Floats, Floats], Ints]
"""(M, K) probabilities of images that say how frequent each class is, and (N, K) of those asked → (N,) classes by the package's rule."""


def refit_answers(cases: Cases, decide: Decide, unit: str = "group", folds: int = FOLDS, seed: int = 0) -> dict[str, Any]:
    """`folds`, and `before`, `after`, `difference` of accuracy, balanced accuracy (the mean recall) and macro-F1, `after` cross-fitted; or
    `{"reason"}`. `unit`: what the groups are."""
    few = too_few(cases, unit)
    if few:
        return {"reason": few}
    found = cross_answered(cases, dealt(cases, folds, seed), decide)
    return {"reason": found} if isinstance(found, str) else {"folds": folds, **refit.compared(cases, found)}


def cross_answered(cases: Cases, part: Ints, decide: Decide) -> Cases | str:
    """The same images, each answered with what the other parts fit; or why they are not. Probabilities stay."""
    called = np.full(len(cases.truth), UNREAD, dtype=np.int64)
    for held, others in apart(part, cases.groups):
        found = answered(part_of(cases, others), part_of(cases, held), decide)
        if isinstance(found, str):
            return found
        called[held] = found.predicted
    return dataclasses.replace(cases, predicted=called)


def answered(learned: Cases, asked: Cases, decide: Decide) -> Cases | str:
    """`asked`, answered from probabilities whose intercepts `learned` fits; probabilities stay, unread images stay unread."""
    line = fit_cases(learned, METHODS[0])
    if isinstance(line, str):
        return line
    chosen = decide(line.apply(learned.probabilities[learned.read]), line.apply(asked.probabilities))
    return dataclasses.replace(asked, predicted=np.where(asked.read, chosen, UNREAD).astype(np.int64))
