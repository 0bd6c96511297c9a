"""Images to try the page with: those of a folder that the person who serves it names, else made ones, and these only for models that
learned from made images. A model of patients' images says nothing of a made one, and would be seen doing so."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medtl.app.desk import Desk
from medtl.app.page.held import Held, take
from medtl.errors import MedtlError
from medtl.phantom.making import make
from medtl.phantom.settings import CHEST_CLASSES, LESION_CLASSES, PhantomSettings

MOST = 6
_MADE = 2
"""Made examples for each kind of image."""
_SEED = 7_402
"""Of no shipped config: no model has learned from these."""


@dataclass(frozen=True)
class Example:
    """A button, and the upload that it stands for."""

    title: str
    label: str
    """The model that it was made for; empty: the file tells."""
    write: Callable[[Path], Path]
    """Puts its file below a folder, and says where."""

    def held(self) -> Held:
        """Like something that was uploaded: in the folder of all uploads, gone with its answer."""
        root = Path(tempfile.mkdtemp(dir=os.environ.get("GRADIO_TEMP_DIR"), prefix="example-"))
        try:
            return take([self.write(root)], root.parent)
        finally:
            shutil.rmtree(root, ignore_errors=True)


def examples_for(desk: Desk, folder: Path | None) -> list[Example]:
    """At most :data:`MOST`. Raises MedtlError where the folder is none."""
    if folder is not None:
        if not folder.is_dir():
            raise MedtlError(f"{folder}: is no folder of example images")
        files = sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))
        return [Example(each.name, "", _copying(each)) for each in files[:MOST]]
    found = []
    for label in desk.labels:
        package = desk.package(label)
        for kind, classes in (("chest", CHEST_CLASSES), ("lesions", LESION_CLASSES)):
            if package.synthetic and set(package.task.names) <= set(classes):
                settings = PhantomSettings.model_validate({"kind": kind, "patients": 2 * _MADE, "images": 1, "size": 256, "seed": _SEED})
                what = "chest" if kind == "chest" else "lesion"
                found += [Example(f"Synthetic {what} {k + 1}", label, _making(settings, k)) for k in range(_MADE)]
    return found[:MOST]


def _copying(file: Path) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        target = root / "one" / file.name
        target.parent.mkdir()
        return Path(shutil.copyfile(file, target))

    return write


def _making(settings: PhantomSettings, number: int) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        make(settings, root)
        return sorted((root / "images").iterdir())[number]

    return write
