"""`medtl rank`: which weights to transfer from, and how, before training; scored on features that training finds in its cache."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from medtl.contracts import TRAIN, VALIDATION
from medtl.errors import MedtlError
from medtl.experiment.load import data_root, load_experiment
from medtl.experiment.overrides import weights_override
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.files import locked
from medtl.flows import run_folder
from medtl.flows.judging import refuse_occupied, unit_of
from medtl.flows.rank_candidates import Candidate, gather
from medtl.flows.rank_figures import MEASURES
from medtl.flows.rank_questions import left_out, questions
from medtl.flows.rank_scores import Images, score_all
from medtl.flows.rank_situation import counts_of, minutes_of, situation
from medtl.flows.rank_tuning import command, tune
from medtl.flows.rehearsal import Rehearsal
from medtl.flows.train import read_images
from medtl.ranking import kept, text
from medtl.ranking.advice import Figure, advise
from medtl.ranking.agreement import Agreement, agreement
from medtl.ranking.kept import SCORES, TUNED, Ranking, Scored
from medtl.ranking.page import write_page
from medtl.terminal import Line
from medtl.training import machine
from medtl.training.fit import parts_of
from medtl.training.log import Log

MOST_IMAGES = 4000
"""More images than this are not scored: whole groups are drawn, for the scores settle long before."""


@dataclass(frozen=True)
class Ranked:
    """The folder of a ranking, and what it found."""

    folder: Path
    ranking: Ranking


def rank(
    config: Path | str,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    overrides: Sequence[str] = (),
    candidates: Sequence[str] = (),
    weights_folder: Path | str | None = None,
    epochs: int | None = None,
    minutes: float = 60.0,
    out: Path | str | None = None,
) -> Ranked:
    """Score the candidates on the training and validation images of `config`, advise a strategy, and write table, JSON and page.

    data, weights, overrides: as of :func:`medtl.flows.train.train`. candidates, weights_folder: see :func:`rank_candidates.gather`.
    epochs: the true ranking too, by so many epochs of training for each candidate. minutes: that a training may take, for the
    advice. out: a new folder, default `runs/<name>/rank-<time>`. Test images are never scored. Raises the MedtlErrors of training.
    """
    started = time.monotonic()
    given = list(overrides)
    settings = load_experiment(Path(config), [*given, weights_override(weights)] if weights is not None else given)
    root = data_root(Path(config), data)
    found = gather(settings, root, candidates, Path(weights_folder) if weights_folder is not None else None)
    experiment, notes = _of_one_split(settings)
    experiment = experiment.model_copy(update={"trainer": machine.decide(experiment.trainer)})
    torch.set_num_threads(experiment.trainer.threads or 1)
    folder = Path(out) if out is not None else Path("runs") / experiment.name / f"rank-{datetime.now():%Y%m%d-%H%M%S}"
    refuse_occupied(folder)
    line = Line()
    with locked(folder):
        try:
            images, drawn = _images(experiment, folder, root, line)
            usable, scored, costs, missing = score_all(found.found, experiment, images, root, line)
        except MedtlError:
            _withdraw(folder)
            raise
        ranking = _ranking(settings, experiment, images, usable, scored, costs, minutes, (Path(config), data, given))
        ranking = replace(ranking, missing=[*found.missing, *missing], notes=[*notes, *drawn], minutes=(time.monotonic() - started) / 60)
        save_experiment(experiment, folder / "settings.yaml")
        _write(ranking, folder)
        if epochs is not None:
            tuned = tune(usable, experiment, epochs, ranking.measure, ranking.findings, root, folder)
            ranking = _with_truth(ranking, usable, tuned, epochs, experiment)
            ranking = replace(ranking, minutes=(time.monotonic() - started) / 60)
            _write(ranking, folder)
    line.keep(f"\n{text.lines(ranking)}\n\nranking: {folder / 'rank.html'} ({ranking.minutes:.1f} minutes)")
    return Ranked(folder, ranking)


def _of_one_split(experiment: Experiment) -> tuple[Experiment, list[str]]:
    """A config with k folds as one split, whose test part are the images of the first fold (both fall by the same hash)."""
    folds = experiment.split.fits
    if folds is None:
        return experiment, []
    split = experiment.split.model_copy(update={"folds": None, "test": 1 / folds})
    note = f"Of the {folds} folds the first is the test part, which takes no part in the ranking."
    return experiment.model_copy(update={"split": split}), [note]


def _images(experiment: Experiment, folder: Path, root: Path, line: Line) -> tuple[Images, list[str]]:
    """Read as training reads them, and drawn from where they are many."""
    rows, store = read_images(experiment, folder, root, line, Log(folder / "log.jsonl"))
    parts = parts_of(rows, experiment)
    positions = np.concatenate([parts[split].positions for split in (TRAIN, VALIDATION)])
    groups = pd.factorize(rows["group_id"].iloc[positions])[0].astype(np.int64)
    notes = []
    if len(positions) > MOST_IMAGES:
        order = np.random.default_rng(experiment.split.seed).permutation(groups.max() + 1)
        sizes = np.bincount(groups)[order]
        chosen = np.isin(groups, order[np.cumsum(sizes) <= MOST_IMAGES])
        notes.append(f"Scored on {chosen.sum():,} of {len(positions):,} images, whole groups drawn at random.")
        positions, groups = positions[chosen], groups[chosen]
    asked = questions(rows, positions, experiment.task)
    notes += left_out(rows, positions, asked, experiment.task)
    return Images(rows, store, parts[TRAIN], positions, groups, asked), notes


def _ranking(
    settings: Experiment,
    experiment: Experiment,
    images: Images,
    usable: Sequence[Candidate],
    scored: Sequence[Scored],
    costs: Sequence[Rehearsal],
    minutes: float,
    asked: tuple[Path, Path | str | None, Sequence[str]],
) -> Ranking:
    """Candidates in order, advice about the best with weights, and its commands."""
    order = kept.ordered(scored)
    best = next((each for each in order if each.pretrained), order[0])
    place = list(scored).index(best)
    expected = {how: minutes_of(settings, experiment, usable[place], how, costs[place], images) for how in ("linear-probe", "lp-ft")}
    counts = counts_of(images, settings.task)
    advice = advise(situation(settings, counts, best, expected["lp-ft"], minutes))
    strategies = list(dict.fromkeys([advice.strategy, advice.beside]))
    starts = [replace(usable[place], pretrained=usable[place].pretrained and strategy != "scratch") for strategy in strategies]
    config, data, overrides = asked
    return Ranking(
        name=settings.name, measure=MEASURES[settings.transfer.monitor], counts=counts, unit=unit_of(images.rows), candidates=order,
        missing=(), best=best.name if best.pretrained else "", advice=advice,
        commands=[command(config, data, overrides, settings, start, how) for start, how in zip(starts, strategies, strict=True)],
        expected_minutes=[expected["linear-probe" if how == "linear-probe" else "lp-ft"] for how in strategies],
        agreements={}, tuned="", notes=(), minutes=0.0, findings=[question.finding for question in images.asked if question.finding],
    )  # fmt: skip


def _with_truth(ranking: Ranking, usable: Sequence[Candidate], tuned: Sequence[Figure], epochs: int, experiment: Experiment) -> Ranking:
    """With the tuned scores, and how well each score had foreseen their order."""
    truth = {candidate.name: figure for candidate, figure in zip(usable, tuned, strict=True)}
    candidates = [replace(each, figures={**each.figures, TUNED: truth[each.name]}) for each in ranking.candidates]
    found: Mapping[str, Agreement | None] = {
        score: agreement([each.value(score) for each in candidates], [each.value(TUNED) for each in candidates]) for score in SCORES
    }
    strategy = "lp-ft" if experiment.transfer.strategy == "scratch" else experiment.transfer.strategy
    said = f"{ranking.headline} on validation after {epochs} epochs of {strategy} (random weights: scratch), one run each"
    return replace(ranking, candidates=candidates, agreements={score: each for score, each in found.items() if each}, tuned=said)


def _write(ranking: Ranking, folder: Path) -> None:
    kept.write(ranking, folder)
    write_page(ranking, folder)


def _withdraw(folder: Path) -> None:
    """A ranking that is refused leaves nothing that is in the way of the next one."""
    for name in ("records.csv", "measurements.csv"):
        (folder / name).unlink(missing_ok=True)
    run_folder.withdraw(folder)
