"""A phantom set on disk: `images/`, `manifest.csv` (a standard manifest), `truth.csv` and a README; whole or absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from medtl.errors import MedtlError
from medtl.phantom import dicom, photograph, truth
from medtl.phantom.cases import Case, draw_cases
from medtl.phantom.lesion import TRAITS
from medtl.phantom.radiograph import radiograph
from medtl.phantom.settings import PhantomSettings
from medtl.phantom.truth import Place

VERSION = 2
"""Of the pictures: a change of what the same settings give is a new number, and so a new folder."""
MANIFEST = "manifest.csv"
_README = """# Synthetic images: no patient is shown

Computed by medtl for tests and demonstrations. They teach nothing about disease, and no figure measured on them says how well
anything works on patients.

- `images/`: {images} files
- `manifest.csv`: a row per image: label, patient, age, sex, view, a split
- `truth.csv`: what is where in each picture, in pixels, and every fault that was planted

Settings: {settings}
"""


def folder_name(settings: PhantomSettings) -> str:
    """`phantom-<kind>-<hash of the settings>`: other settings, another folder."""
    content = json.dumps([VERSION, settings.model_dump(mode="json")], sort_keys=True)
    return f"phantom-{settings.kind}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def materialise(settings: PhantomSettings, root: Path) -> Path:
    """The set's folder below `root`, made unless it is there. Of several processes that ask at once, the first to finish names it.

    Raises MedtlError where nothing can be written there.
    """
    folder = root / folder_name(settings)
    if folder.is_dir():
        return folder
    try:
        with _beside(folder) as making:
            make(settings, making)
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                _take_name(making, folder)
    except OSError as error:
        reason = error.strerror or "no reason given"
        raise MedtlError(f"the made images cannot be written below {root} ({reason}); give a folder of your own with --data") from None
    return folder


def make(settings: PhantomSettings, folder: Path) -> None:
    """Write the set into an existing folder. The same settings give the same bytes."""
    (folder / "images").mkdir()
    cases = draw_cases(settings)
    files: dict[str, str] = {}
    known: dict[str, list[dict[str, Any]]] = {}
    rows, truths = [], []
    for case in cases:
        if case.copy_of:  # originals come first: their patients have the lower numbers
            file = f"images/{case.name}{Path(files[case.copy_of]).suffix}"
            shutil.copyfile(folder / files[case.copy_of], folder / file)
            known[case.name] = known[case.copy_of]
        else:
            content, suffix, known[case.name] = _image(case, settings)
            file = f"images/{case.name}.{suffix}"
            (folder / file).write_bytes(content)
        files[case.name] = file
        rows.append(_manifest_row(case, file, settings))
        truths += [_identity(case, file, files, settings) | finding for finding in known[case.name]]
    pd.DataFrame(rows).to_csv(folder / MANIFEST, index=False, lineterminator="\n")
    pd.DataFrame(truths, columns=truth.COLUMNS).to_csv(folder / truth.FILE, index=False, float_format="%.4f", lineterminator="\n")
    text = _README.format(images=len(cases), settings=settings.model_dump_json())
    (folder / "README.md").write_text(text, encoding="utf-8")


def _image(case: Case, settings: PhantomSettings) -> tuple[bytes, str, list[dict[str, Any]]]:
    """The file's content, its suffix, and what is where in it."""
    if settings.kind == "chest":
        drawn = radiograph(case, settings)
        content, suffix = dicom.encode(case, drawn, settings.hospital), "dcm"
        if case.broken == "no pixel data":
            content = dicom.without_pixels(content)
        shape = drawn.shown.shape
        found = [_placed(place, shape) for place in drawn.places] or [_shape(shape)]
    else:
        photo = photograph.photograph(case, settings)
        content, suffix, shape = photograph.encode(photo), photo.format, photo.pixels.shape
        found = [_placed(photo.place, shape) | {name: getattr(photo.look, name) for name in TRAITS}]
    if case.broken == "truncated":
        content = content[: len(content) * 2 // 5]
    return content, suffix, found


def _shape(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"rows": shape[0], "columns": shape[1], "finding": ""}


def _placed(place: Place, shape: tuple[int, ...]) -> dict[str, Any]:
    left, top, right, bottom = place.box(shape)
    return _shape(shape) | {
        "finding": place.finding, "x": place.x, "y": place.y, "a": place.a, "b": place.b, "angle": place.angle,
        "left": left, "top": top, "right": right, "bottom": bottom, "strength": place.strength,
    }  # fmt: skip


def _manifest_row(case: Case, file: str, settings: PhantomSettings) -> dict[str, Any]:
    row = {"image": file, "label": case.label, "patient_id": case.patient, "age": case.age, "sex": case.sex}
    own = {"lesion_id": case.lesion} if settings.kind == "lesions" else {"view": case.view}
    return row | own | {"hospital": settings.hospital, "domain": f"synthetic-{settings.hospital}", "split": case.split}


def _identity(case: Case, file: str, files: dict[str, str], settings: PhantomSettings) -> dict[str, Any]:
    faults = [
        "wrong label" if case.label != case.truth else "",
        "in two splits" if case.torn else "",
        f"copy of {files[case.copy_of]}" if case.copy_of else "",
        case.broken,
    ]
    return {
        "image": file, "patient_id": case.patient, "lesion_id": case.lesion, "hospital": settings.hospital, "truth": case.truth,
        "label": case.label, "marker": "yes" if case.marker else "", "faults": "|".join(filter(None, faults)),
    }  # fmt: skip


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A hidden folder beside, gone afterwards unless it was renamed."""
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield making
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _take_name(making: Path, folder: Path) -> None:
    """Rename, unless another process was faster and its folder (the same content) is there."""
    making.chmod(0o777 & ~_umask())
    try:
        os.rename(making, folder)
    except OSError:
        if not folder.is_dir():
            raise


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
