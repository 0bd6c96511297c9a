"""What choosing and calibrating anew would mend of several classes, in sentences: an entry of `refits` of `external.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medtl.estimates import difference, number
from medtl.evaluation.recalibration import METHODS

WORDS = dict(zip(METHODS, ("intercepts", "intercepts and slope"), strict=True))
SHARES = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1", "accuracy": "accuracy"}
"""Balanced accuracy is the mean of the classes' recalls."""


def of_classes(each: Mapping[str, Any], rule: str) -> Iterator[str]:
    """Answers by the package's own `rule` from probabilities re-calibrated here, and what that does to these."""
    yield from _answers(each["answers"], rule)
    yield from _calibration(each)


def _answers(found: Mapping[str, Any], rule: str) -> Iterator[str]:
    if "reason" in found:
        yield f"Answers: {found['reason']}."
        return
    before = ", ".join(f"{word} {number(found['before'][key]['value'])}" for key, word in SHARES.items())
    after = "; ".join(
        f"{word} {number(found['after'][key]['value'])}, {difference(found['difference'][key])}" for key, word in SHARES.items()
    )
    yield f"Answers: shipped {before}; by its rule ({rule}) from probabilities re-calibrated here, cross-fitted: {after}."


def _calibration(each: Mapping[str, Any]) -> Iterator[str]:
    found = each["calibration"]
    if "reason" in found:
        if found["reason"] != each["answers"].get("reason"):
            yield f"Calibration: {found['reason']}."
        return
    shipped = found["as_shipped"]
    told = [f"by {word}{_recalibrated(found[method])}" for method, word in WORDS.items()]
    yield (
        f"Probabilities here: Brier score {number(shipped['brier']['value'])} ({number(found['everybody'])} by telling everybody how "
        f"frequent each class is), log loss {number(shipped['log_loss']['value'])}; {'; '.join(told)}."
    )


def _recalibrated(own: Mapping[str, Any]) -> str:
    if "reason" in own:
        return f": not re-fitted, {own['reason']}"
    return (
        f" Brier score {number(own['brier']['value'])}, {difference(own['brier_difference'])}, "
        f"log loss {number(own['log_loss']['value'])}, {difference(own['log_loss_difference'])}"
    )
