"""What a package remembers of its source, so that another hospital can hold its own images against it: `source.safetensors`.

Of validation images, or those held out of all folds, from which the network did not learn: where their features lie along the directions
of the training images, the answers, the truth, and what was measured, in random order, patients as numbers of this file alone. No picture,
no id, no name, no age, no date; measured numbers rounded. And how far off the guesses of the accuracy were on known shifts. It decides no
answer, so it is no part of the package's fingerprint; it names the fingerprint that it belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from medtl import own_json
from medtl.contracts import FORMAT
from medtl.decisions.outlyingness import Detector
from medtl.errors import MedtlError
from medtl.files import write_atomically
from medtl.shift.accuracy import KnownShift
from medtl.shift.examine import Sample

FILE = "source.safetensors"
_DETECTOR = ("centre", "axes", "units", "reference")
_SAMPLE = {"groups": np.int64, "features": np.float64, "probabilities": np.float64, "predicted": np.int64, "truth": np.int64}
_NUMBER = "column "


@dataclass(frozen=True)
class Source:
    """A package's memory of where it comes from."""

    sample: Sample
    """`features` in the detector's coordinates."""
    detector: Detector
    """Fitted on training images: the coordinates that features of any image are compared in."""
    known: Sequence[KnownShift]
    classes: tuple[str, ...]
    unit: str
    """What a group is: patient, lesion …"""
    fingerprint: str
    """Of the package."""


def save(source: Source, folder: Path) -> Path:
    """Write the file into a package's folder, in place of an earlier one. Returns its path."""
    arrays: dict[str, NDArray[Any]] = {f"detector {name}": getattr(source.detector, name) for name in _DETECTOR}
    arrays |= {name: _stored(getattr(source.sample, name)) for name in _SAMPLE if getattr(source.sample, name) is not None}
    words = {}
    for name in source.sample.columns.columns:
        values = source.sample.columns[name]
        if values.dtype.kind == "f":
            arrays[_NUMBER + name] = values.to_numpy(np.float64)
        else:
            words[name] = values.tolist()
    about = {
        "format": FORMAT, "method": source.detector.method, "columns": list(source.sample.columns.columns), "words": words,
        "known": [asdict(each) for each in source.known], "classes": list(source.classes), "unit": source.unit,
        "fingerprint": source.fingerprint,
    }  # fmt: skip
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    path = folder / FILE
    write_atomically(path, lambda place: save_file(contiguous, place, metadata={"about": json.dumps(about, allow_nan=False)}))
    return path


def read(folder: Path, fingerprint: str) -> Source | None:
    """What a package remembers; None where it remembers nothing. Raises MedtlError where the file is damaged or another model's."""
    path = folder / FILE
    if not path.is_file():
        return None
    with own_json.whole(path, "write it again with `medtl shift RUN`", SafetensorError):
        with safe_open(path, "np") as opened:
            about = json.loads(opened.metadata()["about"])
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
        own_json.refuse_newer(path, int(about["format"]))
        found = _source(about, arrays)
    if found.fingerprint != fingerprint:
        raise MedtlError(f"{path}: belongs to another model than model.json; write it again with `medtl shift RUN`")
    return found


def _source(about: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Source:
    columns = {
        name: arrays[_NUMBER + name] if _NUMBER + name in arrays else pd.Series(about["words"][name], dtype=str)
        for name in about["columns"]
    }
    given: dict[str, Any] = {name: arrays[name].astype(kind) if name in arrays else None for name, kind in _SAMPLE.items()}
    sample = Sample(columns=pd.DataFrame(columns, index=range(len(arrays["groups"]))), **given)
    detector = Detector(about["method"], *(arrays[f"detector {name}"] for name in _DETECTOR))
    known = tuple(KnownShift(**each) for each in about["known"])
    return Source(sample, detector, known, tuple(about["classes"]), about["unit"], about["fingerprint"])


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32 if values.dtype.kind == "f" else np.int32)
