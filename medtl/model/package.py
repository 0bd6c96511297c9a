"""The model package: a folder that holds everything a prediction needs, and nothing executable.

`model.json` (see `format`), `weights-0.safetensors` … (one per member), `gate.safetensors` (see `gate`), `training-images.json`
(see `seen`), `metrics.json`, `card.md`.
"""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import medtl
from medtl import card
from medtl.decisions.threshold import said
from medtl.errors import MedtlError
from medtl.files import UNFINISHED, write_json, write_text
from medtl.model import format as package_format
from medtl.model.format import Ensemble, PackageFile, WeightsFile, file_sha256, signed
from medtl.model.model import Model
from medtl.model.operating_point import FittedOn, Guarantee, OperatingPoint
from medtl.model.seen import write_seen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from medtl.contracts import Threshold
    from medtl.decisions.conformal import Sets
    from medtl.decisions.methods import Calibrated
    from medtl.experiment.schema import Experiment
    from medtl.model.gate import Gate
    from medtl.module.classifier import Classifier

__all__ = ["Model", "copy", "refresh_metrics", "save"]


def save(
    folder: Path,
    members: Sequence[Classifier],
    experiment: Experiment,
    calibration: Calibrated,
    threshold: Threshold | None,
    prior_shift: ArrayLike,
    metrics: Mapping[str, Any] | None = None,
    training: Mapping[str, Any] | None = None,
    *,
    fitted_on: str = "validation",
    fitted_n: int = 0,
    training_images: Iterable[str] | None = None,
    lineage: Mapping[str, Any] | None = None,
    adjusted: Sequence[float] | None = None,
    held_out_groups: int | None = None,
    rule: str = "",
    gate: Gate | None = None,
    conformal: Sets | None = None,
    guarantee: Guarantee | None = None,
    prevalence: Threshold | None = None,
    calibrated_on: FittedOn | None = None,
    synthetic: bool = False,
) -> PackageFile:
    """Write a package, whole or not at all: into a temporary folder beside it, which then takes its place.

    `prior_shift`: (K,) for all members, or (M, K). `metrics`: the content of metrics.json, copied. `training_images`: pixel hashes
    of the images learned from (kept truncated). `fitted_on`, `fitted_n`: the images that chose calibration and threshold; of the
    threshold alone where `calibrated_on` names others for the calibration.
    `adjusted`: what the decision takes off each class's log-probability (:func:`medtl.decisions.threshold.adjustment`).
    `rule`: by which the threshold was chosen, in words; default: as the experiment names it.
    `gate`: of the first member, whose features it judges by.
    `guarantee`: what the threshold promises. `prevalence`: at which the probabilities hold.
    `held_out_groups`: so many groups that no member has learned from fitted the calibration of all together; None: an ensemble is
    unverified.
    `synthetic`: learned from made images, whatever the cohorts are called.
    Raises MedtlError where a weight is not finite or the folder cannot be written.
    """
    with written_beside(Path(folder)) as place:
        package = signed(
            {
                "medtl": medtl.__version__,
                "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "name": experiment.name,
                "task": experiment.task,
                "scope": experiment.scope,
                "image": experiment.image,
                "network": members[0].network.description,
                "weights": _write_members(members, place),
                "flips": experiment.decision.flips,
                "prior_shift": _per_member(prior_shift, len(members)),
                "calibration": calibration.to_json(),
                "operating_point": OperatingPoint(
                    rule=_rule(rule, experiment, threshold, adjusted),
                    threshold=threshold,
                    adjusted=adjusted,
                    split=fitted_on,
                    n=fitted_n,
                    guarantee=guarantee,
                    prevalence=prevalence,
                    calibrated_on=calibrated_on,
                ),
                "gate": gate.save(place) if gate is not None else None,
                "conformal": conformal.to_json() if conformal is not None else None,
                "ensemble": _ensemble(experiment, held_out_groups) if len(members) > 1 else None,
                "training": dict(training or {}),
                "lineage": dict(lineage or {}),
                "synthetic": synthetic
                or any(cohort.name == "phantom" or cohort.domain.startswith("synthetic") for cohort in experiment.cohorts),
            }
        )
        package_format.write(package, place)
        if training_images is not None:
            write_seen(training_images, place)
        write_companions(package, metrics, place)
    return package


def refresh_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Bring a package's `metrics.json` and `card.md` up to date after an evaluation; all else stays as it is."""
    write_companions(package_format.read(folder), metrics, folder)


def copy(package: Path, folder: Path) -> None:
    """Put a whole package into the place of `folder`, as :func:`save` does."""
    with written_beside(Path(folder)) as place:
        shutil.copytree(package, place, dirs_exist_ok=True)


def _ensemble(experiment: Experiment, held_out_groups: int | None) -> Ensemble:
    of: Literal["folds", "seeds"] = "seeds" if experiment.split.fits is None else "folds"
    return Ensemble(of=of, verified=held_out_groups is not None, groups=held_out_groups or 0)


def _rule(rule: str, experiment: Experiment, threshold: Threshold | None, adjusted: Sequence[float] | None) -> str:
    if threshold is not None:
        return rule or said(experiment.decision.threshold)
    return "argmax" if adjusted is None else "adjusted"


def _write_members(members: Sequence[Classifier], place: Path) -> list[WeightsFile]:
    from medtl.model.weights import save_member

    written = []
    for i, member in enumerate(members):
        path = place / f"weights-{i}.safetensors"
        save_member(member, path)
        written.append(WeightsFile(file=path.name, sha256=file_sha256(path), provenance=dict(member.network.provenance)))
    return written


def _per_member(prior_shift: ArrayLike, members: int) -> list[list[float]]:
    import numpy as np

    shift = np.asarray(prior_shift, np.float64)
    return [[float(value) for value in row] for row in np.broadcast_to(shift, (members, shift.shape[-1]))]


def write_companions(package: PackageFile, metrics: Mapping[str, Any] | None, place: Path) -> None:
    if metrics is not None:
        write_json(place / "metrics.json", metrics)
    write_text(place / "card.md", card.text(package.model_dump(mode="json"), metrics))


@contextmanager
def written_beside(folder: Path) -> Iterator[Path]:
    """A temporary folder that becomes `folder` when the block ends well, and vanishes when it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=UNFINISHED, dir=folder.parent))
    place.chmod(0o755)
    try:
        yield place
        for file in place.iterdir():
            _sync(file)
        _swap(place, folder)
    except OSError as error:
        raise MedtlError(f"{folder}: the model package cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _sync(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())


def _swap(place: Path, folder: Path) -> None:
    """`place` takes the name `folder`; an earlier package of that name makes room first, for a full folder cannot be renamed over."""
    if not folder.exists():
        os.replace(place, folder)
        return
    earlier = Path(tempfile.mkdtemp(prefix=f".{folder.name}-earlier-", dir=folder.parent))
    os.replace(folder, earlier / folder.name)
    os.replace(place, folder)
    shutil.rmtree(earlier)
