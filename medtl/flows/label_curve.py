"""`medtl labels`: what 10 to 200 labels of the place where a model will be used bring, before anyone labels more.

Cached features, so that many draws of the labels cost minutes: which images happen to be labelled is most of the luck of few labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medtl.contracts import TEST, TRAIN, VALIDATION, Task
from medtl.errors import MedtlError, did_you_mean, listed
from medtl.evaluation.judge import Judge
from medtl.experiment.load import data_root, load_experiment
from medtl.experiment.overrides import weights_override
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.features import cached_features
from medtl.files import locked
from medtl.flows.few_labels import ALONE, BRIGHTNESS, JOINTLY, SOURCE, Places, Side, from_source, ways_of_choosing, ways_of_learning
from medtl.flows.judging import refuse_occupied
from medtl.flows.looks import count_look
from medtl.flows.train import read_images
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store
from medtl.labelling.choosing import AT_RANDOM
from medtl.labelling.curve import Cell, Curve, Row
from medtl.labelling.page import write_page
from medtl.study.figures import learning_curves
from medtl.terminal import Line
from medtl.training import machine
from medtl.training.fit import build_classifier, targets_of
from medtl.training.log import Log

COUNTS = (10, 25, 50, 100, 200)
DRAWS = 30
MOST_OF_SOURCE = 500
"""Images of the source that are learned together with the target's few: more change little, and each draw learns anew."""


def label_curve(
    config: Path | str,
    domain: str,
    data: Path | str | None = None,
    weights: Path | str | None = None,
    overrides: Sequence[str] = (),
    counts: Sequence[int] = COUNTS,
    draws: int = DRAWS,
    out: Path | str | None = None,
) -> tuple[Path, Curve]:
    """Draw labels of `domain` many times, learn from each draw in several ways, judge all on the domain's test patients.

    The config holds the target's cohort, whose labels are read also where it hides them, and may hold a source's. Opens the target's
    test images, and counts the look.
    Writes `labels.html` and `labels.csv` into `out` (default `runs/<name>/labels-<time>`). Raises the MedtlErrors of training.
    """
    experiment = load_experiment(Path(config), [*overrides, weights_override(weights)] if weights is not None else list(overrides))
    _refuse(experiment, domain, counts, draws)
    experiment = _with_labels(experiment, domain)
    root = data_root(Path(config), data)
    experiment = experiment.model_copy(update={"trainer": machine.decide(experiment.trainer)})
    torch.set_num_threads(experiment.trainer.threads or 1)
    folder = Path(out) if out is not None else Path("runs") / experiment.name / f"labels-{datetime.now():%Y%m%d-%H%M%S}"
    refuse_occupied(folder)
    line = Line()
    with locked(folder):
        save_experiment(experiment, folder / "settings.yaml")
        rows, store = read_images(experiment, folder, root, line, Log(folder / "log.jsonl"))
        judged = rows[(rows["domain"] == domain) & (rows["split"] == TEST) & (rows["label"] != "")]
        places = _places(experiment, domain, rows, store, root, line)
        looks = count_look(judged["sha256"], f"labels of {domain}", experiment.name)
        possible = [count for count in counts if count <= len(places.pool.truth)]
        curve = _draw(places, possible, draws, line)
        figure = "mean AUROC" if places.findings else "AUROC"
        table, lead = curve.table(figure), list(_lead(curve, domain, figure))
        notes = list(_notes(places, domain, draws, looks.count, sorted(set(counts) - set(possible)), experiment.task))
        page = write_page(
            experiment.name, domain, lead, table, learning_curves(curve.points(), f"labelled images of {domain}"), notes, folder
        )
    line.keep("\n".join(["", *lead, f"labels: {page}"]))
    return folder, curve


def _refuse(experiment: Experiment, domain: str, counts: Sequence[int], draws: int) -> None:
    domains = [cohort.domain for cohort in experiment.cohorts]
    if domain not in domains:
        raise MedtlError(f"--domain {domain}: is the domain of no cohort{did_you_mean(domain, domains)}; there are: {listed(domains)}")
    if not counts or min(counts) < 2:
        raise MedtlError(f"--count {min(counts, default=0)}: is too few; allowed: 2 and more")
    if draws < 2:
        raise MedtlError(f"--draws {draws}: is too few, for luck shows in what differs between draws; allowed: 2 and more (30 is usual)")
    if experiment.split.fits is not None:
        raise MedtlError(
            "split.folds: medtl labels judges on one fixed part of the patients; leave split.folds out and set split.test: 0.3"
        )


def _with_labels(experiment: Experiment, domain: str) -> Experiment:
    """The domain's labels are opened, also where a training beside would hide them."""
    cohorts = [each.model_copy(update={"labels": "given"}) if each.domain == domain else each for each in experiment.cohorts]
    return experiment.model_copy(update={"cohorts": tuple(cohorts), "adaptation": "none"})


