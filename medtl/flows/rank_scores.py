"""The scores of every candidate on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.backbones.fitting import sentence
from medtl.batches import Part
from medtl.errors import MedtlError
from medtl.evaluation import monitor
from medtl.evaluation.paired import difference
from medtl.evaluation.summary import summarize
from medtl.experiment.schema import Experiment
from medtl.flows import rank_evidence as evidence
from medtl.flows.out_of_fold import out_of_fold
from medtl.flows.rank_candidates import Candidate, reference
from medtl.flows.rehearsal import Rehearsal
from medtl.imaging.store import Store
from medtl.ranking import kept
from medtl.ranking.advice import Figure
from medtl.ranking.distance import distance
from medtl.ranking.hscore import h_score
from medtl.ranking.kept import Scored
from medtl.ranking.knn import neighbours_votes
from medtl.ranking.leep import leep
from medtl.ranking.logme import logme
from medtl.terminal import Line

FEW_GROUPS = "fewer than two classes have five groups"
MEASURES = {"auroc": "auroc", "auprc": "auprc", "macro-f1": "macro_f1", "balanced-accuracy": "balanced_accuracy", "loss": "auroc"}
"""`transfer.monitor` → the figure that probe, neighbours and tuning are judged by."""


@dataclass(frozen=True)
class Images:
    """What every candidate is scored on: the training and validation images of one split, or some of them."""

    rows: pd.DataFrame
    """Records of all images, row for row as the store."""
    store: Store
    train: Part
    scored: Part
    groups: NDArray[np.int64]
    """(N,) of the scored images."""


def score_all(
    candidates: Sequence[Candidate], experiment: Experiment, images: Images, root: Path, line: Line
) -> tuple[list[Candidate], list[Scored], list[Rehearsal], list[tuple[str, str]]]:
    """Those that could be scored, the reference last, with scores and costs; and why others could not."""
    known: dict[str, Rehearsal] = {}
    usable: list[Candidate] = []
    scored: list[tuple[Scored, pd.DataFrame | None]] = []
    costs, missing = [], []
    last = reference(candidates[0] if candidates else Candidate("", experiment.backbone))
    for candidate in [*candidates, last]:
        line.show(f"{candidate.name}: weights …")
        if candidate is last and usable and usable[0] is not candidates[0]:
            candidate = reference(usable[0])  # the structure of weights that are not here may not be known either
        try:
            scored.append(_score(candidate, experiment, images, root, line, known))
        except MedtlError as refused:
            missing.append((candidate.name, str(refused).splitlines()[0].removesuffix(". Ways to bring them:")))
            continue
        usable.append(candidate)
        costs.append(known[scored[-1][0].network])
        line.keep(f"scored {candidate.name}: {scored[-1][0].weights}")
    if not usable:
        raise MedtlError("no candidate could be scored:\n" + "\n".join(f"  - {name}: {why}" for name, why in missing))
    return usable, _compared(scored, experiment), costs, missing


def _score(
    candidate: Candidate, experiment: Experiment, images: Images, root: Path, line: Line, known: dict[str, Rehearsal]
) -> tuple[Scored, pd.DataFrame | None]:
    """Everything that is measured of one candidate, and its probe's answers; costs are measured once per network, into `known`."""
    seen = evidence.seen_images(candidate, images.store)
    if seen:
        raise MedtlError(f"the model has learned from {seen:,} of these very images, which flatters every score")
    network = evidence.network_of(candidate, experiment, root)
    name = candidate.backbone.name
    features = evidence.features_of(network, images.store, images.scored.positions, line, candidate.name)
    line.show(f"{candidate.name}: scores …")
    answers, why_not = evidence.source_answers(candidate, features, root)
    layers = evidence.batch_norm_statistics(network, images.store, images.train.positions) if candidate.pretrained else []
    if name not in known:
        line.show(f"{candidate.name}: a few training steps …")
        known[name] = evidence.seconds(candidate, experiment, images.store, images.train, root)
    figures, table = _figures(features.numpy(), answers, why_not, images, experiment)
    apart = distance(layers)
    lacking = "the network has no batch norm" if candidate.pretrained else "random weights have no source"
    figures["distance"] = _figure(apart, lacking)
    batch = len(known[name].images)
    scored = Scored(
        name=candidate.name, network=name, weights=sentence(network.provenance), pretrained=candidate.pretrained, figures=figures,
        features=network.dim, parameters=sum(parameter.numel() for parameter in network.parameters()),
        forward_milliseconds=1000 * known[name].forward_seconds, step_milliseconds=1000 * known[name].step_seconds / batch,
    )  # fmt: skip
    return scored, table


def _figures(
    features: NDArray[np.float32], answers: NDArray[np.float64] | None, why_not: str, images: Images, experiment: Experiment
) -> tuple[dict[str, Figure], pd.DataFrame | None]:
    """The scores of features (N, D) and of the source's answers (N, Z) or why there are none; and the probe's answers."""
    task, targets, classes = experiment.task, images.scored.targets, len(experiment.task.names)
    spread = np.full((len(images.rows), features.shape[1]), np.nan, np.float32)
    spread[images.scored.positions] = features
    table = out_of_fold(images.rows, spread, task)
    measure = MEASURES[experiment.transfer.monitor]
    votes = np.log(np.maximum(neighbours_votes(features, targets, images.groups, classes), 1e-12))
    watched = "auroc" if experiment.transfer.monitor == "loss" else experiment.transfer.monitor
    figures = {
        "probe": summarize(table, task)[measure] if table is not None else _figure(None, FEW_GROUPS),
        "knn": _figure(monitor.score(watched, targets, votes, task.positive_index)),
        "logme": _figure(logme(features, targets, classes)),
        "leep": _figure(leep(answers, targets, classes) if answers is not None else None, why_not),
        "h_score": _figure(h_score(features, targets)),
    }
    return figures, table


def _figure(value: float | None, why_not: str = "") -> Figure:
    return {"value": None, "reason": why_not} if value is None else {"value": value, "low": None, "high": None, "reason": "no interval"}


def _compared(scored: Sequence[tuple[Scored, pd.DataFrame | None]], experiment: Experiment) -> list[Scored]:
    """With the probe's lead over that on random weights (`gain`), and how far it is behind the best (`behind`), on the same images."""
    best = min(range(len(scored)), key=lambda place: (not scored[place][0].pretrained, *kept.order(scored[place][0])))
    against = {"gain": (len(scored) - 1, 1), "behind": (best, -1)}
    compared = []
    for place, (each, own) in enumerate(scored):
        figures = {**each.figures}
        for name, (other, sign) in against.items():
            table = scored[other][1]
            if place == other:
                figures[name] = _figure(None, "this is what others are compared with")
            elif own is None or table is None:
                figures[name] = _figure(None, FEW_GROUPS)
            else:
                pair = (own, table) if sign > 0 else (table, own)
                figures[name] = difference(*pair, experiment.task, MEASURES[experiment.transfer.monitor])  # type: ignore[arg-type]
        compared.append(replace(each, figures=figures))
    return compared
