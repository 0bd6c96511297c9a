"""An external validation held against the model's own hospital: the content of `external.json`, and what it says in sentences.

`own`: the split of the package that outside images are held against (`split`, `n`, `groups`), or None; `overall` and `per_class`: figures
here, there, and the difference (:mod:`medtl.evaluation.drop`); `rule`: the one that answers are chosen by; `refits`: of the positive
class, or of each finding, `auroc`, `shipped` (its threshold), `calibrated_at` (prevalence), `threshold` (:mod:`medtl.evaluation.refit`),
`calibration` (:mod:`medtl.evaluation.recalibrating`) and `domains` (:mod:`medtl.evaluation.left_out`); of several classes `all classes`,
with `answers` (:mod:`medtl.evaluation.refit_of_classes`) in place of the threshold. `no_refit`: older files say here why there are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from medtl import own_json
from medtl.contracts import VALIDATION
from medtl.estimates import difference, estimate, number, percent, signed
from medtl.evaluation.cases import Cases
from medtl.evaluation.drop import worse
from medtl.evaluation.here_of_classes import of_classes
from medtl.evaluation.left_out import Rule, by_domain
from medtl.evaluation.recalibrating import recalibrate
from medtl.evaluation.recalibration import METHODS
from medtl.evaluation.refit import event_of, refit_threshold
from medtl.evaluation.refit_of_classes import refit_answers
from medtl.evaluation.table import plural

FILE = "external.json"
LABELS = {
    "prevalence": "prevalence",
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "recall": "recall",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "brier": "Brier score",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
}
WORDS = dict(zip(METHODS, ("intercept", "intercept and slope"), strict=True))
Content = Mapping[str, Any]


def refits_of(cases: Cases, domains: ArrayLike, rule: Rule, unit: str) -> dict[str, Any]:
    """What an entry of `refits` has from images. `cases`: N images; `domains` (N,); `unit`: what their groups are (patient, lesion …)."""
    own = _of_two(cases, rule, unit) if cases.positive is not None else _of_several(cases, rule, unit)
    return {**own, "calibration": recalibrate(cases, unit), "domains": by_domain(cases, domains, rule, unit)}


def _of_two(cases: Cases, rule: Rule, unit: str) -> dict[str, Any]:
    ruleless = {"reason": "the package names no rule that a threshold could be chosen by"}
    return {
        "prevalence": float(event_of(cases)[cases.read].mean()) if cases.read.any() else None,
        "threshold": refit_threshold(cases, rule.choose, unit) if rule.choose is not None else ruleless,
    }


def _of_several(cases: Cases, rule: Rule, unit: str) -> dict[str, Any]:
    kept = {"reason": "the package answers as before its re-calibration, which is no rule that answers could be chosen by"}
    return {"answers": refit_answers(cases, rule.decide, unit) if rule.decide is not None else kept}


def read(folder: Path) -> dict[str, Any] | None:
    """The content of a folder's `external.json`, None where it has none. Raises MedtlError where it is damaged or of a newer format."""
    return own_json.read(folder / FILE, "evaluate the model again, into another folder")


def sentences(content: Content) -> list[str]:
    """The drop, what is worse by more than chance, and what choosing and calibrating anew would mend, the drop first."""
    told = list(_dropped(content))
    if content.get("no_refit"):
        return [*told, f"Nothing is re-fitted: {content['no_refit']}."]
    for name, each in content["refits"].items():
        start = f"{name}: " if len(content["refits"]) > 1 else ""
        refitted = of_classes(each, content["rule"]) if "answers" in each else (*_threshold(each, content["rule"]), *_calibration(each))
        told += [f"{start}{said}" for said in (*refitted, *_unmendable(each))]
    return told


def against(own: Mapping[str, Any], unit: str) -> str:
    """`its own test (1,038 images, 547 patients)`."""
    groups = f", {own['groups']:,} {plural(unit)}" if unit != "image" else ""
    chose = "; it chose the threshold, the calibration and the epoch, so the drop looks larger" if own["split"] == VALIDATION else ""
    return f"its own {own['split']} ({own['n']:,} images{groups}{chose})"


