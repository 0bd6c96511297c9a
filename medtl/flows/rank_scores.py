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
from medtl.evaluation.paired import difference
from medtl.experiment.schema import Experiment
from medtl.flows import rank_evidence as evidence
from medtl.flows.rank_candidates import Candidate, reference
from medtl.flows.rank_figures import FEW_GROUPS, MEASURES, by_features, figure, of_probe
from medtl.flows.rank_questions import Question
from medtl.flows.rehearsal import Rehearsal
from medtl.imaging.store import Store
from medtl.ranking import kept
from medtl.ranking.distance import distance
from medtl.ranking.kept import Scored
from medtl.terminal import Line


@dataclass(frozen=True)
class Images:
    """What every candidate is scored on: the training and validation images of one split, or some of them."""

    rows: pd.DataFrame
    """Records of all images, row for row as the store."""
    store: Store
    train: Part
    positions: NDArray[np.int64]
    """(N,) of the scored images, as the next."""
    groups: NDArray[np.int64]
    asked: Sequence[Question]


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
    features = evidence.features_of(network, images.store, images.positions, line, candidate.name)
    line.show(f"{candidate.name}: scores …")
    answers, why_not = evidence.source_answers(candidate, features, root)
    layers = evidence.batch_norm_statistics(network, images.store, images.train.positions) if candidate.pretrained else []
    if name not in known:
        line.show(f"{candidate.name}: a few training steps …")
        known[name] = evidence.seconds(candidate, experiment, images.store, images.train, root)
    figures, of_findings = by_features(features.numpy(), answers, why_not, images.asked, images.groups, experiment)
    figures["probe"], probes, table = of_probe(features.numpy(), images.positions, images.rows, images.asked, experiment)
    apart = distance(layers)
    lacking = "the network has no batch norm" if candidate.pretrained else "random weights have no source"
    figures["distance"] = figure(apart, lacking)
    batch = len(known[name].images)
    scored = Scored(
        name=candidate.name, network=name, weights=sentence(network.provenance), pretrained=candidate.pretrained, figures=figures,
        features=network.dim, parameters=sum(parameter.numel() for parameter in network.parameters()),
        forward_milliseconds=1000 * known[name].forward_seconds, step_milliseconds=1000 * known[name].step_seconds / batch,
        of_findings={finding: {"probe": probes[finding], **own} for finding, own in of_findings.items()},
    )  # fmt: skip
    return scored, table


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
                figures[name] = figure(None, "this is what others are compared with")
            elif own is None or table is None:
                figures[name] = figure(None, FEW_GROUPS)
            else:
                pair = (own, table) if sign > 0 else (table, own)
                figures[name] = difference(*pair, experiment.task, MEASURES[experiment.transfer.monitor])  # type: ignore[arg-type]
        compared.append(replace(each, figures=figures))
    return compared
