"""What adaptation trains: the source-only model and each method beside it, on one split, and which of them is released."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.adaptation import SOURCE_ONLY, MethodSettings
from medtl.adaptation.restyled import restyled
from medtl.contracts import TRAIN
from medtl.errors import MedtlError
from medtl.flows import run_folder
from medtl.flows.fitting import Training, fit_one
from medtl.flows.label_free import Candidate
from medtl.flows.release import decide
from medtl.flows.rule import refuse_too_few
from medtl.flows.run import CANDIDATES
from medtl.imaging.store import Store
from medtl.training.adapting import Adapting
from medtl.training.job import unwatched

FEWEST = 2
"""Training images of the target: a statistic of fewer has no spread."""


def fit_candidates(whole: Training) -> None:
    """`candidates/source-only/`, then `candidates/<method>/` for each, then `release.json`, and the released one as the run's own."""
    adaptation = whole.experiment.adaptation
    assert adaptation != "none"
    refuse_too_few(whole.rows, whole.experiment)
    target = target_positions(whole.rows, adaptation)
    candidates = whole.folder / CANDIDATES
    _fit(whole, SOURCE_ONLY, candidates, None, "trained on the source alone")
    trained = [Candidate(SOURCE_ONLY, whole.store)]
    for number, method in enumerate(adaptation.methods, start=1):
        said = f"method {number} of {len(adaptation.methods)}, to {len(target):,} images without labels"
        own = method.model_copy(update={"target": adaptation.target})
        adapting = Adapting(own, target, candidates / SOURCE_ONLY / "model") if method.weight else None
        store = _shown(whole, adapting)
        _fit(replace(whole, store=store, watch=unwatched), method.name, candidates, adapting, said)
        trained.append(Candidate(method.name, store, adapting is not None and adapting.kind != "inputs"))
    decide(whole, trained, target)


def _fit(whole: Training, name: str, candidates: Path, adapting: Adapting | None, said: str) -> None:
    """One candidate, unless an interrupted run had finished it."""
    place = candidates / name
    whole.line.keep(f"{name}: {said}")
    if not run_folder.finished(place):
        fit_one(replace(whole, folder=place, log=whole.log.beside(place / "log.jsonl"), adapting=adapting))


def _shown(whole: Training, adapting: Adapting | None) -> Store:
    """The store as the method shows it."""
    if adapting is None or adapting.kind != "inputs":
        return whole.store
    rows, target = whole.rows, adapting.settings.target
    assert target is not None
    source = np.flatnonzero((rows["split"] == TRAIN) & (rows["label"] != ""))
    others = (rows["domain"] == target.domain).to_numpy()
    return restyled(whole.store, adapting.settings, source, adapting.target, others, whole.experiment.seed)


def target_positions(rows: pd.DataFrame, adaptation: MethodSettings) -> NDArray[np.int64]:
    """Where the target's training images stand in records. Raises MedtlError where there are too few."""
    assert adaptation.target is not None
    domain = adaptation.target.domain
    found = np.flatnonzero((rows["split"] == TRAIN) & (rows["domain"] == domain)).astype(np.int64)
    if len(found) < FEWEST:
        raise MedtlError(
            f"adaptation.target.domain: '{domain}' has {len(found)} training images, and adapting needs {FEWEST} at least; "
            "look at split and at what was excluded"
        )
    return found