def expected_intercept(each: Mapping[str, Any]) -> float | None:
    """The calibration intercept that another prevalence alone would give: the difference of the log-odds of both."""
    here, there = each["prevalence"], each["calibrated_at"]
    if here is None or there is None or not (0 < here < 1 and 0 < there < 1):
        return None
    return math.log(here / (1 - here)) - math.log(there / (1 - there))


def _dropped(content: Content) -> Iterator[str]:
    if content["own"] is None:
        yield "The package holds no figures of its own hospital, so there is nothing to hold these against."
        return
    area = content["overall"]["auroc"]
    yield f"Held against {against(content['own'], content['own']['unit'])}: AUROC {_moved(area)}."
    found = [LABELS[key] for key in worse(content["overall"])]
    found += [f"{LABELS[key]} of {name}" for name, drops in content["per_class"].items() for key in worse(drops)]
    yield f"Worse here by more than chance: {', '.join(found)}." if found else "No figure is shown to be worse here."


def _moved(entry: Mapping[str, Any]) -> str:
    """`0.412 here, 0.999 there: -0.587 (-0.652 to -0.522)`."""
    here, there, gap = (entry[key] for key in ("here", "there", "difference"))
    if gap["value"] is None:
        return f"{estimate(here)} here; no difference ({gap['reason']})"
    return f"{number(here['value'])} here, {number(there['value'])} there: {difference(gap)}"


def _threshold(each: Mapping[str, Any], rule: str) -> Iterator[str]:
    found = each["threshold"]
    if "reason" in found:
        yield f"Threshold: {found['reason']}."
        return
    balanced = f"{number(found['after']['balanced_accuracy']['value'])} (guessing: 0.500)"
    yield (
        f"Threshold: shipped {number(each['shipped'])} ({_both(found['before'])}); its rule ({rule}) chooses {number(found['here'])} here, "
        f"which cross-fitted has {_both(found['after'])}; balanced accuracy {balanced}, "
        f"{difference(found['difference']['balanced_accuracy'])}."
    )


def _both(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {number(figures[key]['value'])}" for key in ("sensitivity", "specificity"))


def _unmendable(each: Mapping[str, Any]) -> Iterator[str]:
    """Where the order of the images is not shown to be better than chance, nothing that is fitted on top of it helps."""
    low = each["auroc"].get("low")
    if low is not None and low <= 0.5 and "reason" not in each["calibration"]:  # of too few, nothing is shown either way
        yield (
            f"No better order than chance is shown here (AUROC {estimate(each['auroc'])}): no threshold and no re-calibration mends that. "
            "It takes labels from here to learn from, or another model."
        )


def _calibration(each: Mapping[str, Any]) -> Iterator[str]:
    found = each["calibration"]
    if "reason" in found:
        if found["reason"] != each["threshold"].get("reason"):
            yield f"Calibration: {found['reason']}."
        return
    shipped, expected = found["as_shipped"], expected_intercept(each)
    shares = f"{percent(each['prevalence'])} for {percent(each['calibrated_at'] or 0)}"
    alone = "" if expected is None else f" (prevalence alone, {shares}: {signed(expected)})"
    slope = number(shipped["calibration_slope"]["value"]) if shipped["calibration_slope"]["value"] is not None else "n/a"
    told = [f"by {word}{_recalibrated(found[method])}" for method, word in WORDS.items()]
    yield (
        f"Calibration here: intercept {signed(shipped['calibration_intercept']['value'])}{alone}, slope {slope}. Brier score "
        f"{number(shipped['brier']['value'])} ({number(found['everybody'])} by telling everybody the prevalence); {'; '.join(told)}."
    )


def _recalibrated(own: Mapping[str, Any]) -> str:
    if "reason" in own:
        return f": not re-fitted, {own['reason']}"
    return f" {number(own['brier']['value'])}, {difference(own['brier_difference'])}"
