"""The images of an update: new ones, replayed ones and the reference, as one table; who may teach, choose and judge."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.cohorts.chance import draw
from medtl.cohorts.splitting import external_records
from medtl.contracts import EXCLUDED, EXTERNAL, TEST, TRAIN, VALIDATION
from medtl.errors import MedtlError, listed
from medtl.flows.manifest import Manifest, Outside, own_columns, read_manifest, read_teaching
from medtl.flows.packaging import images_of
from medtl.flows.update_replay import tied_by_id
from medtl.flows.update_settings import UpdateSettings
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.model import Model
from medtl.model.scope import set_aside
from medtl.records import KEY
from medtl.terminal import Line

NEW, REPLAY, REFERENCE = "new", "replay", "reference"
SEEN_MODEL, BASIS = "seen_model", "basis"
PROVEN = ("histology", "follow-up")
"""What a label may rest on that was given after the model's answer was seen: it does not follow from that answer."""
_YES, _NO = ("true", "1", "yes"), ("", "false", "0", "no")


@dataclass(frozen=True)
class Sets:
    """All images of an update, row for row: `rows` (records), `roles` (new, replay, reference) and the images of `store`."""

    rows: pd.DataFrame
    roles: NDArray[np.object_]
    store: Store
    plan: Outside
    left_out: Mapping[str, int]
    """Role → images whose labels were given after the model's answer was seen."""
    known: NDArray[np.bool_] | None = None
    """(N,) images of patients that taught the model before, or are replayed; None: not looked up."""

    def positions(self, split: str) -> NDArray[np.intp]:
        """Where the images of a split stand."""
        return np.flatnonzero(self.rows["split"] == split)

    def described(self) -> dict[str, dict[str, object]]:
        """Of each role: images and patients by split and class, and the SHA-256 over the sorted hashes of its files."""
        found: dict[str, dict[str, object]] = {}
        for role in dict.fromkeys(self.roles):
            own = self.rows[self.roles == role]
            used = own[own["split"] != EXCLUDED]
            found[role] = {
                "images": len(used),
                "patients": int(used["group_id"].nunique()),
                "splits": images_of(used, {split: split for split in sorted(set(used["split"]))}),
                "left_out_seen_model": self.left_out.get(role, 0),
                "not_usable": int((own["split"] == EXCLUDED).sum()),
                "sha256": hashlib.sha256("\n".join(sorted(used["sha256"])).encode()).hexdigest(),
            }
        return found


def read_sets(
    model: Model,
    files: Mapping[str, Path],
    column: Mapping[str, str],
    spellings: Mapping[str, str],
    line: Line,
    replayed: Manifest | None = None,
) -> Sets:
    """Read the manifests (role → file) and open all their images; every usable labelled one is in the split `external` so far.

    column: for whichever of them have a column of that name (:func:`medtl.flows.manifest.own_columns`). replayed: what is replayed, where
    a run says it and no file does.
    Raises MedtlError as :func:`medtl.flows.manifest.read_manifest`, or where an image stands in two manifests.
    """
    tables, left_out, plans, roots = [], {}, [], {}
    read = _read(model, files, column, spellings)
    if replayed is not None:
        read[REPLAY] = replayed
    for role, given in read.items():
        for note in given.notes:
            line.keep(f"{role}: {note}")
        table, left_out[role] = unprompted(given.table, files.get(role, given.root))
        if left_out[role]:
            line.keep(f"{role}: {left_out[role]:,} images left out: labelled after the model's answer was seen, not by {either()}")
        domain = table["domain"].where(table["domain"] != EXTERNAL, role)
        tables.append(table.assign(domain=domain, role=role))
        plans.append(given)
        roots[role] = given.root
    root = Path(os.path.commonpath([str(each) for each in roots.values()]))
    together = pd.concat([_below(table, roots[role], root) for role, table in zip(read, tables, strict=True)], ignore_index=True)
    _refuse_twice(together)
    together = tied_by_id(together) if replayed is not None else together
    return opened(model, together.sort_values(KEY, ignore_index=True), root, _plan(plans), left_out, line)


def _read(model: Model, files: Mapping[str, Path], column: Mapping[str, str], spellings: Mapping[str, str]) -> dict[str, Manifest]:
    found = {}
    for (role, file), called in zip(files.items(), own_columns(list(files.values()), column), strict=True):
        read = read_manifest if role == REFERENCE else read_teaching
        found[role] = read(file, model.task, called, spellings, further=(SEEN_MODEL, BASIS))
    return found


