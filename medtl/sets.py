"""What a package's conformal sets promise, in sentences: the same on terminal, card, page and report. Pure functions of model.json.

See `medtl.decisions.conformal`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from medtl.estimates import percent

Package = Mapping[str, Any]
NEXT_TO_NONE = 0.05
"""Of the images answered: below, something has to be done before the model is of use."""
_PLURALS = {"study": "studies"}
_HELP = {
    "UNLIKE_TRAINING": "they look unlike the training images: made by another device, of other patients or prepared otherwise; look at "
    "them, train with such images, and only then think of a wider decision.gate",
    "OUT_OF_SCOPE": "header or table state that they are not what the model is for: compare the reasons in predictions.csv with the "
    "config's `scope`",
    "QUALITY": "they have next to no contrast or detail, far too few pixels, or are mostly border: look at the files",
}


def said(package: Package) -> list[str]:
    """The promise, and where too few were held out for it. Empty where there are no sets."""
    sets = package.get("conformal")
    if sets is None:
        return []
    return [_promise(sets), *_too_few(package, sets)]


def void(package: Package) -> str:
    """What has to be said of other images than those of the package's own cohorts; empty where there are no sets."""
    sets = package.get("conformal")
    if sets is None:
        return ""
    return (
        f"The promise of the conformal sets is void here: it was given for {_units(sets)} like those held out of the model's own cohorts."
    )


def hint(package: Package, answers: Mapping[str, Any]) -> str:
    """What to do where next to no image got an answer; empty where more did. `answers`: `answering` of an entry of metrics.json."""
    share, reasons = answers["coverage"]["value"], answers["reasons_in_all"]
    if share is None or share >= NEXT_TO_NONE or not reasons:
        return ""
    code, count = max(reasons.items(), key=lambda each: (each[1], each[0]))
    default = "they could not be read: the reasons stand in predictions.csv"
    help_ = _of_unsure(package) if code == "UNSURE" else _HELP.get(code, default)
    none = "No image" if share == 0 else f"Next to no image ({percent(share)})"
    return f"{none} got an answer. Of {sum(reasons.values()):,} without one, {count:,} are {code}: {help_}."


def fewest_groups(alpha: float) -> int:
    """Of a class in the calibration part; with fewer it cannot be ruled out anywhere, and is in every set.

    >>> fewest_groups(0.1), fewest_groups(0.05), fewest_groups(0.4)
    (9, 19, 2)
    """
    return math.ceil((1 - alpha) / alpha - 1e-9)


def _of_unsure(package: Package) -> str:
    sets = package.get("conformal") or {}
    alpha = f" (it is {sets['alpha']:g})" if sets else ""
    return (
        "their sets hold several classes, or not what they would be called. Few held-out images and a model that tells the classes badly "
        f"make large sets: hold out more (split.held_out), allow more misses (decision.conformal.alpha{alpha}), train a better model, or "
        "leave decision.conformal out"
    )


def _promise(sets: Package) -> str:
    kept, missed, units = f"{100 * (1 - sets['alpha']):g} %", f"{100 * sets['alpha']:g} %", _units(sets)
    theirs = "in their sets" if units == "images" else "in the sets of all their images"
    like = "images like these that" if units == "images" else f"{units} like these whose images"
    head = f"Conformal sets (alpha {sets['alpha']:g})"
    mean = f"on average over such held-out parts. It holds for {like} pass the gate; anywhere else it is void."
    if "findings" in sets:
        return (
            f"{head}, of each finding by itself: of the {units} with it, and of those without it, at least {kept} have the truth {theirs}, "
            f"{mean} An image is answered only where every set is just what is called, so of each finding at most {missed} are missed and "
            f"at most {missed} called falsely; that all findings are right at once is less sure."
        )
    return (
        f"{head}: of each class at least {kept} of the {units} have it {theirs}, {mean} An image is answered only where its set is just "
        f"the class called, so at most {missed} of the {units} of a class get a wrong answer."
    )


def _too_few(package: Package, sets: Package) -> Iterator[str]:
    """Classes (findings) that cannot be ruled out anywhere, for so few of them were held out."""
    names, fewest = list(package["task"]["classes"]), fewest_groups(sets["alpha"])
    if "findings" in sets:
        held = {
            f"{side} {name}": count
            for name, own in zip(names, sets["findings"], strict=True)
            for side, count in zip(("without", "with"), own["groups"], strict=True)
        }
    else:
        held = dict(zip(names, sets["groups"], strict=True))
    few = ", ".join(f"{name} {count:,}" for name, count in held.items() if count < fewest)
    if few:
        yield f"That takes {fewest:,} held-out {_units(sets)} of each, and there are: {few}. No set rules these out: hold out more."


def _units(sets: Package) -> str:
    unit = sets.get("unit", "group")
    return _PLURALS.get(unit, f"{unit}s")
