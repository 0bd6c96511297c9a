"""A package made from another: the same networks, gate and settings, other probabilities and thresholds."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import medtl
from medtl.decisions.methods import Calibrated
from medtl.model import format as package_format
from medtl.model.ancestry import Ancestry, write_ancestry
from medtl.model.format import Ensemble, PackageFile, signed
from medtl.model.operating_point import OperatingPoint
from medtl.model.package import write_companions, written_beside
from medtl.model.seen import read_seen, write_seen


def save_recalibrated(
    folder: Path,
    parent: Path,
    *,
    calibration: Calibrated,
    operating_point: OperatingPoint,
    lineage: Mapping[str, Any],
    metrics: Mapping[str, Any],
    groups: int,
    calibrated_by: Iterable[str],
    ancestry: Ancestry,
) -> PackageFile:
    """Write the package `folder`, whole or not at all; `parent` is only read.

    `groups`: so many, of whom no network has learned, calibrated it. `calibrated_by`: the pixel hashes of their images, which are from now
    on among those that the model was chosen by. What was fitted for the parent's probabilities (guarantee, conformal sets, its memory of
    its source, its figures) is left behind. Raises MedtlError where the folder cannot be written.
    """
    old = package_format.read(parent)
    ensemble = Ensemble(of=old.ensemble.of, verified=True, groups=groups) if old.ensemble is not None else None
    with written_beside(folder) as place:
        for name in (*(member.file for member in old.weights), *([old.gate.file] if old.gate is not None else [])):
            shutil.copyfile(parent / name, place / name)
        package = signed(
            {
                **old.model_dump(by_alias=True),
                "medtl": medtl.__version__,
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "calibration": calibration.to_json(),
                "operating_point": operating_point,
                "conformal": None,
                "ensemble": ensemble,
                "lineage": dict(lineage),
            }
        )
        package_format.write(package, place)
        seen = read_seen(parent)
        if seen is not None:  # a list of some would pass for a list of all
            write_seen(calibrated_by, place, seen)
        write_ancestry(ancestry, place)
        write_companions(package, metrics, place)
    return package