def _places(experiment: Experiment, domain: str, rows: pd.DataFrame, store: Store, root: Path, line: Line) -> Places:
    """Features of the network as it comes, block by block of one weight."""
    network = build_classifier(experiment, root).network
    device = torch.device(experiment.trainer.device)

    def side(chosen: pd.Series[bool], what: str, most: int | None = None) -> Side:
        positions = np.flatnonzero(chosen & (rows["label"] != ""))
        if most is not None and len(positions) > most:
            positions = np.sort(np.random.default_rng(experiment.split.seed).permutation(positions)[:most])
        found = cached_features(network, store, positions.astype(np.int64), device, cache_dir(), line.progress(what))
        bright = torch.from_numpy(store.measurements["brightness"].to_numpy(np.float32)[positions, None])
        own = rows.iloc[positions]
        return Side(found, bright, targets_of(own, experiment.task), pd.factorize(own["group_id"])[0].astype(np.int64))

    of_target, learned = rows["domain"] == domain, rows["split"].isin([TRAIN, VALIDATION])
    places = Places(
        side(~of_target & (rows["split"] == TRAIN), "features of the source", MOST_OF_SOURCE),
        side(of_target & learned, f"features of {domain}"),
        side(of_target & (rows["split"] == TEST), f"features of {domain}, test"),
        network.dims,
        len(experiment.task.names),
        experiment.task.positive_index,
    )
    if places.findings:
        return _judged_where_known(places, domain)
    for what, given in (("be drawn from", places.pool), ("be judged on", places.judged)):
        if len(np.unique(given.truth)) < 2:
            raise MedtlError(f"{domain}: {len(given.truth)} labelled images to {what} are not of two classes; bring more, or see `split`")
    return places


def _judged_where_known(places: Places, domain: str) -> Places:
    """Without the truth of findings of which one side is missing, where labels are drawn from or where they are judged."""
    both = [np.all([(side.truth == value).any(axis=0) for value in (0, 1)], axis=0) for side in (places.pool, places.judged)]
    if not (both[0] & both[1]).any():
        raise MedtlError(f"{domain}: there is no finding that some labelled images have and some have not, both to learn from and to judge")
    return replace(places, judged=replace(places.judged, truth=np.where(both[0] & both[1], places.judged.truth, np.nan)))


def _draw(places: Places, counts: Sequence[int], draws: int, line: Line) -> Curve:
    """All draws of all numbers of labels, and what needs none."""
    brightness = places.judged.brightness[:, 0].double().numpy()
    judge = Judge(places.judged.truth, places.judged.groups, places.positive, brightness)
    given: dict[Cell, list[NDArray[np.float64]]] = {}
    if places.has_source:
        given[SOURCE, "", 0] = [from_source(places, places.judged)]
    choosing, learning = ways_of_choosing(places), ways_of_learning(places)
    progress, done = line.progress("draws"), 0
    for count in counts:
        for how, pick in choosing.items():
            for draw in range(draws):
                labelled = places.pool.some(pick(count, draw))
                for way, learn in learning.items():
                    given.setdefault((way, how, count), []).append(learn(labelled))
                done += 1
                progress(done, len(choosing) * draws * len(counts))
    cells = {cell: judge.repeated(answers) for cell, answers in given.items()}
    return Curve(cells, ALONE, {cell: judge.matched(answers) for cell, answers in given.items()})


def _lead(curve: Curve, domain: str, figure: str) -> Iterator[str]:
    """What to take away: for each number of labels what they give by themselves, and what the source's add."""
    rows = curve.rows()
    yield from (f"Without a label of {domain}: {figure} {_said(row)}." for row in rows if row.learned == SOURCE)
    for count in sorted({row.labels for row in rows if row.labels}):
        own = {(row.learned, row.chosen): row for row in rows if row.labels == count}
        alone = " / ".join(f"{row.chosen} {_said(row)}" for (learned, _), row in own.items() if learned == ALONE)
        beside = f" With the source's labels, {AT_RANDOM}: {_said(own[JOINTLY, AT_RANDOM])}." if (JOINTLY, AT_RANDOM) in own else ""
        yield f"{count} labels of {domain}: {figure} {alone}.{beside} Brightness: {_with_interval(own[BRIGHTNESS, AT_RANDOM])}."


def _said(row: Row) -> str:
    clear = f"; clear of {AT_RANDOM} by {row.gain:+.3f} ({row.gain_low:+.3f} to {row.gain_high:+.3f})" if row.clear else ""
    return f"{_with_interval(row)}, of like brightness {row.matched:.3f} ({row.matched_low:.3f} to {row.matched_high:.3f}){clear}"


def _with_interval(row: Row) -> str:
    return f"{row.auroc:.3f} ({row.low:.3f} to {row.high:.3f})"


def _notes(places: Places, domain: str, draws: int, looks: int, too_many: Sequence[int], task: Task) -> Iterator[str]:
    judged = places.judged
    if places.findings:
        there = np.isfinite(judged.truth).any(axis=0)
        names, others = ([name for name, known in zip(task.names, there, strict=True) if known == side] for side in (True, False))
        without = f" Not judged, for images with or without it are missing: {listed(others)}." if others else ""
        yield (
            f"The mean is over the findings ({listed(names)}), each learned and judged by itself on the images of which it is known; "
            f"a label is one image with all that is known of it.{without}"
        )
    yield (
        f"Judged on {len(judged.truth):,} images of {len(np.unique(judged.groups)):,} other patients of {domain}, the same for all draws; "
        f"look {looks} at them. {draws} draws of each number of labels from {len(places.pool.truth):,} images."
    )
    yield "Nothing was chosen by these figures: the penalty follows from the number of labels, and no setting is tried twice."
    yield (
        "For variety: a third at random, the others one from each of as many clusters of features, as `medtl next` chooses; and doubt: "
        "images of which a probe of the source is unsure draw the clusters."
    )
    yield (
        "Brightness: how much of an AUROC an image's exposure already gives. Of like brightness: the AUROC of pairs within the same fifth "
        "of it, which exposure cannot give."
    )
    if too_many:
        yield f"Left out, for there are fewer images to label: {', '.join(map(str, too_many))} labels."
