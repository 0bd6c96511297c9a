"""Who taught and who judged a model and those it descends from; and that nobody does both, or judges twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import predictions, records
from medtl.contracts import CALIBRATION, EXCLUDED, EXTERNAL, TEST, TRAIN, VALIDATION
from medtl.errors import GateRefusal, listed
from medtl.flows.run import CANDIDATES
from medtl.flows.update_sets import REFERENCE, Sets
from medtl.model.ancestry import Ancestry, hashed, read_ancestry
from medtl.model.format import PackageFile
from medtl.model.seen import truncated
from medtl.records import KEY

_TAUGHT, _JUDGED = (TRAIN, VALIDATION, CALIBRATION), (TEST, EXTERNAL)
UNKNOWN = (
    "the run that the model came from is not beside it: patients of its test set, and others of its training patients' images, "
    "cannot be known again; see to it that none of them is among these"
)


def ancestry_of(package: Path) -> tuple[Ancestry, bool]:
    """What the package remembers and its run's records say; and whether that is all there is to know of patients."""
    remembered, rows = read_ancestry(package), _records_beside(package)
    found = remembered or Ancestry()
    if rows is None:
        return found, remembered is not None
    taught, judged = rows[rows["split"].isin(_TAUGHT) | (rows["fold"] != "")], rows[rows["split"].isin(_JUDGED)]
    decided = [predictions.read(table)["group_id"] for table in package.parent.glob(f"{CANDIDATES}/*/target.csv")]
    own = Ancestry(patients(taught), patients(judged).union(*map(hashed, decided)), _pixels(judged, package.parent))
    return found | own, True


def taught_before(sets: Sets, before: Ancestry, seen: frozenset[str]) -> NDArray[np.bool_]:
    """(N,) images of patients that taught the model, or that did so themselves (`seen`, of its package).

    Raises GateRefusal where an image or patient judged a model of the lineage, where one of the reference taught it, and where a patient of
    the reference is also new or replayed.
    """
    rows, reference = sets.rows, sets.roles == REFERENCE
    usable = (rows["split"] != EXCLUDED).to_numpy()
    taught, judged = known_among(sets, before, seen)
    shared = rows["group_id"].isin(set(rows.loc[reference, "group_id"]) & set(rows.loc[~reference, "group_id"])).to_numpy()
    for found, what in (
        (judged, "stand in an earlier test or reference set of this model's lineage: who has judged once neither teaches nor judges again"),
        (taught & reference, "of the reference taught the model: it needs patients that taught nothing and chose nothing"),
        (shared & reference, "of the reference are also among the new or replayed ones, by patient or by picture"),
    ):
        own = rows[found & usable]
        if len(own):
            patients = own["group_id"].nunique()
            named = listed(own["image"], most=3)
            raise GateRefusal(f"{len(own):,} images of {patients:,} patients {what}; leave them out ({named})")
    return taught


def known_among(sets: Sets, before: Ancestry, seen: frozenset[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N,) images that taught a model of the lineage, or whose patient did; and (N,) those that judged one, or whose patient did."""
    pixels = sets.store.measurements["pixel_hash"].map(truncated)
    taught = _any_id(sets.rows, before.taught) | pixels.isin(seen).to_numpy()
    return taught, _any_id(sets.rows, before.judged) | pixels.isin(before.judged_images).to_numpy()


def descent(parent: PackageFile) -> dict[str, Any]:
    """`parent` and `ancestors` (oldest first) of a model made from this one."""
    earlier = parent.lineage
    ancestors = [*earlier.get("ancestors", []), *([earlier["parent"]["fingerprint"]] if "parent" in earlier else [])]
    return {"parent": {"name": parent.name, "fingerprint": parent.fingerprint}, "ancestors": ancestors}


def ancestry_with(before: Ancestry, sets: Sets) -> Ancestry:
    """What the updated model's package is to remember."""
    rows, pixels = sets.rows, sets.store.measurements["pixel_hash"]
    judged = rows["split"].isin(_JUDGED)
    own = Ancestry(patients(rows[rows["split"].isin(_TAUGHT)]), patients(rows[judged]), hashed(pixels[judged.to_numpy()]))
    return before | own


def _records_beside(package: Path) -> pd.DataFrame | None:
    file = package.absolute().parent / "records.csv"
    return records.read(file) if package.absolute().name == "model" and file.is_file() else None


def patients(rows: pd.DataFrame) -> frozenset[str]:
    """By the patient's own id, and by that of the group, which stands for several of one patient."""
    return hashed(rows["patient_id"]) | hashed(rows["group_id"])


def _any_id(rows: pd.DataFrame, known: frozenset[str]) -> NDArray[np.bool_]:
    found = [rows[column].map(lambda each: bool(each) and truncated(each) in known) for column in ("patient_id", "group_id")]
    return np.asarray(found[0] | found[1], bool)


def _pixels(rows: pd.DataFrame, run: Path) -> frozenset[str]:
    """Of these rows' images, as the run measured them."""
    file = run / "measurements.csv"
    if not file.is_file():
        return frozenset()
    measured = pd.read_csv(file, dtype=str, keep_default_na=False, usecols=[*KEY, "pixel_hash"]).astype({"frame": int})
    return hashed(rows[KEY].merge(measured, on=KEY)["pixel_hash"])
