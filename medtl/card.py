"""`card.md`: what a reader must know before using a model, on one page. A pure function of model.json and metrics.json."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LIMITS = """\
- Research use only: no medical device, not for diagnosis; it has been judged only on the images named above.
- Precision and probabilities hold for the class shares of those images. Where a disease is rarer, precision is lower.
- It answers for images like those it learned from. It does not notice by itself when an image is of another kind."""

_HEADLINES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro-F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
}


def text(package: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> str:
    """The card in Markdown. `package`: the content of model.json; `metrics`: of metrics.json, or None where nothing was judged."""
    sections = [
        f"# {_plain(package['name'])}",
        f"{_task(package['task'])} Research use only.",
        f"## For whom\n\n{_scope(package['scope'])}",
        f"## Learned from\n\n{_training(package)}",
        *_results(metrics),
        f"## Decision\n\n{_decision(package)}",
        f"## Limits\n\n{LIMITS}",
        f"## Identity\n\nfingerprint `{package['fingerprint']}`, {len(package['weights'])} network(s), "
        f"written by medtl {_plain(package['medtl'])} on {package['created'][:10]}.",
    ]
    return "\n\n".join(sections) + "\n"


def estimate(given: Mapping[str, Any] | None) -> str:
    """`0.912 (0.871 to 0.945)`, or why there is no figure.

    >>> estimate({"value": 0.9123, "low": 0.8711, "high": 0.9454})
    '0.912 (0.871 to 0.945)'
    >>> estimate({"value": None, "reason": "no cases"})
    'n/a (no cases)'
    """
    if not given or given.get("value") is None:
        return f"n/a ({_plain(str((given or {}).get('reason', 'not measured')))})"
    interval = [given.get("low"), given.get("high")]
    shown = f" ({interval[0]:.3f} to {interval[1]:.3f})" if None not in interval else ""
    return f"{given['value']:.3f}{shown}"


def _plain(value: object) -> str:
    """Text that cannot become markup: names come from a config, and a card is shown on a page."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(str(value).split()))


def _task(task: Mapping[str, Any]) -> str:
    names = [_plain(name) for name in task["classes"]]
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
    lines = [f"- {_plain(key).replace(chr(92) + '_', ' ')}: {_value(value)}" for key, value in package["training"].items()]
    network = package["network"].get("architecture") or package["network"].get("name", "?")
    lines.append(f"- network: {_plain(network)} on {package['image']['size']} x {package['image']['size']} pixels")
    sources = {str(member["provenance"]["source"]) for member in package["weights"] if member.get("provenance", {}).get("source")}
    lines += [f"- pretrained weights: {', '.join(map(_plain, sorted(sources)))}"] if sources else []
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_plain(key)} {_value(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_value(each) for each in value) or "none"
    return f"{value:.4g}" if isinstance(value, float) else _plain(value)


def _results(metrics: Mapping[str, Any] | None) -> list[str]:
    if not metrics or not metrics.get("splits"):
        return ["## Results\n\nNot judged yet."]
    unit = _plain(metrics.get("unit", "image"))
    looks = metrics.get("looks", 0)
    heading = f"95 % intervals, by {unit}." + (
        f" The test images were looked at {looks} time(s)." if looks else " The test images were not looked at yet."
    )
    return [f"## Results\n\n{heading}", *(_split(name, split) for name, split in metrics["splits"].items())]


def _split(name: str, split: Mapping[str, Any]) -> str:
    counts = f"{_plain(name)}: {split.get('n', '?')} images, {split.get('groups', '?')} groups"
    figures = [f"- {title}: {estimate(split[key])}" for key, title in _HEADLINES.items() if key in split]
    rows = ["| class | images | precision | recall | F1 |", "|---|---|---|---|---|"]
    for label, each in split.get("per_class", {}).items():
        cells = [estimate(each.get(key)) for key in ("precision", "recall", "f1")]
        rows.append(f"| {_plain(label)} | {each.get('support', '?')} | {' | '.join(cells)} |")
    return "\n".join([f"### {counts}", "", *figures, "", *rows])


def _decision(package: Mapping[str, Any]) -> str:
    point, calibration = package["operating_point"], package["calibration"]
    how = f"Calibrated with temperature {calibration['temperature']:.3g}; fitted on {point['n']} {_plain(point['split'])} images."
    if point["threshold"] is None:
        return f"The class of the largest probability. {how}"
    return f"Positive from a probability of {point['threshold']:.4g} on (rule: {_plain(point['rule'])}). {how}"
