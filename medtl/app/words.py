"""What the page says in words: the decision, how the image was read, and what the header says against it. Plain text, no markup."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from medtl.app.asking import CODES
from medtl.app.desk import Verdict
from medtl.card import origins
from medtl.contracts import NONE
from medtl.estimates import percent
from medtl.experiment.schema import Scope
from medtl.findings import BETWEEN
from medtl.imaging.origins import CAMERA, SCREENSHOT
from medtl.measurements import AGE
from medtl.model.format import PackageFile
from medtl.predictions import NO_ANSWER, OUT_OF_SCOPE, QUALITY, UNLIKE_TRAINING, UNSURE

FORGOTTEN = "The file is deleted as soon as the answer is there."

HEADLINES = {
    OUT_OF_SCOPE: "No answer: out of scope", UNLIKE_TRAINING: "No answer: unlike what the model knows", QUALITY: "No answer: image quality",
    UNSURE: "No answer: not sure",
}  # fmt: skip
"""By the code that a reason ends in; every other one is about reading."""
UNREAD = "No answer: cannot be read"

SCREENS = frozenset(
    {(1080, 1920), (768, 1366), (900, 1440), (864, 1536), (1440, 2560), (1600, 2560), (1800, 2880), (2160, 3840), (1200, 1920),
     (1050, 1680), (1170, 2532), (1284, 2778), (1179, 2556), (1290, 2796), (1125, 2436), (828, 1792), (750, 1334), (1242, 2688),
     (1206, 2622), (1320, 2868), (1080, 2340), (1080, 2400), (1440, 3200), (1440, 3120), (1668, 2388), (2048, 2732), (1640, 2360)}
)  # fmt: skip
"""Pixels of usual screens, the shorter side first; 1024 x 768 is left out, which ultrasound machines write."""
_WORST = 2
_FIELDS = {"modality": "modality", "body_part": "body part", "view": "view"}
_RULES = {"youden": "Youden's index", "f1": "the best F1"}
_MEASURES = {"recall": "a recall", "sensitivity": "a sensitivity", "specificity": "a specificity", "ppv": "a precision (PPV)"}


def headline(package: PackageFile, decision: str, reason: str) -> str:
    """What stands over an answer: what it is called, or which of the reasons came first (:mod:`medtl.decisions.precedence`)."""
    if decision == NO_ANSWER:
        return HEADLINES.get(reason.rpartition("[")[2].rstrip("]"), UNREAD)
    if package.task.kind == "multi":
        return "None of the findings" if decision == NONE else ", ".join(decision.split(BETWEEN))
    return decision


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


def out_of_scope(measurement: Mapping[str, Any], scope: Scope, given: Mapping[str, str] | None = None) -> list[str]:
    """What has to be said of an image that no known code puts outside the scope: what nobody stated, and codes that are not judged."""
    stated = {field: str(measurement[field] or (given or {}).get(field, "")) for field in (*_FIELDS, AGE) if getattr(scope, field)}
    silent = [_FIELDS.get(field, "age") for field, value in stated.items() if not value]
    found = [f"Not checked, because nobody said it: {_listed(silent)}. The model is for {short_scope(scope)}."] if silent else []
    for field, words in _FIELDS.items():
        code, meant = stated.get(field, ""), getattr(scope, field)
        if code and code.upper() not in {each.upper() for each in meant} and code.upper() not in CODES[field]:
            found.append(f"The {words} is {code}; the model is meant for {_listed(list(meant), 'or')}. Do not rely on this answer.")
    return found


def looks_like(measurement: Mapping[str, Any]) -> list[str]:
    """What a picture without a header may be, with the grounds; nothing is refused for it."""
    if measurement["modality"] or measurement["quarantine"] or measurement["format"] in ("DICOM", "NIfTI", "NPZ"):
        return []
    told = json.loads(str(measurement["receipt"]))
    size = tuple(sorted((int(measurement["width"]), int(measurement["height"]))))
    by_size = f"its size, {int(measurement['width']):,} × {int(measurement['height']):,} pixels, is that of a screen"
    origin = str(told.get("origin", ""))
    if origin.startswith(CAMERA):
        device = origin.removeprefix(CAMERA).strip()
        return [f"A photograph, by its own data{f' ({device})' if device else ''}: not the image as a machine stored it."]
    if origin == SCREENSHOT or size in SCREENS:
        grounds = "by its own data" if origin == SCREENSHOT else by_size
        return [f"It looks like a screenshot ({grounds}): windows and labels of the screen are part of it."]
    return []


def checks(verdict: Verdict, scope: Scope, read: str, known: Mapping[str, str]) -> list[tuple[str, str]]:
    """What was asked before a class was named, in the order of precedence, and what came of it; nothing after the first that said no.

    `read`: how the image was read. `known`: which facts of the scope were there to be judged, as a person would say them.
    """
    code = verdict.reason.rpartition("[")[2].rstrip("]") if verdict.reason else ""
    asked = ", ".join(known.values()) if scope != Scope() else ""
    within = f"nothing speaks against it ({asked})" if asked else "nothing was stated that could speak against it"
    nearness = (
        f"its distance from them is {percent(verdict.unlike)} of what is refused" if verdict.unlike == verdict.unlike else "not looked at"
    )
    gated = verdict.package.gate is not None
    steps = [
        ("Read", read, ""),
        ("In scope", within, OUT_OF_SCOPE),
        ("Like what it knows", nearness if gated else "this model does not check it", UNLIKE_TRAINING),
        ("Quality", "contrast, detail, borders, exposure and size are enough" if gated else "this model does not check it", QUALITY),
        ("Sure", "only one answer is left" if verdict.package.conformal is not None else "this model does not check it", UNSURE),
    ]
    told = []
    for title, fine, own in steps:
        if code and code == own:
            return [*told, (title, f"no: {verdict.reason.partition(' [')[0]}")]
        told.append((title, fine))
    return told if code in ("", *HEADLINES) else [("Read", f"no: {verdict.reason.partition(' [')[0]}")]


def short_scope(given: Scope) -> str:
    """:func:`scope` in a sentence."""
    return scope(given).replace("modality ", "").replace("body part ", "").replace("; ", ", ")


def weak_places(entries: Sequence[Mapping[str, Any]], package: PackageFile) -> list[str]:
    """Where the model fails, by its own figures (entries of metrics.json), and what no figure of it tells."""
    found = []
    for entry in entries[:1]:
        shares = {
            name: each["recall"] for name, each in entry.get("per_class", {}).items() if (each.get("recall") or {}).get("value") is not None
        }
        for name, recall in sorted(shares.items(), key=lambda each: float(each[1]["value"]))[:_WORST]:
            found.append(f"Of {name} it calls {percent(1 - recall['value'])} something else{_within(recall)}.")
    if package.gate is None:
        found.append("It does not notice by itself when an image looks like nothing it has learned from, or is too poor.")
    return [*found, "Where a disease is rarer than in the images it was judged on, more of its alarms are false."]


def _within(recall: Mapping[str, Any]) -> str:
    """The interval of what is missed, or why there is none."""
    if recall.get("low") is None or recall.get("high") is None:
        return f"; without an interval: {recall.get('reason') or 'no reason is given'}"
    return f" ({percent(1 - recall['high'])} to {percent(1 - recall['low'])})"


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