def assigned(sets: Sets, taught: NDArray[np.bool_], settings: UpdateSettings) -> Sets:
    """The sets with a split for every usable image, whole patients (groups) at a time.

    Of new patients `settings.held_out` judge (`test`) and `settings.validation` choose (`validation`), as of replayed ones; the rest
    teach. Those that `taught` (N,) the model before, or are replayed too, hold nothing out. The reference stays `external`.
    """
    rows, new = sets.rows.copy(), sets.roles == NEW
    usable = (rows["split"] != EXCLUDED).to_numpy()
    digest = rows.groupby("group_id")["sha256"].min()  # as `fold_records`: the same on every machine
    chance = rows["group_id"].map(digest.map(lambda unit: draw(settings.seed, f"update:{unit}"))).to_numpy(float)
    known = rows["group_id"].isin(rows.loc[taught | (sets.roles == REPLAY), "group_id"]).to_numpy()
    split = np.full(len(rows), TRAIN, object)
    split[chance >= 1 - settings.validation] = VALIDATION
    split[new & ~known & (chance < settings.held_out)] = TEST
    split[sets.roles == REFERENCE] = EXTERNAL
    split[~usable] = EXCLUDED
    return replace(sets, rows=rows.assign(split=split), known=known)


def half_each(roles: NDArray[np.object_]) -> NDArray[np.float64] | None:
    """(N,) sampling weights by which replayed and new images are drawn equally often; None where nothing is replayed."""
    replayed = roles == REPLAY
    if not replayed.any():
        return None
    return np.where(replayed, 1 / replayed.sum(), 1 / (~replayed).sum())


def unprompted(table: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, int]:
    """The rows whose labels cannot follow from the model's answer, and how many others there were."""
    seen = table.get(SEEN_MODEL, pd.Series("", index=table.index)).str.strip().str.casefold()
    strange = seen[~seen.isin([*_YES, *_NO])]
    if len(strange):
        raise MedtlError(f"{file}: {SEEN_MODEL} holds {listed(sorted(set(strange)), most=3)}; allowed: true, false, or empty (not seen)")
    basis = table.get(BASIS, pd.Series("", index=table.index)).str.strip().str.casefold()
    prompted = seen.isin(_YES) & ~basis.isin(PROVEN)
    return table[~prompted].drop(columns=[SEEN_MODEL, BASIS], errors="ignore"), int(prompted.sum())


def either() -> str:
    """:data:`PROVEN` in words."""
    return " or ".join(PROVEN)


def _below(table: pd.DataFrame, root: Path, common: Path) -> pd.DataFrame:
    """Images relative to the folder that all manifests share."""
    above = Path(os.path.relpath(root, common)).as_posix()
    return table if above == "." else table.assign(image=above + "/" + table["image"])


def _refuse_twice(table: pd.DataFrame) -> None:
    twice = table[table.duplicated(KEY, keep=False)]
    if len(twice):
        roles = listed(dict.fromkeys(twice["role"]))
        named = listed(twice["image"].unique(), most=3)
        raise MedtlError(
            f"{twice['image'].nunique()} images stand in two manifests ({roles}): {named}; each teaches, is replayed or judges"
        )


def _plan(given: Sequence[Manifest]) -> Outside:
    """What the grouping asks of an experiment: the first manifest's cohort, and the facts that any of them has."""
    keep = dict.fromkeys(name for each in given for name in each.plan.keep if name not in (SEEN_MODEL, BASIS))
    return replace(given[0].plan, keep=tuple(keep))


def opened(model: Model, table: pd.DataFrame, root: Path, plan: Outside, left_out: Mapping[str, int], line: Line) -> Sets:
    """The sets of a `table` (of :func:`medtl.flows.manifest.read_manifest`, and `role`), sorted by key, with their images."""
    table = table.fillna("")
    store = open_store(table[KEY], root, model.image, cache_dir(), line.progress("images"))
    set_aside(store, model.scope, table)
    rows = external_records(table.drop(columns="role"), store.measurements, plan)
    return Sets(rows, table["role"].to_numpy(object), store, plan, left_out)
