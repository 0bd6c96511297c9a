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
from medtl.evaluation.table import plural

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


def groups_of_each(cases: Cases) -> dict[str, int]:
    """Class → groups that have a readable image of it; of two classes the positive one first."""
    read, names = cases.read, cases.classes
    order = range(len(names)) if cases.positive is None else (cases.positive, 1 - cases.positive)
    return {names[index]: int(np.unique(cases.groups[read & (cases.truth == index)]).size) for index in order}


def too_few(cases: Cases, unit: str = "group") -> str:
    """Why nothing can be fitted on these; empty where it can. `unit`: what the groups are (patient, lesion …)."""
    scarce = scarcer(cases, FEWEST, unit)
    return f"too few to re-fit ({scarce}; {FEWEST} of each are needed)" if scarce else ""


def too_few_to_judge(cases: Cases, unit: str = "group") -> str:
    """Why a part's figures are not given; empty where they are."""
    scarce = scarcer(cases, FEW, unit)
    return f"too few ({scarce})" if scarce else ""


def scarcer(cases: Cases, least: int, unit: str) -> str:
    """`8 patients of ill, 1 patient of well`: of which classes there are fewer than `least` groups; empty where of none."""
    found = [(count, name) for name, count in groups_of_each(cases).items() if count < least]
    return ", ".join(f"{counted(count, unit)} of {name}" for count, name in found)


def counted(count: int, unit: str) -> str:
    """`1 patient`, `8 patients`."""
    return f"{count} {unit if count == 1 else plural(unit)}"


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


def refit_threshold(cases: Cases, choose: Choose, unit: str = "group", folds: int = FOLDS, seed: int = 0) -> dict[str, Any]:
    """`here` (chosen on all images, for use), its `lowest` and `highest` over the parts, and `before`, `after`, `difference` of
    sensitivity, specificity and balanced accuracy, `after` cross-fitted; or `{"reason"}`."""
    few = too_few(cases, unit)
    if few:
        return {"reason": few}
    read = cases.read
    cuts = thresholds(cases, dealt(cases, folds, seed), choose)
    chosen = float(choose(probability_of(cases)[read], event_of(cases)[read]))
    found = {"here": chosen, "lowest": float(cuts.min()), "highest": float(cuts.max()), "folds": folds}
    return {**found, **compared(cases, called(cases, cuts))}


def compared(before: Cases, after: Cases) -> dict[str, dict[str, Estimate]]:
    """`before`, `after` and their paired `difference` (after less before) of sensitivity, specificity and balanced accuracy; of several
    classes, which must all be there, of accuracy, balanced accuracy (the mean recall) and macro-F1."""
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
    yes = cases.positive
    if yes is None:
        return _shares_of_classes(cases)
    found = {"sensitivity": side.share(cases, yes), "specificity": side.share(cases, 1 - yes)}
    return {**found, "balanced_accuracy": side.mean_of(list(found.values()))}


def _shares_of_classes(cases: Cases) -> dict[str, side.Side]:
    every = range(len(cases.classes))
    return {
        "accuracy": side.right(cases),
        "balanced_accuracy": side.mean_of([side.share(cases, index) for index in every]),
        "macro_f1": side.mean_of([side.f1(cases, index) for index in every]),
    }
