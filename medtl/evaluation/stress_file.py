"""stress.json: what was measured under stress and does not follow from the predictions, by split: probes of the features, saliency."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medtl import own_json
from medtl.files import write_json

FILE, FORMAT = "stress.json", 1


def read(folder: Path) -> dict[str, Any]:
    """Split → `{"probes": {…}, "saliency": {…}}`; empty where there is none.

    Raises MedtlError where it is damaged, or of a newer format.
    """
    path, mend = folder / FILE, "write it again: medtl evaluate … --stress"
    content = own_json.read(path, mend)
    with own_json.whole(path, mend):
        return {} if content is None else dict(content["splits"])


def keep(further: Mapping[str, Any] | None, folder: Path, split: str) -> None:
    """Put one split's into the file; None takes what was there of an earlier model or look."""
    splits = {name: each for name, each in read(folder).items() if name != split}
    if further is not None:
        splits[split] = dict(further)
    if splits:
        write_json(folder / FILE, {"format": FORMAT, "splits": splits})
    else:
        (folder / FILE).unlink(missing_ok=True)
