"""The box on top: what a clinician reads in a minute. Task, for whom, how good, how sure, where it fails, looks at the test set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medtl import card
from medtl.contracts import EXTERNAL, TEST, VALIDATION
from medtl.estimates import estimate, interval, number, percent
from medtl.report.contents import Contents, groups_named
from medtl.report.mistakes import SURE, wrong
from medtl.report.results import of_findings
from medtl.report.subgroups import Part, worst_sentences


@dataclass(frozen=True)
class Tile:
    """One figure, large."""

    label: str
    value: str
    interval: str
    low: float | None
    middle: float | None
    high: float | None
    meaning: str


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
    return f"{_origin(contents)} {card.unverified(contents.package)}".rstrip()


def _origin(contents: Contents) -> str:
    members = len(contents.package["weights"])
    unopened = "The test images were not opened. " if contents.metrics["looks"] == 0 else ""
    if contents.split == VALIDATION:
        chose = "These figures are of the validation images, which chose epoch, calibration and threshold: they are likely too good."
        return f"{unopened}{chose}"
    if contents.split == EXTERNAL:
        return "External validation: outside images, judged with the thresholds that the model came with."
    if members > 1:
        return (
            f"Cross-validation: each image was judged by the one of the {members} networks that did not learn from it (out-of-fold). "
            f"The packaged model, all {members} together, was not judged itself."
        )
    return "Test images: the model neither learned from them nor was chosen by them."


def tiles(contents: Contents) -> list[Tile]:
    """The four figures that matter most for this task."""
    entry, task = contents.entry, contents.task
    if task.kind == "multi":
        label, figures = weakest_class(entry)
        return [
            _tile("Mean F1", entry["macro_f1"], "mean over the findings, rare ones counting as much as common ones"),
            _tile("Mean AUROC", entry["auroc"], "how well images with a finding are ranked above those without, mean over the findings"),
            _tile("All findings right", entry["accuracy"], "share of the images of which everything that is known is called right"),
            _tile(f"Weakest finding: F1 of {label}", figures["f1"], f"sensitivity {estimate(figures['recall'])}"),
        ]
    if task.positive_index is None:
        label, figures = weakest_class(entry)
        return [
            _tile("Macro-F1", entry["macro_f1"], "mean over the classes, rare ones counting as much as common ones"),
            _tile("Macro AUROC", entry["auroc"], "how well each class is ranked above the rest, mean over the classes"),
            _tile("Accuracy", entry["accuracy"], "share of the images that are called what they are"),
            _tile(f"Weakest class: F1 of {label}", figures["f1"], f"sensitivity {estimate(figures['recall'])}"),
        ]
    yes, no = (task.names[index] for index in (task.positive_index, 1 - task.positive_index))
    ill, well = entry["per_class"][yes], entry["per_class"][no]
    prevalence = ill["prevalence"]["value"]
    return [
        _tile("Sensitivity", ill["recall"], f"share of {yes} that is found"),
        _tile("Specificity", well["recall"], f"share of {no} that is called so"),
        _tile("PPV", ill["precision"], f"share right among those called {yes}, at a prevalence of {percent(prevalence)}"),
        _tile("AUROC", entry["auroc"], f"chance that an image of {yes} gets the higher probability of two"),
    ]


def _tile(label: str, figure: Mapping[str, Any], meaning: str) -> Tile:
    value = figure.get("value")
    if value is None:
        return Tile(label, "n/a", figure.get("reason", ""), None, None, None, meaning)
    beside = interval(figure) or figure.get("reason", "")
    note = f"{beside}; {figure['note']}" if figure.get("note") else beside
    return Tile(label, number(value), note, figure.get("low"), value, figure.get("high"), meaning)


def weakest_class(entry: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The class with the lowest F1 among those that have images."""
    known = {label: each for label, each in entry["per_class"].items() if each["f1"]["value"] is not None}
    label = min(known, key=lambda name: (known[name]["f1"]["value"], name))
    return label, known[label]


def how_sure(contents: Contents) -> list[str]:
    """Numbers of images and groups, the unit, reading, calibration."""
    entry, unit = contents.entry, contents.metrics["unit"]
    return [
        _size(entry, unit),
        *_unanswered(entry),
        f"Calibration error (ECE) {estimate(entry['ece'])}: so far, on average, is the stated probability from how often it is right.",
    ]


def _size(entry: Mapping[str, Any], unit: str) -> str:
    with_each = "with " if of_findings(entry) else ""
    shares = with_each + ", ".join(f"{each['support']:,} {label}" for label, each in entry["per_class"].items())
    if unit == "image":
        return (
            f"{entry['n']:,} images ({shares}). No patient ids: intervals are by image, and too narrow where patients have several images."
        )
    return f"{entry['n']:,} images of {groups_named(entry['groups'], unit)} ({shares}). The 95 % intervals are by {unit}, not by image."


def _unanswered(entry: Mapping[str, Any]) -> Iterator[str]:
    unread = sum(entry["unread"].values())
    if unread:
        yield f"{unread:,} images could not be read; they count as missed."
    if entry["answered"] < entry["n"] - unread:
        yield f"{entry['answered']:,} of {entry['n']:,} images got an answer."


def where_it_fails(contents: Contents, subgroups: list[Part]) -> list[str]:
    """Weakest class, commonest confusion, sure mistakes, worst subgroup: what was measured, and what was not."""
    return [
        *_no_better_than_chance(contents.entry),
        *_weak_class(contents),
        *_commonest_confusion(contents.entry),
        *_sure_mistakes(contents),
        *_one_domain(contents),
        *worst_sentences(subgroups),
    ]


def _no_better_than_chance(entry: Mapping[str, Any]) -> Iterator[str]:
    """The first thing to know where it is so: the interval of AUROC reaches down to 0.5."""
    low = entry["auroc"].get("low")
    if low is not None and low <= 0.5:
        yield f"No better than chance was shown: AUROC {estimate(entry['auroc'])}, and guessing has 0.5."


def _weak_class(contents: Contents) -> Iterator[str]:
    label, figures = weakest_class(contents.entry)
    words = f"sensitivity {estimate(figures['recall'])}, precision {estimate(figures['precision'])}, {figures['support']:,} images"
    kind = "finding" if of_findings(contents.entry) else "class"
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
    times = "once" if count == 1 else f"{count:,} times"
    return f"For this model the {contents.split} images were opened {times}. {contents.looks}".strip()
