"""`card.md`: what a reader must know before using a model, on one page. A pure function of model.json and metrics.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from medtl import guarantees, recalibrated, sets
from medtl.estimates import ONE_TRAINING, estimate, number, percent, times

LIMITS = """\
- Research use only: no medical device, not for diagnosis; it has been judged only on the images named above.
- Precision and probabilities hold for the class shares of those images. Where a disease is rarer, precision is lower.
- It answers for images like those it learned from."""

RESEARCH_ONLY = "Research use only. Not a medical device, not for diagnosis or treatment."
SYNTHETIC_MODEL = "SYNTHETIC: this model learned from made images. Nothing it says is about patients."
"""On the page, and inside everything that leaves medtl."""
SYNTHETIC = "**SYNTHETIC IMAGES**: it learned from images made by a program. Nothing here says how it does on patients."

_HEADLINES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro-F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
}
_WEIGHED = {
    "adjusted": ", each weighed against how frequent the class is",
    recalibrated.KEPT: ", each weighed so that it is the class of before the re-calibration",
}
_OF_FINDINGS = {"specificity": "specificity", "auroc": "AUROC"}
"""Columns more where an image may have several findings; its headlines are means over these."""


def text(package: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> str:
    """The card in Markdown. `package`: the content of model.json; `metrics`: of metrics.json, or None where nothing was judged."""
    sections = [
        f"# {_plain(package['name'])}",
        *([SYNTHETIC] if package.get("synthetic") else ()),
        f"{_task(package['task'])} Research use only.",
        f"## For whom\n\n{_scope(package['scope'])}",
        f"## Learned from\n\n{_training(package)}",
        *(["## Re-calibrated\n\n" + " ".join(map(_plain, again))] if (again := recalibrated.sentences(package)) else ()),
        *_results(metrics, package),
        f"## Decision\n\n{_decision(package)}{_ensemble(package)}{_guarantee(package)}",
        f"## No answer\n\n{_refusals(package)}",
        f"## Limits\n\n{LIMITS}",
        f"## Identity\n\nfingerprint `{package['fingerprint']}`, {_networks(len(package['weights']))}, "
        f"written by medtl {_plain(package['medtl'])} on {package['created'][:10]}.",
    ]
    return "\n\n".join(sections) + "\n"


def _networks(count: int) -> str:
    return "one network" if count == 1 else f"{count} networks"


def unverified(package: Mapping[str, Any]) -> str:
    """The sentence about an ensemble whose threshold and calibration were never checked on the ensemble itself; else empty.

    `package`: of model.json. Packages of several networks that do not say `ensemble` are older than it, and count as not verified.
    """
    if len(package["weights"]) < 2 or (package.get("ensemble") or {}).get("verified"):
        return ""
    what = "calibration was" if package["operating_point"]["threshold"] is None else "threshold and calibration were"
    return f"The ensemble's {what} never checked on images that none of its networks has seen: unverified."


def _ensemble(package: Mapping[str, Any]) -> str:
    """What a reader of the decision must know of several networks; empty for one."""
    known = package.get("ensemble") or {}
    if known.get("verified"):
        which = f"none of the {len(package['weights'])} networks has {'learned from' if known.get('of') == 'seeds' else 'seen'}"
        return f" These images, of {known['groups']:,} groups, {which}."
    said = unverified(package)
    return f" **{said}**" if said else ""


def calibrated(calibration: Mapping[str, Any]) -> str:
    """How a single decision is calibrated (`calibration` of model.json): `with temperature 1.2`."""
    if calibration.get("kind") == "vector":
        return f"with slopes of {', '.join(f'{slope:.3g}' for slope in calibration['slope'])} in the order of the classes"
    if calibration.get("kind") == "isotonic":
        return f"by an isotonic curve of {sum(map(len, calibration['given'])):,} knots"
    return f"with temperature {calibration['temperature']:.3g}"


def chosen_by_validation(package: Mapping[str, Any]) -> str:
    """What validation images chose; a guarantee's threshold stands where held-out images put it."""
    point = package["operating_point"]
    promise = point.get("guarantee")
    elsewhere = point["threshold"] is None or (promise is not None and None not in promise["wrong"])
    return "epoch and calibration" if elsewhere else "epoch, calibration and threshold"


def origins(point: Mapping[str, Any]) -> tuple[str, str]:
    """On which images the threshold was put (empty: those of the calibration), and on which the calibration was fitted:
    `("240 calibration images", "611 validation images")`. `point`: `operating_point` of model.json."""
    own, other, promise = f"{point['n']:,} {point['split']} images", point.get("calibrated_on"), point.get("guarantee")
    if other is not None:
        return own, f"{other['n']:,} {other['split']} images"
    return ("held-out images" if promise is not None and None not in promise["wrong"] else ""), own


