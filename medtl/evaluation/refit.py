"""A threshold chosen anew where the model is used, judged on patients who had no part in choosing it (cross-fitting).

Patients are dealt into parts, ill and well alike; each part is answered with the threshold that the other parts choose. That estimates what
choosing so is worth here. A threshold chosen and judged on the same patients looks too good (Leeflang et al., Clinical Chemistry 2008; 54:
729-737). With fewer than :data:`FEWEST` ill or well patients nothing is chosen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation import side
from medtl.evaluation.cases import UNREAD, Cases
from medtl.evaluation.contrast import contrast
from medtl.evaluation.figures import Estimate, estimate, without
from medtl.evaluation.influence import Linear
from medtl.evaluation.intervals import FEW, Interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Choose = Callable[[Floats, Mask], float]
"""(N,) probabilities of the positive class and (N,) whether it is so → a threshold."""

FEWEST = 50
"""Groups (patients) with the class, and as many without, before anything is fitted on them."""
FOLDS = 10
SAME = "no answer changed"


def event_of(cases: Cases) -> Mask:
    """(N,) whether an image is of the positive class, of two."""
    return np.asarray(cases.truth == cases.positive, dtype=bool)


def probability_of(cases: Cases) -> Floats:
    """(N,) probability of the positive class; NaN for unread images."""
    assert cases.positive is not None
    return cases.probabilities[:, cases.positive]


def part_of(cases: Cases, mask: Mask) -> Cases:
    """The images within (N,) `mask`; groups keep their numbers."""
    kept = {name: getattr(cases, name)[mask] for name in ("truth", "predicted", "probabilities", "groups")}
    return dataclasses.replace(cases, **kept)


def sizes(cases: Cases) -> tuple[int, int]:
    """Groups that have a readable image with the class, and without."""
    event, read = event_of(cases), cases.read
    return int(np.unique(cases.groups[event & read]).size), int(np.unique(cases.groups[~event & read]).size)


def groups_of_each(cases: Cases) -> dict[str, int]:
    """Class → groups that have a readable image of it."""
    read = cases.read
    return {name: int(np.unique(cases.groups[read & (cases.truth == index)]).size) for index, name in enumerate(cases.classes)}


def too_few(cases: Cases) -> str:
    """Why nothing can be fitted on these; empty where it can."""
    names = [cases.classes[index] for index in (cases.positive or 0, 1 - (cases.positive or 0))]
    scarce = [f"{count} of {name}" for count, name in zip(sizes(cases), names, strict=True) if count < FEWEST]
    return f"too few to re-fit ({', '.join(scarce)}; {FEWEST} of each are needed)" if scarce else ""


def dealt(cases: Cases, folds: int = FOLDS, seed: int = 0) -> Ints:
    """(N,) the part (0 … folds-1) that each image's group is dealt to: groups with the class first, then the others, in random order; of
    several classes those with the rarest first, and so on."""
    order = np.random.default_rng(seed).permutation(cases.numbered)
    order = order[np.argsort(_turn(cases)[order], kind="stable")]
    part = np.empty(cases.numbered, dtype=np.int64)
    part[order] = np.arange(cases.numbered) % folds
    return part[cases.groups]


def _turn(cases: Cases) -> Ints:
    """(G,) when each group is dealt."""
    counts = np.bincount(cases.truth, minlength=len(cases.classes))
    rarest = [cases.positive] if cases.positive is not None else np.argsort(counts, kind="stable").tolist()
    turn = np.full(cases.numbered, len(rarest), dtype=np.int64)
    for place, index in reversed(list(enumerate(rarest))):
        turn[cases.groups[cases.truth == index]] = place
    return turn


def apart(part: Ints, groups: Ints) -> Iterator[tuple[Mask, Mask]]:
    """(N,) the images of each part, and (N,) those of the other parts whose group has no image in it."""
    for each in np.unique(part):
        held = np.asarray(part == each, dtype=bool)
        yield held, ~held & ~np.isin(groups, groups[held])


def thresholds(cases: Cases, part: Ints, choose: Choose) -> Floats:
    """(N,) for each image the threshold that the other parts choose."""
    p, event, read = probability_of(cases), event_of(cases), cases.read
    cuts = np.empty(len(p))
    for held, others in apart(part, cases.groups):
        cuts[held] = choose(p[others & read], event[others & read])
    return cuts


def called(cases: Cases, cuts: Floats) -> Cases:
    """The same images, positive where the probability reaches the image's own threshold; unread ones stay unread."""
    assert cases.positive is not None
    positive = np.where(probability_of(cases) >= cuts, cases.positive, 1 - cases.positive)
    return dataclasses.replace(cases, predicted=np.where(cases.read, positive, UNREAD).astype(np.int64))


def refit_threshold(cases: Cases, choose: Choose, folds: int = FOLDS, seed: int = 0) -> dict[str, Any]:
    """`here` (chosen on all images, for use), its `lowest` and `highest` over the parts, and `before`, `after`, `difference` of
    sensitivity, specificity and balanced accuracy, `after` cross-fitted; or `{"reason"}`."""
    few = too_few(cases)
    if few:
        return {"reason": few}
    read = cases.read
    cuts = thresholds(cases, dealt(cases, folds, seed), choose)
    chosen = float(choose(probability_of(cases)[read], event_of(cases)[read]))
    found = {"here": chosen, "lowest": float(cuts.min()), "highest": float(cuts.max()), "folds": folds}
    return {**found, **compared(cases, called(cases, cuts))}


def compared(before: Cases, after: Cases) -> dict[str, dict[str, Estimate]]:
    """`before`, `after` and their paired `difference` (after less before) of sensitivity, specificity and balanced accuracy."""
    old, new = _shares(before), _shares(after)
    return {
        "before": {name: estimate(each.value, each.interval) for name, each in old.items()},
        "after": {name: estimate(each.value, each.interval) for name, each in new.items()},
        "difference": {name: paired(new[name].linear, old[name].linear) for name in new},
    }


def paired(after: Linear, before: Linear) -> Estimate:
    """`after` less `before` of the same images, with the interval of groups' influences; none where no answer changed."""
    if np.array_equal(after.influence, before.influence):
        return estimate(after.value - before.value, None, SAME)
    found = contrast(after, before)
    return estimate(found.value, Interval(found.low, found.high)) if np.isfinite(found.error) else without("one group only")


def _shares(cases: Cases) -> dict[str, side.Side]:
    yes = cases.positive or 0
    found = {"sensitivity": side.share(cases, yes), "specificity": side.share(cases, 1 - yes)}
    return {**found, "balanced_accuracy": side.mean_of(list(found.values()))}


def too_few_to_judge(cases: Cases) -> str:
    """Why a part's figures are not given; empty where they are."""
    names = [cases.classes[index] for index in (cases.positive or 0, 1 - (cases.positive or 0))]
    scarce = [f"{count} of {name}" for count, name in zip(sizes(cases), names, strict=True) if count < FEW]
    return f"too few ({', '.join(scarce)})" if scarce else ""
