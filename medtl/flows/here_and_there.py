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
from medtl.evaluation.refit import Choose
from medtl.files import write_json
from medtl.model.format import PackageFile
from medtl.model.prevalence import calibrated_at
from medtl.predictions import PLAIN
from medtl.records import KEY

SEVERAL = "of several classes the most probable one is answered; there is no threshold, and a re-calibration is made at training"


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
    rule = rule_of(package.operating_point.rule)
    named = "" if rule is None else threshold.said(rule)
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
        "no_refit": SEVERAL if package.operating_point.threshold is None else "",
        "refits": dict(_refits(package, calibrated_at(package, own_metrics), predictions, metrics, _chooser(rule))),
    }


def _chooser(rule: Any) -> Choose | None:
    def choose(p: NDArray[np.float64], event: NDArray[np.bool_]) -> float:
        return threshold.fit(p, event, rule).value

    return None if rule is None else choose


def _refits(
    package: PackageFile, held_at: Mapping[str, float], predictions: pd.DataFrame, metrics: Mapping[str, Any], choose: Choose | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    shipped = package.operating_point.threshold
    if shipped is None:
        return
    cuts = shipped if isinstance(shipped, tuple) else (shipped,)
    for (name, cases, domains), cut in zip(_sides(predictions, package.task), cuts, strict=True):
        stored = {"auroc": metrics["per_class"][name]["auroc"], "shipped": cut, "calibrated_at": held_at.get(name)}
        yield name, {**stored, **refits_of(cases, domains, choose)}


def _sides(predictions: pd.DataFrame, task: Task) -> Iterator[tuple[str, Cases, NDArray[np.str_]]]:
    """The positive class of two, or each finding: its name, images of which it is known, and where they are from."""
    rows = predictions[(predictions["member"] == "") & (predictions["view"] == PLAIN) & (predictions["truth"] != "")].sort_values(KEY)
    domains = rows["domain"].to_numpy(str)
    if task.positive_index is not None:
        yield task.names[task.positive_index], from_table(rows, task), domains
        return
    told = findings_from_table(rows, task)
    for index, name in enumerate(task.names):
        yield name, told.one(index), domains[np.isfinite(told.truth[:, index])]
