"""What the page says in words: the decision, how the image was read, and what the header says against it. Plain text, no markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from medtl.card import origins
from medtl.estimates import percent
from medtl.experiment.schema import Scope
from medtl.model.format import PackageFile
from medtl.predictions import NO_ANSWER

RESEARCH_ONLY = "Research use only. Not a medical device, not for diagnosis or treatment."
SYNTHETIC = "SYNTHETIC: this model learned from made images. Nothing it says is about patients."
FORGOTTEN = "The file is deleted as soon as the answer is there."

_FIELDS = {"modality": "modality", "body_part": "body part", "view": "view"}
_RULES = {"youden": "Youden's index", "f1": "the best F1"}
_MEASURES = {"recall": "a recall", "sensitivity": "a sensitivity", "specificity": "a specificity", "ppv": "a precision (PPV)"}


def because(package: PackageFile, probabilities: Mapping[str, float], decision: str, reason: str) -> str:
    """Why the decision is what it is, in one sentence."""
    if decision == NO_ANSWER:
        return f"No answer, because {reason.partition(' [')[0]}."
    threshold = package.operating_point.threshold
    if isinstance(threshold, tuple):
        return _each_judged(package, probabilities, threshold)
    if threshold is None:
        others = sorted((name for name in probabilities if name != decision), key=lambda name: -probabilities[name])
        if probabilities[others[0]] > probabilities[decision]:
            return (
                f"At {percent(probabilities[decision])}, preferred because it is rarer; "
                f"the most probable of {len(probabilities)} classes is {others[0]}, at {percent(probabilities[others[0]])}."
            )
        return (
            f"The most probable of {len(probabilities)} classes, at {percent(probabilities[decision])}; "
            f"the next is {others[0]}, at {percent(probabilities[others[0]])}."
        )
    positive = package.task.names[package.task.positive_index or 0]
    given, needed = apart(probabilities[positive], threshold)
    verb = "reaches" if decision == positive else "stays below"
    return f"The probability of {positive}, {given}, {verb} the threshold of {needed}."


def _each_judged(package: PackageFile, probabilities: Mapping[str, float], thresholds: tuple[float, ...]) -> str:
    """Several findings per image: which of them reach their thresholds."""
    cuts = dict(zip(package.task.names, thresholds, strict=True))
    reached = [f"{name} ({given}, from {needed} on)" for name, cut in cuts.items() if probabilities[name] >= cut
               for given, needed in [apart(probabilities[name], cut)]]  # fmt: skip
    if not reached:
        return f"None of {len(cuts)} findings reaches its threshold."
    others = len(cuts) - len(reached)
    rest = f"; {others} other{'s do' if others > 1 else ' does'} not" if others else ""
    return f"Reaching {'its threshold' if len(reached) == 1 else 'their thresholds'}: {_listed(reached)}{rest}."


def apart(probability: float, threshold: float) -> tuple[str, str]:
    """Both as percentages, with as many decimals as it takes to see which one is larger.

    >>> apart(0.5, 0.25), apart(0.78391, 0.78396), apart(0.5, 0.5)
    (('50.0 %', '25.0 %'), ('78.391 %', '78.396 %'), ('50.0 %', '50.0 %'))
    """
    texts = percent(probability), percent(threshold)
    for decimals in range(1, 9):
        texts = percent(probability, decimals), percent(threshold, decimals)
        if texts[0] != texts[1] or probability == threshold:
            break
    else:
        return percent(probability), percent(threshold)
    return texts


def operating_point(package: PackageFile) -> str:
    """Where the threshold comes from, and what it and the sets promise; of the largest probability only that."""
    point = package.operating_point
    if point.threshold is None:
        return " ".join(package.promised)
    if point.guarantee is not None and None not in point.guarantee.wrong:
        return " ".join(package.promised)
    many = "s, one per finding," if isinstance(point.threshold, tuple) else ""
    known = origins(point.model_dump(mode="json"))
    ordinary = f"Threshold{many} by {_rule_in_words(point.rule)} on {', else on '.join(filter(None, known))}."
    return " ".join([ordinary, *package.promised])


def _rule_in_words(rule: str) -> str:
    """`a sensitivity of at least 95 %`, of `sensitivity >= 0.95`."""
    measure, keeps, rest = rule.partition(" >= ")
    if not keeps:
        return _RULES.get(rule, rule)
    share, further, more = rest.partition(" at a prevalence of ")
    bound, comma, reach = share.partition(",")
    there, comma_there, reach_there = more.partition(",")
    where = f" at a prevalence of {100 * float(there):g} %" if further else ""
    return f"{_MEASURES.get(measure, measure)} of at least {100 * float(bound):g} %{where}{comma}{reach}{comma_there}{reach_there}"


def how_read(measurement: Mapping[str, Any], number: int, count: int) -> str:
    """One line: format, size, and what was done to the grey levels."""
    receipt = json.loads(str(measurement["receipt"]))
    parts = [str(measurement["format"]), f"{int(measurement['width']):,} × {int(measurement['height']):,} pixels"]
    if count > 1:
        parts.append(f"image {number:,} of {count:,} in the file")
    parts.append(f"{receipt['bits']} bits")
    if measurement["format"] == "DICOM":
        parts += [str(receipt["photometric"]) + (", inverted for display" if receipt["inverted"] else ""), str(receipt["intensity"])]
    if receipt["orientation"] != "as stored":
        parts.append(f"made upright ({receipt['orientation']})")
    return " · ".join(parts)


def out_of_scope(measurement: Mapping[str, Any], scope: Scope) -> list[str]:
    """What the header says that the model is not for; a picture without a header cannot be checked, which is said too."""
    stated = {field: words for field, words in _FIELDS.items() if getattr(scope, field)}
    if not stated:
        return []
    if not any(measurement[field] for field in stated):
        return [f"The file does not say its {_listed(list(stated.values()))}: make sure that the model is meant for such images."]
    found = []
    for field, words in stated.items():
        given, meant = str(measurement[field]), getattr(scope, field)
        if given and given.upper() not in {each.upper() for each in meant}:
            found.append(f"The file's {words} is {given}; the model is meant for {_listed(list(meant), 'or')}. Do not rely on this answer.")
    return found


def gate(package: PackageFile) -> str:
    """For which images there is no answer, besides those out of scope by header; empty where only what cannot be read has none."""
    parts = []
    if package.gate is not None:
        share = percent(package.gate.expected)
        parts.append(
            f"images unlike those it learned from (by mistake of at most {share} of patients like validation's) or of poor quality"
        )
    if package.conformal is not None:
        what = "of which a finding may be there or not" if package.task.kind == "multi" else "that may be several classes"
        parts.append(f"images {what}, at a risk of {percent(package.conformal['alpha'])} of leaving out the truth")
    return "; ".join(parts)


def scope(given: Scope) -> str:
    """`modality CR or DX; body part CHEST; 0 to 18 years`, or that nothing was stated."""
    parts = [f"{words} {_listed(list(getattr(given, field)), 'or')}" for field, words in _FIELDS.items() if getattr(given, field)]
    if given.age:
        parts.append(f"{given.age[0]:g} to {given.age[1]:g} years")
    return "; ".join(parts) or "not stated: whom the model is for is not known"


def _listed(items: list[str], word: str = "and") -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
