"""Outside figures held against the model's own, with what a threshold and a calibration fitted anew would be worth (`external.json`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.contracts import FORMAT, Task
from medtl.decisions import threshold
from medtl.decisions.rule_words import rule_of
from medtl.evaluation import drop
from medtl.evaluation.cases import Cases, findings_from_table, from_table
from medtl.evaluation.here_and_there import FILE, refits_of
from medtl.evaluation.left_out import Rule
from medtl.evaluation.recalibrating import ALL
from medtl.files import write_json
from medtl.model.format import PackageFile
from medtl.model.operating_point import OperatingPoint
from medtl.model.prevalence import calibrated_at
from medtl.predictions import PLAIN
from medtl.recalibrated import KEPT
from medtl.records import KEY


def hold_against_its_own(
    package: PackageFile, own: Mapping[str, Any] | None, predictions: pd.DataFrame, metrics: Mapping[str, Any], unit: str, folder: Path
) -> None:
    """Write `external.json` into `folder`; the arguments are those of :func:`content_of`."""
    write_json(folder / FILE, content_of(package, own, predictions, metrics, unit))


def content_of(
    package: PackageFile, own_metrics: Mapping[str, Any] | None, predictions: pd.DataFrame, metrics: Mapping[str, Any], unit: str
) -> dict[str, Any]:
    """The content of `external.json`: `predictions` judged here, `metrics` their entry of metrics.json, `own_metrics` the package's."""
    task, found = package.task, drop.own_split(own_metrics or {})
    rule, named = _rule(package)
    own = (
        None
        if found is None
        else {"split": found[0], "unit": (own_metrics or {})["unit"], **{key: found[1][key] for key in ("n", "groups")}}
    )
    return {
        "format": FORMAT,
        "model": package.name,
        "fingerprint": package.fingerprint,
        "unit": unit,
        "own": own,
        "overall": {} if found is None else drop.overall(metrics, found[1], task),
        "per_class": {} if found is None else drop.per_class(metrics, found[1], task),
        "rule": named,
        "refits": _refits(package, calibrated_at(package, own_metrics), predictions, metrics, rule, unit),
    }


def _rule(package: PackageFile) -> tuple[Rule, str]:
    """How the package answers, to be chosen anew, and in words; neither where it names no rule."""
    point = package.operating_point
    if point.threshold is None:
        return _rule_of_classes(point)
    found = rule_of(point.rule)
    if found is None:
        return Rule(), ""

    def choose(p: NDArray[np.float64], event: NDArray[np.bool_]) -> float:
        return threshold.fit(p, event, found).value

    return Rule(choose=choose), threshold.said(found)


def _rule_of_classes(point: OperatingPoint) -> tuple[Rule, str]:
    if point.rule == KEPT:
        return Rule(), ""
    strength = threshold.strength(point.adjusted)

    def decide(common: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.int64]:
        return threshold.decide(p, adjusted=threshold.adjustment(common, strength))

    weighed = f", each divided by its frequency to the power of {strength:.3g}" if strength else ""
    return Rule(decide=decide), f"the most probable class{weighed}"


def _refits(
    package: PackageFile, held_at: Mapping[str, float], predictions: pd.DataFrame, metrics: Mapping[str, Any], rule: Rule, unit: str
) -> dict[str, dict[str, Any]]:
    sides, shipped = _sides(predictions, package.task), package.operating_point.threshold
    if shipped is None:
        return {name: {"auroc": metrics["auroc"], **refits_of(cases, domains, rule, unit)} for name, cases, domains in sides}
    cuts = shipped if isinstance(shipped, tuple) else (shipped,)
    return {
        name: {
            "auroc": metrics["per_class"][name]["auroc"],
            "shipped": cut,
            "calibrated_at": held_at.get(name),
            **refits_of(cases, domains, rule, unit),
        }
        for (name, cases, domains), cut in zip(sides, cuts, strict=True)
    }


def _sides(predictions: pd.DataFrame, task: Task) -> Iterator[tuple[str, Cases, NDArray[np.str_]]]:
    """The positive class of two, all classes of several, or each finding: its name, images of which it is known, where they are from."""
    rows = predictions[(predictions["member"] == "") & (predictions["view"] == PLAIN) & (predictions["truth"] != "")].sort_values(KEY)
    domains = rows["domain"].to_numpy(str)
    if task.kind == "single":
        yield ALL if task.positive_index is None else task.names[task.positive_index], from_table(rows, task), domains
        return
    told = findings_from_table(rows, task)
    for index, name in enumerate(task.names):
        yield name, told.one(index), domains[np.isfinite(told.truth[:, index])]
