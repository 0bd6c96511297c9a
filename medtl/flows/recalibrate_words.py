"""What `medtl recalibrate` says: what was fitted, from whom, what it is worth, and what was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medtl.estimates import difference, estimate, number, signed
from medtl.evaluation import answering
from medtl.evaluation.recalibration import METHODS
from medtl.evaluation.table import plural
from medtl.flows.recalibrate_candidate import Chosen
from medtl.model.format import PackageFile
from medtl.recalibrated import sentences as of_package

Content = Mapping[str, Any]
WORDS = dict(zip(METHODS, ("an intercept", "intercept and slope"), strict=True))


def together(reasons: Mapping[str, str]) -> str:
    """Why, of each question where there are several."""
    return "; ".join(f"{name}: {why}" if len(reasons) > 1 else why for name, why in reasons.items())


def sentences(content: Content) -> list[str]:
    """From whom, and of each question what was fitted, order and probabilities before and after."""
    told = [f"{content['images']:,} images of {content['groups']:,} {plural(content['unit'])}."] if content["unit"] != "image" else []
    told = told or [f"{content['images']:,} images; without patient ids each counts for itself, so intervals may be too narrow."]
    for name, each in content["questions"].items():
        start = f"{name}: " if len(content["questions"]) > 1 else ""
        told += [f"{start}{said}" for said in (_question(each) if "method" in each else (f"{each['reason']}.",))]
    return told


def _question(each: Content) -> Iterator[str]:
    groups = ", ".join(f"{count:,} of {name}" for name, count in each["groups"].items())
    line, before, after = each["fitted"], each["before"], each["after"]
    by = line["intercept"]
    many = not isinstance(by, int | float)
    plus = ", ".join(signed(one) for one in by) if many else f"{signed(by)}{_interval(each)}"
    slope = f" and slope {number(line['slope'])}" if each["method"] == METHODS[1] else ""
    yield f"Fitted, from {groups}: {'intercepts' if many else 'intercept'} {plus}{slope}.{_slope(each)}"
    yield (
        f"Brier score {estimate(before['brier'])} as shipped, {estimate(after['brier'])} re-calibrated by other patients: "
        f"{difference(after['brier_difference'])}; {number(each['everybody'])} by telling everybody the prevalence."
    )
    if not many:
        both = ((what, before[key], after[key]) for what, key in (("intercept", "calibration_intercept"), ("slope", "calibration_slope")))
        moved = "; ".join(f"{what} {_signed(old, what)} before, {_signed(new, what)} after" for what, old, new in both)
        yield f"Calibration here: {moved}."
    moved = f"{estimate(after['auroc'])} re-calibrated" if "auroc" in after else "a re-calibration does not change it"
    yield f"Order (AUROC): {estimate(each['auroc'])}; {moved}."


def _interval(each: Content) -> str:
    """Of an intercept by itself, which is the calibration intercept of the shipped probabilities."""
    found = each["before"]["calibration_intercept"]
    alone = each["method"] == METHODS[0] and found.get("low") is not None
    return f" ({signed(found['low'])} to {signed(found['high'])})" if alone else ""


def _slope(each: Content) -> str:
    instead = each.get("slope_instead")
    if instead is None:
        return " Too few for a slope, which takes 50 of each."
    if instead.get("value") is None:
        return f" No slope: {instead['reason']}."
    return f" What the slope adds to the Brier score: {difference(instead)}."


def _signed(figure: Content, what: str) -> str:
    if figure.get("value") is None:
        return f"n/a ({figure.get('reason')})"
    if what == "slope":
        return estimate(figure)
    inside = f" ({signed(figure['low'])} to {signed(figure['high'])})" if figure.get("low") is not None else ""
    return f"{signed(figure['value'])}{inside}"


def thresholds(chosen: Mapping[str, Chosen | str]) -> dict[str, dict[str, Any]]:
    """For `recalibration.json`: of each question the threshold chosen anew and its evidence, or why there is none."""
    return {
        name: {"reason": each} if isinstance(each, str) else {"chosen": each.value, "reached": each.reached, **each.evidence}
        for name, each in chosen.items()
    }


def written(content: Content, package: PackageFile, entry: Content, folder: Path, parent: Path) -> Iterator[str]:
    """What was released, what became of the thresholds, and what is called and answered here (`entry` of metrics.json)."""
    yield f"Released: {content['reason']}."
    for name, each in content["thresholds"].items():
        start = f"{name}: " if len(content["thresholds"]) > 1 else ""
        if "reason" in each:
            yield f"{start}The threshold is moved with the probabilities and not chosen anew: {each['reason']}."
            continue
        moves = each["difference"].items()
        shares = ", ".join(f"{what} {number(each['after'][what]['value'])} ({signed(gap['value'])})" for what, gap in moves)
        yield f"{start}Threshold chosen anew: {number(each['chosen'])}; cross-fitted {shares}."
    yield from of_package(package.model_dump(mode="json", include={"lineage"}))
    yield _called(entry, package.task.kind == "multi")
    yield from (each for each in (*answering.lines(entry)[:1], package.helped(entry)) if each)
    yield f"model: {folder}\nthe model before it is as it was: {parent}"


def _called(entry: Content, several: bool) -> str:
    """How many of each class are called so here, cross-fitted where thresholds were chosen anew."""
    each = [f"{name} {estimate(own['recall'])}" for name, own in entry["per_class"].items()]
    others = [f"{name} {estimate(own['specificity'])}" for name, own in entry["per_class"].items()] if several else []
    return f"Recall here: {', '.join(each)}." + (f" Specificity: {', '.join(others)}." if others else "")
