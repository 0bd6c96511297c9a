"""What a package's threshold guarantees and costs, in sentences: the same on terminal, card, page and report. Pure functions of
model.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medtl.estimates import number, percent

Package = Mapping[str, Any]
USELESS = 0.1
"""Sensitivity + specificity - 1 (Youden's index) of held-out images up to which a threshold tells next to nothing: it calls both alike."""


def said(package: Package) -> list[str]:
    """What is kept, for whom, how it was tested and what it costs; what is out of reach, and what it takes. Empty where nothing was asked
    for."""
    given = package["operating_point"].get("guarantee")
    if given is None:
        return []
    reached = [name for name, _, wrong in _each(package, given) if wrong is not None]
    return [
        *([_kept(package, given), *_price(package, given)] if reached else ()),
        *([_out_of_reach(package, given)] if len(reached) < len(given["groups"]) else ()),
    ]


def of_ensemble(promised: Sequence[str], over_folds: bool) -> list[str]:
    """Beside figures over folds, of whom the promises are not; empty where nothing was promised, or for other figures."""
    said = "That is said of the ensemble; figures here are of the folds' own networks and thresholds, which guarantee nothing."
    return [said] if promised and over_folds else []


def void(package: Package) -> str:
    """What has to be said beside figures of other images than those of the package's own cohorts; empty where nothing was guaranteed."""
    given = package["operating_point"].get("guarantee")
    if given is None or all(wrong is None for wrong in given["wrong"]):
        return ""
    return (
        f"The package's guarantee ({_what(given)}) is void here: it was given for {_units(given)} like those held out of its own cohorts"
        f"{_domains(given)}. What holds here, these figures say."
    )


def _kept(package: Package, given: Package) -> str:
    tested = [(name, groups, wrong) for name, groups, wrong in _each(package, given) if wrong is not None]
    told = ", ".join(f"{name} {wrong:,} of {groups:,}".strip() for name, groups, wrong in tested)
    one = "" if given["unit"] == "image" else f", one image of each {given['unit']}"
    counted = "missed" if given["measure"] == "recall" else "false alarms"
    apart = " Each finding keeps it by itself; that all do at once is less sure." if len(tested) > 1 else ""
    return (
        f"Guaranteed with {percent(given['confidence'], 0)} confidence: {_share(package, given)}. Tested on held-out {_units(given)} that "
        f"chose nothing else{one}, {counted}: {told}.{apart} It holds for {_units(given)} like these{_domains(given)}; anywhere else it is "
        f"void.{_without_answer(package, given)}"
    )


def _price(package: Package, given: Package) -> list[str]:
    """How many of the other side are right at the threshold; a warning where that is next to none. Empty for packages older than it."""
    if not given.get("other_groups"):
        return []
    recall = given["measure"] == "recall"
    measure, lacks = ("specificity", "without") if recall else ("recall", "with")
    side = f"{lacks} the finding" if _several(package) else f"of {_other(package, given)}"
    figures = [
        (name, 1 - wrong / own, right, groups)
        for (name, own, wrong), right, groups in zip(_each(package, given), given["other_right"], given["other_groups"], strict=True)
        if wrong is not None and groups
    ]
    told = ", ".join(f"{name} {right:,} of {groups:,} ({measure} {number(right / groups)})".strip() for name, _, right, groups in figures)
    fate = "are rightly not called positive" if recall else "are found"
    price = [f"Its price: of the held-out {_units(given)} {side}, one image each, {fate}: {told}."] if figures else []
    return [
        *price,
        *(_warning(package, given, name, kept, right / n) for name, kept, right, n in figures if kept + right / n - 1 <= USELESS + 1e-9),
    ]


def _warning(package: Package, given: Package, finding: str, kept: float, other: float) -> str:
    """`kept`, `other`: shares of the held-out groups of both sides that are right."""
    ill, well = (kept, 1 - other) if given["measure"] == "recall" else (other, 1 - kept)
    positive = finding or _positive(package)
    negative = next(str(name) for name in package["task"]["classes"] if name != positive)
    sides = ("with it", "without it") if finding else (f"of {positive}", f"of {negative}")
    return (
        f"WARNING: at the threshold that keeps the guarantee {positive} is called on {percent(ill, 0)} of the held-out {_units(given)} "
        f"{sides[0]} and on {percent(well, 0)} of those {sides[1]}: such an answer tells next to nothing. Ask for less, or train a better "
        "model."
    )


def _without_answer(package: Package, given: Package) -> str:
    """The threshold was tested on every held-out image; a gate and sets withhold answers afterwards."""
    if package.get("gate") is None and package.get("conformal") is None:
        return ""
    most = f"at most {100 * (1 - given['at_least']):g} %"
    kept = f"{most} are missed, but fewer may be found" if given["measure"] == "recall" else f"{most} are false alarms"
    return f" An image that gets no answer counts by what the threshold would have called it: of all, {kept}."


def _share(package: Package, given: Package) -> str:
    recall = given["measure"] == "recall"
    side = f"{'with' if recall else 'without'} the finding" if _several(package) else f"of {_own(package, given)}"
    verb = "are found" if recall else "are not called positive"
    alike = "" if given["unit"] == "image" else f", every {given['unit']} counting alike"
    return f"at least {100 * given['at_least']:g} % of the images {side} {verb} ({given['measure']}{alike})"


def _out_of_reach(package: Package, given: Package) -> str:
    lacking = [(name, groups) for name, groups, wrong in _each(package, given) if wrong is None]
    held = ", ".join(f"{name} {groups:,}" for name, groups in lacking) if _several(package) else f"{lacking[0][1]:,}"
    if all(groups >= given["needed"] for _, groups in lacking):
        why = "images of the other side have a probability of 1, above which no threshold lies"
    else:
        which = "positive" if given["measure"] == "recall" else "negative"
        why = f"it takes {given['needed']:,} held-out {which} {_units(given)} of which none is wrong, and there are: {held}"
    return f"The guarantee ({_what(given)}) is not reachable: {why}. The threshold there is the ordinary rule's, and promises nothing."


def _what(given: Package) -> str:
    return f"{given['measure']} of at least {given['at_least']:g} with {percent(given['confidence'], 0)} confidence"


def _each(package: Package, given: Package) -> list[tuple[str, int, int | None]]:
    names = list(package["task"]["classes"]) if _several(package) else [""]
    return list(zip(names, given["groups"], given["wrong"], strict=True))


def _own(package: Package, given: Package) -> str:
    """The class whose share is kept, of two."""
    names, positive = list(package["task"]["classes"]), _positive(package)
    return positive if given["measure"] == "recall" else next(name for name in names if name != positive)


def _other(package: Package, given: Package) -> str:
    return next(str(name) for name in package["task"]["classes"] if name != _own(package, given))


def _positive(package: Package) -> str:
    return str(package["task"].get("positive") or list(package["task"]["classes"])[1])


def _several(package: Package) -> bool:
    return bool(package["task"].get("kind") == "multi")


def _units(given: Package) -> str:
    return "studies" if given["unit"] == "study" else f"{given['unit']}s"


def _domains(given: Package) -> str:
    return f" ({', '.join(given['domains'])})" if given["domains"] else ""