def _guarantee(package: Mapping[str, Any]) -> str:
    """What the threshold promises, as paragraphs of their own; empty where nothing was asked for."""
    return "".join(f"\n\n**{_plain(sentence)}**" for sentence in guarantees.said(package))


def _estimate(figure: Mapping[str, Any] | None) -> str:
    return _plain(estimate(figure))


def _plain(value: object) -> str:
    """Text that cannot become markup: names come from a config, and a card is shown on a page."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(value).split()))


def _task(task: Mapping[str, Any]) -> str:
    names = [_plain(name) for name in task["classes"]]
    if task.get("kind") == "multi":
        return f"Looks for {len(names)} findings on one image, each by itself: {', '.join(names)}."
    if len(names) == 2:
        positive = _plain(task.get("positive") or list(task["classes"])[1])
        return f"Tells {names[0]} from {names[1]} on one image; the positive class is {positive}."
    return f"Tells {len(names)} classes apart on one image: {', '.join(names)}."


def _scope(scope: Mapping[str, Any]) -> str:
    parts = [
        f"- {key.replace('_', ' ')}: {', '.join(map(_plain, scope[key]))}" for key in ("modality", "body_part", "view") if scope.get(key)
    ]
    if scope.get("age"):
        parts.append(f"- age: {scope['age'][0]:g} to {scope['age'][1]:g} years")
    return "\n".join(parts) or "No scope was stated in the experiment: who the model is for is not known."


def _training(package: Mapping[str, Any]) -> str:
    training = package["training"]
    each = "images with" if package["task"].get("kind") == "multi" else "images:"
    lines = [f"- {_plain(split)} {each} {_counts(counts)}" for split, counts in training.get("images", {}).items()]
    size, network = package["image"]["size"], package["network"].get("architecture", "?")
    lines.append(f"- network: {_plain(network)} on {size} x {size} pixels")
    sources = {_source(member.get("provenance", {})) for member in package["weights"]}
    lines.append(f"- pretrained weights: {', '.join(sorted(sources))}")
    parent = package.get("lineage", {}).get("parent")
    if parent:
        what = "a re-calibration" if recalibrated.of(package) else "an update"
        lines.append(f"- {what} of: {_plain(parent['name'])} (fingerprint {_plain(parent['fingerprint'][:12])}…), which is the way back")
    histories = training.get("history", [])
    for place, history in enumerate(histories, start=1):
        steps = [
            f"{_plain(step)} ({_counts(facts)})" for step, facts in history.items() if step != "weights" and isinstance(facts, Mapping)
        ]
        if steps:
            lines.append(f"- training{f' of network {place}' if len(histories) > 1 else ''}: {', '.join(steps)}")
    return "\n".join(lines)


def _counts(facts: Mapping[str, Any]) -> str:
    """`normal 1,000, ill 20`; nested facts are left to model.json."""
    return ", ".join(
        f"{_plain(str(key).replace('_', ' '))} {_number(value)}" for key, value in facts.items() if isinstance(value, int | float | str)
    )


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return _plain(value)
    return f"{value:,}" if isinstance(value, int) else _digits(value)


def _digits(value: float) -> str:
    """Four significant digits, as long as they do not make a 1 of what is less."""
    return number(value) if value < 1 and f"{value:.4g}" == "1" else f"{value:.4g}"


def _source(provenance: Mapping[str, Any]) -> str:
    """Where the backbone's weights came from, with the beginning of the file's hash."""
    named = provenance.get("origin") or provenance.get("package") or provenance.get("file") or provenance.get("source", "none")
    digest = str(provenance.get("sha256", ""))[:12]
    return _plain(named) + (f" (sha256 {digest}…)" if digest else "")


def _results(metrics: Mapping[str, Any] | None, package: Mapping[str, Any]) -> list[str]:
    if not metrics or not metrics.get("splits"):
        return ["## Results\n\nNot judged yet."]
    looks = metrics.get("looks", 0)
    sentences = [f"95 % intervals, by {_plain(metrics.get('unit', 'image'))}."]
    if again := recalibrated.origin(package):
        return [
            f"## Results\n\n{' '.join([*sentences, _plain(again)])}",
            *(_split(name, split) for name, split in metrics["splits"].items()),
        ]
    sentences.append(f"The test images were looked at {times(looks)}." if looks else "The test images were not looked at yet.")
    members, of_seeds = len(package["weights"]), (package.get("ensemble") or {}).get("of") == "seeds"
    if members > 1 and of_seeds:
        sentences.append(f"Judged were {'both' if members == 2 else f'all {members}'} networks together.")
    elif members > 1:
        sentences.append(
            f"Each image was judged by the one of the {members} networks that did not learn from it; together they were not judged."
        )
    else:
        sentences.insert(1, ONE_TRAINING)
    return [f"## Results\n\n{' '.join(sentences)}", *(_split(name, split) for name, split in metrics["splits"].items())]


def _split(name: str, split: Mapping[str, Any]) -> str:
    counts = f"{_plain(name)}: {split.get('n', '?')} images, {split.get('groups', '?')} groups"
    per_class = split.get("per_class", {})
    together = any("known" in each for each in per_class.values())
    titles = {**_HEADLINES, "accuracy": "All findings right"} if together else _HEADLINES
    figures = [f"- {title}: {_estimate(split[key])}" for key, title in titles.items() if key in split]
    columns = {"precision": "precision", "recall": "recall", "f1": "F1"} | (_OF_FINDINGS if together else {})
    rows = [f"| class | images | {' | '.join(columns.values())} |", f"|---|---|{'---|' * len(columns)}"]
    for label, each in per_class.items():
        cells = [_estimate(each.get(key)) for key in columns]
        rows.append(f"| {_plain(label)} | {each.get('support', '?')} | {' | '.join(cells)} |")
    return "\n".join([f"### {counts}", "", *figures, "", *rows, *_held_back(split)])


def _held_back(split: Mapping[str, Any]) -> list[str]:
    """That not all of these answers were given; nothing where they were."""
    answers = split.get("answering", {})
    if "all_comers" not in answers:
        return []
    what = "Of every image read, had its answer been given"
    lacking = ", ".join(f"{_plain(name)} {each['unanswered']:,} of {each['n']:,}" for name, each in answers["counts"].items())
    return ["", f"{what}: {percent(answers['coverage']['value'])} got one. Without an answer: {lacking}."]


def _refusals(package: Mapping[str, Any]) -> str:
    """For which images there is none, in the order in which it is asked."""
    lines = ["- what cannot be read, and what header or table state to be outside of the scope above"]
    gate, promised = package.get("gate"), sets.said(package)
    if gate is None:
        lines.append("- it does not notice by itself when an image looks like nothing it has learned from, or is too poor")
    else:
        worst = min(gate["aurocs"][gate["method"]].items(), key=lambda each: float(each[1]))
        shares = f"{100 * gate['expected']:.2g} % in the mean, {100 * gate['at_most']:.2g} % with 95 % confidence"
        lines.append(
            f"- what looks unlike the training images ({gate['method']} of its features): of patients (groups) like the {gate['groups']:,} "
            f"of validation at most {shares} have any image refused. Of outliers made from these the hardest is {_plain(worst[0])}, "
            f"AUROC {number(worst[1])}; real ones were not tried"
        )
        lines.append("- what is too poor: next to no contrast or detail, mostly border or overexposed, far too few pixels")
    if promised:
        several = package["task"].get("kind") == "multi"
        what = "of which a finding may be there or not" if several else "that may be of several classes, or of none"
        lines.append(f"- images {what}. {' '.join(map(_plain, promised))}")
    return "\n".join(lines)


def _decision(package: Mapping[str, Any]) -> str:
    point, calibration = package["operating_point"], package["calibration"]
    views = "" if package.get("flips", "none") == "none" else "An answer is the mean over the image and its mirror images. "
    threshold_on, calibrated_on = map(_plain, origins(point))
    rule = f"(rule: {_plain(point['rule'])}{f'; on {threshold_on}' if threshold_on else ''})"
    if isinstance(point["threshold"], list | tuple):
        cuts = ", ".join(f"{_plain(name)} {_digits(cut)}" for name, cut in zip(package["task"]["classes"], point["threshold"], strict=True))
        return f"{views}A finding is there from a probability of {cuts} on {rule}, each calibrated by itself; fitted on {calibrated_on}."
    how = f"{views}Calibrated {calibrated(calibration)}; fitted on {calibrated_on}."
    if point["threshold"] is None:
        rarer = _WEIGHED.get(point["rule"], "")
        return f"The class of the largest probability{rarer}. {how}"
    return f"Positive from a probability of {_digits(point['threshold'])} on {rule}. {how}"
