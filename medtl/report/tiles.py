"""The four figures that matter most for a task, large, on the first page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medtl.estimates import estimate, interval, number, percent
from medtl.report import answered
from medtl.report.contents import Contents


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


def tiles(contents: Contents) -> list[Tile]:
    """Of all who came; where some got no answer, those of the answered stand beside, in the meaning."""
    entry = answered.all_comers(contents)

    def tile(label: str, key: str, meaning: str, name: str = "") -> Tile:
        return _tile(label, (entry["per_class"][name] if name else entry)[key], meaning + answered.beside(contents, key, name))

    positive = contents.task.positive_index
    if contents.task.kind == "multi" or positive is None:
        return _of_many(entry, tile, contents.task.kind == "multi")
    yes, no = (contents.task.names[index] for index in (positive, 1 - positive))
    prevalence = percent(entry["per_class"][yes]["prevalence"]["value"])
    return [
        tile("Sensitivity", "recall", f"share of {yes} that is found", yes),
        tile("Specificity", "recall", f"share of {no} that is called so", no),
        _tile("PPV", entry["per_class"][yes]["precision"], f"share right among those called {yes}, at a prevalence of {prevalence}"),
        tile("AUROC", "auroc", f"chance that an image of {yes} gets the higher probability of two"),
    ]


def _of_many(entry: Mapping[str, Any], tile: Callable[..., Tile], together: bool) -> list[Tile]:
    """Of several classes, or several findings (`together`)."""
    label, figures = weakest_class(entry)
    weakest = f"Weakest {'finding' if together else 'class'}: F1 of {label}"
    rare = "rare ones counting as much as common ones"
    if together:
        ranked = "how well images with a finding are ranked above those without, mean over the findings"
        first = [tile("Mean F1", "macro_f1", f"mean over the findings, {rare}"), tile("Mean AUROC", "auroc", ranked)]
        right = tile("All findings right", "accuracy", "share of the images of which everything that is known is called right")
    else:
        ranked = "how well each class is ranked above the rest, mean over the classes"
        first = [tile("Macro-F1", "macro_f1", f"mean over the classes, {rare}"), tile("Macro AUROC", "auroc", ranked)]
        right = tile("Accuracy", "accuracy", "share of the images that are called what they are")
    return [*first, right, tile(weakest, "f1", f"sensitivity {estimate(figures['recall'])}", label)]


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
