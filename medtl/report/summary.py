"""The box on top: what a clinician reads in a minute. Task, for whom, how good, how sure, where it fails, looks at the test set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medtl import card, guarantees, sets
from medtl.contracts import EXTERNAL, TEST, VALIDATION
from medtl.estimates import estimate, number, percent, times
from medtl.evaluation.answering import sentences
from medtl.predictions import NO_ANSWER
from medtl.report import answered
from medtl.report.adaptation import on_page_one
from medtl.report.contents import Contents, groups_named
from medtl.report.mistakes import SURE, wrong
from medtl.report.results import of_findings
from medtl.report.subgroups import Part, worst_sentences
from medtl.report.tiles import weakest_class


def question(contents: Contents) -> str:
    """What the model is for, in a sentence."""
    names, positive = contents.task.names, contents.task.positive_index
    if contents.task.kind == "multi":
        return f"Looks for {len(names)} findings on one image, each by itself: {', '.join(names)}."
    if positive is None:
        return f"Tells {len(names)} classes apart on one image: {', '.join(names)}."
    return f"Tells {names[positive]} from {names[1 - positive]} on one image."


def scope(package: Mapping[str, Any]) -> list[str]:
    """For whom, a line each; empty where the experiment did not say."""
    given = package["scope"]
    said = [f"{key.replace('_', ' ')} {', '.join(given[key])}" for key in ("modality", "body_part", "view") if given.get(key)]
    return said + ([f"age {given['age'][0]:g} to {given['age'][1]:g} years"] if given.get("age") else [])


def basis(contents: Contents) -> str:
    """Which images the figures are of, and what that means; and whether an ensemble's calibration was ever checked."""
    elsewhere = on_page_one(contents.release) if contents.release and contents.split != EXTERNAL else ""
    return " ".join(filter(None, [_origin(contents), card.unverified(contents.package), elsewhere]))


def _origin(contents: Contents) -> str:
    members = len(contents.package["weights"])
    unopened = "The test images were not opened. " if contents.metrics["looks"] == 0 else ""
    if contents.split == VALIDATION:
        chose = f"which chose {card.chosen_by_validation(contents.package)}"
        return f"{unopened}These figures are of the validation images, {chose}: they are likely too good."
    if contents.split == EXTERNAL:
        return "External validation: outside images, judged with the thresholds that the model came with."
    if members > 1 and contents.over_folds:
        return (
            f"Cross-validation: each image was judged by the one of the {members} networks that did not learn from it (out-of-fold). "
            f"The packaged model, {'both' if members == 2 else f'all {members}'} together, was not judged itself."
        )
    return "Test images: the model neither learned from them nor was chosen by them."


def how_sure(contents: Contents) -> list[str]:
    """Numbers of images and groups, the unit, reading, calibration."""
    entry, unit = contents.entry, contents.metrics["unit"]
    return [
        _size(entry, unit),
        *_unanswered(contents),
        f"Calibration error (ECE) {estimate(entry['ece'])}: so far, on average, is the stated probability from how often it is right.",
        *promised(contents),
    ]


def promised(contents: Contents) -> Iterator[str]:
    """What the package's threshold and sets promise; on outside data, that they do not."""
    if contents.split == EXTERNAL:
        yield from filter(None, [guarantees.void(contents.package), sets.void(contents.package)])
        return
    told = [*guarantees.said(contents.package), *sets.said(contents.package)]
    yield from [*told, *guarantees.of_ensemble(told, contents.over_folds)]


def _size(entry: Mapping[str, Any], unit: str) -> str:
    with_each = "with " if of_findings(entry) else ""
    shares = with_each + ", ".join(f"{each['support']:,} {label}" for label, each in entry["per_class"].items())
    if unit == "image":
        return (
            f"{entry['n']:,} images ({shares}). No patient ids: intervals are by image, and too narrow where patients have several images."
        )
    return f"{entry['n']:,} images of {groups_named(entry['groups'], unit)} ({shares}). The 95 % intervals are by {unit}, not by image."


