"""What a trial with adaptation says of its target's test images, whose labels no training saw: as files beside the trials.

`target/<trial>/` of a study holds `answers/<candidate>.csv` (predictions tables, source-only among them), `ceilings/<name>.csv` (what could
be had: a model trained on the target's own labels, or images as they were before a made shift), `brightness.csv` (a row per image: its
brightness, and what brightness alone says, by whose labels it was learned), and `opened.json`, which is written last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl import own_json, predictions
from medtl.adaptation import SOURCE_ONLY
from medtl.contracts import FORMAT
from medtl.document.table import write_csv
from medtl.errors import MedtlError
from medtl.files import write_atomically, write_json
from medtl.records import KEY

FOLDER, FILE, BRIGHTNESS = "target", "opened.json", "brightness.csv"
AGAIN = "delete its folder: the same command opens the labels again, and counts the look"
TRAINED_THERE, AS_TAKEN = "target-trained", "as taken"
BY_SOURCE, BY_TARGET = "brightness, by the source's labels", "brightness, by the target's labels"


@dataclass(frozen=True)
class Opened:
    """One trial's."""

    domain: str
    primary: str
    """The method that the config names."""
    release: Mapping[str, Any]
    """The content of release.json."""
    answers: Mapping[str, pd.DataFrame]
    """Candidate -> predictions of the same images in the same order."""
    ceilings: Mapping[str, pd.DataFrame]
    brightness: NDArray[np.float64]
    """(N,)"""
    by_brightness: Mapping[str, NDArray[np.float64]]
    """By whose labels -> (N, K) probabilities of brightness alone."""
    looks: Mapping[str, int] = field(default_factory=dict)
    """`look`: the last one's number, and `models`: how many had looked by then."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Ceiling -> why it is not there."""

    @property
    def methods(self) -> list[str]:
        """All candidates but source-only, the primary first."""
        return sorted((name for name in self.answers if name != SOURCE_ONLY), key=lambda name: name != self.primary)


def is_opened(study: Path, trial: str) -> bool:
    """Whether the target's labels were opened for a trial."""
    return (study / FOLDER / trial / FILE).is_file()


def write(opened: Opened, study: Path, trial: str) -> None:
    """Keep it whole: without its last file it counts as not opened."""
    place = study / FOLDER / trial
    for kind, tables in (("answers", opened.answers), ("ceilings", opened.ceilings)):
        (place / kind).mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            write_atomically(place / kind / f"{name}.csv", lambda path, table=table: predictions.write(table, path))
    alone = {f"{who}|{k}": p[:, k] for who, p in opened.by_brightness.items() for k in range(p.shape[1])}
    keys = opened.answers[SOURCE_ONLY][KEY].reset_index(drop=True)
    write_csv(pd.concat([keys, pd.DataFrame({"brightness": opened.brightness, **alone})], axis=1), place / BRIGHTNESS)
    content = {"domain": opened.domain, "primary": opened.primary, "release": opened.release}
    order = {"candidates": list(opened.answers), "ceilings": list(opened.ceilings)}
    write_json(place / FILE, {"format": FORMAT, **content, **order, "looks": dict(opened.looks), "missing": dict(opened.missing)})


def read(study: Path, trial: str) -> Opened:
    """As :func:`write` left it. Raises MedtlError where it is damaged."""
    place = study / FOLDER / trial
    content = own_json.read(place / FILE, AGAIN)
    if content is None:
        raise MedtlError(f"{place / FILE}: is not there; {AGAIN}")
    with own_json.whole(place, AGAIN):
        beside = pd.read_csv(place / BRIGHTNESS)
        return Opened(
            content["domain"], content["primary"], content["release"],
            {name: predictions.read(place / "answers" / f"{name}.csv") for name in content["candidates"]},
            {name: predictions.read(place / "ceilings" / f"{name}.csv") for name in content["ceilings"]},
            beside["brightness"].to_numpy(np.float64), _by_brightness(beside), content["looks"], content["missing"],
        )  # fmt: skip


def _by_brightness(table: pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    names = dict.fromkeys(column.partition("|")[0] for column in table.columns if "|" in column)
    return {who: table[[column for column in table.columns if column.startswith(f"{who}|")]].to_numpy(np.float64) for who in names}
