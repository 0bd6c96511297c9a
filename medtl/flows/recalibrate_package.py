"""The re-calibrated package: what it says of the place, by whom it was calibrated, and what it is not any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from medtl.contracts import EXTERNAL, FORMAT
from medtl.evaluation.cases import Cases
from medtl.evaluation.refit import event_of
from medtl.flows.recalibrate_candidate import Mending
from medtl.flows.update_lineage import descent, patients
from medtl.flows.update_sets import Sets
from medtl.model.ancestry import Ancestry
from medtl.model.derived import save_recalibrated
from medtl.model.format import PackageFile
from medtl.model.model import Model
from medtl.shift.source import FILE as SOURCE

THRESHOLD = Literal["moved", "refit"]


def save(
    folder: Path,
    old: Model,
    new: Model,
    sets: Sets,
    content: Mapping[str, Any],
    before: Ancestry,
    mending: Mending,
    asked: Mapping[str, Cases],
    entry: Mapping[str, Any],
    looks: int,
) -> PackageFile:
    """Write the package; `entry`: of metrics.json, cross-fitted. Its only figures are these: the parent's were of other probabilities."""
    rows = sets.rows.iloc[sets.positions(EXTERNAL)]
    domains = sorted(set(rows["domain"]) - {EXTERNAL})
    facts = {key: content[key] for key in ("images", "groups", "unit")}
    told = {
        **facts,
        "domains": domains,
        "prevalence": {name: float(event_of(each)[each.read].mean()) for name, each in asked.items() if each.positive is not None},
        "fitted": {name: fitted(each, new) for name, each in mending.items() if each.shown},
        "kept": [name for name, each in mending.items() if not each.shown],
        "threshold": "refit" if any("chosen" in each for each in content["thresholds"].values()) else "moved",
        "not_carried_over": not_carried_over(old),
    }
    pixels = sets.store.measurements["pixel_hash"].iloc[sets.positions(EXTERNAL)]
    return save_recalibrated(
        folder,
        old.folder,
        calibration=new.calibration,
        operating_point=new.package.operating_point,
        lineage={**descent(old.package), "sets": {"here": content["sha256"]}, "recalibrated": told},
        metrics={"format": FORMAT, "unit": content["unit"], "looks": looks, "splits": {EXTERNAL: entry}},
        groups=content["groups"],
        calibrated_by=pixels,
        ancestry=before | Ancestry(taught=patients(rows)),
    )


def fitted(mended: Any, new: Model) -> dict[str, Any]:
    """`method`, `slope` and `intercept`: a number, or of several classes one by name."""
    line = asdict(mended.line)
    by = line["intercept"]
    named = dict(zip(new.task.names, by, strict=True)) if isinstance(by, tuple) else by
    return {"method": mended.evidence["method"], "slope": line["slope"], "intercept": named}


def not_carried_over(old: Model) -> list[str]:
    """What was fitted for the older probabilities, in words."""
    given = {
        "the guarantee": old.package.operating_point.guarantee is not None,
        "conformal sets (images that they left unanswered get an answer)": old.package.conformal is not None,
        "what medtl shift keeps": (old.folder / SOURCE).is_file(),
    }
    return [what for what, there in given.items() if there]