def _unanswered(contents: Contents) -> Iterator[str]:
    answers = answered.of(contents, contents.split)
    if "all_comers" in answers:
        why = answers["reasons_in_all"]
        given = f"{percent(answers['coverage']['value'])} of the images got an answer"
        yield f"{given}; the others: {', '.join(f'{count:,} {code}' for code, count in why.items())}."
        if contents.task.kind == "single":
            yield f"No answer is no hit. {' '.join(sentences(answers))}"
        yield from filter(None, [sets.hint(contents.package, answers)])


def where_it_fails(contents: Contents, subgroups: list[Part]) -> list[str]:
    """Weakest class, commonest confusion, sure mistakes, worst subgroup: what was measured, and what was not."""
    return [
        *_no_better_than_chance(contents.entry),
        *_weak_class(answered.all_comers(contents)),
        *_commonest_confusion(answered.all_comers(contents)),
        *_sure_mistakes(contents),
        *_one_domain(contents),
        *worst_sentences(subgroups),
    ]


def _no_better_than_chance(entry: Mapping[str, Any]) -> Iterator[str]:
    """The first thing to know where it is so: the interval of AUROC reaches down to 0.5."""
    low = entry["auroc"].get("low")
    if low is not None and low <= 0.5:
        yield f"No better than chance was shown: AUROC {estimate(entry['auroc'])}, and guessing has 0.5."


def _weak_class(entry: Mapping[str, Any]) -> Iterator[str]:
    label, figures = weakest_class(entry)
    words = f"sensitivity {estimate(figures['recall'])}, precision {estimate(figures['precision'])}, {figures['support']:,} images"
    kind = "finding" if of_findings(entry) else "class"
    yield f"Weakest {kind}: {label} (F1 {number(figures['f1']['value'])}; {words})."


def _commonest_confusion(entry: Mapping[str, Any]) -> Iterator[str]:
    if of_findings(entry):
        yield _commonest_mistake(entry)
        return
    names, table = list(entry["per_class"]), entry["confusion"]
    cells = [(count, i, j) for i, row in enumerate(table) for j, count in enumerate(row) if i != j and count]
    if not cells:
        yield "No image was called something else than it is."
        return
    count, i, j = max(cells, key=lambda cell: (cell[0], -cell[1], -cell[2]))
    support = entry["per_class"][names[i]]["support"]
    yield f"Commonest mistake: {names[i]} called {names[j]}, {count:,} of {support:,} ({percent(count / support)})."


def _commonest_mistake(entry: Mapping[str, Any]) -> str:
    """The finding that is missed, or called where it is not, most often."""
    cells = [
        (count, f"{name} {what}", total, side)
        for name, ((tn, fp), (fn, tp)) in entry["confusion"].items()
        for count, what, total, side in ((fn, "missed", fn + tp, "with it"), (fp, "called", fp + tn, "without it"))
    ]
    count, what, total, side = max(cells, key=lambda cell: cell[0])
    if not count:
        return "No finding was missed, and none called where it is not."
    return f"Commonest mistake: {what} on {count:,} of {total:,} images {side} ({percent(count / total)})."


def _sure_mistakes(contents: Contents) -> Iterator[str]:
    rows = wrong(contents.predictions, contents.split)
    rows = rows[rows["decision"] != NO_ANSWER]  # held back: no mistake was made
    sure = int((rows["p_predicted"] >= SURE).sum())
    if len(rows):
        yield f"{sure:,} of its {len(rows):,} mistakes were made with a probability of {SURE:g} or more."


def _one_domain(contents: Contents) -> list[str]:
    if contents.split == EXTERNAL or len(contents.domains) != 1:
        return []
    return [f"All images are of one domain ({contents.domains[0]}): how the model does elsewhere was not measured."]


def looks(contents: Contents) -> str:
    """How often the judged images were opened."""
    count = contents.metrics["looks"]
    if count == 0:
        held = (contents.records["split"] == TEST).any() or contents.over_folds
        return "The test images were not opened." if held else "The run kept no test images."
    return f"{contents.looks} For this model the {contents.split} images were opened {times(count)}.".strip()
