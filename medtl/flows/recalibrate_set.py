"""The labelled images of a place of use: which of them are a sample of it, and new to the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from medtl.contracts import EXCLUDED
from medtl.errors import GateRefusal, MedtlError, listed
from medtl.flows.manifest import read_manifest
from medtl.flows.update_lineage import UNKNOWN, ancestry_of, known_among
from medtl.flows.update_sets import BASIS, SEEN_MODEL, Sets, either, opened, unprompted
from medtl.labelling.choosing import AT_RANDOM, FOR_VARIETY, FOR_VARIETY_AND_DOUBT
from medtl.model.ancestry import Ancestry
from medtl.model.model import Model
from medtl.model.seen import read_seen
from medtl.records import KEY
from medtl.terminal import Line

HERE, CHOSEN = "here", "chosen"
WHY = ("", AT_RANDOM, FOR_VARIETY, FOR_VARIETY_AND_DOUBT)
"""What the column `chosen` of `medtl next` may hold; a row without it was added by hand, and nobody knows by what."""


def read_here(model: Model, file: Path, column: Mapping[str, str], spellings: Mapping[str, str], line: Line) -> Sets:
    """Read the table and open its images; the usable ones are in the split `external`.

    Left out, and counted: rows that `medtl next` did not choose at random, where the table says so, and labels given after the model's
    answer was seen. Raises MedtlError as :func:`medtl.flows.manifest.read_manifest`, and where nothing is left.
    """
    given = read_manifest(file, model.task, column, spellings, further=(SEEN_MODEL, BASIS, CHOSEN))
    for note in given.notes:
        line.keep(note)
    sampled, not_sampled = _at_random(given.table, file)
    table, prompted = unprompted(sampled, file)
    for count, why in (
        (not_sampled, f"not chosen at random (column {CHOSEN}), and so no sample of the place"),
        (prompted, f"labelled after the model's answer was seen, not by {either()}"),
    ):
        if count:
            line.keep(f"{count:,} images left out: {why}")
    if not len(table):
        raise MedtlError(f"{file}: no row is left to re-calibrate by; label images at random, or leave out the column {CHOSEN} if they are")
    left_out = {"not_at_random": not_sampled, "seen_model": prompted}
    ordered = table.assign(role=HERE).sort_values(KEY, ignore_index=True)
    plan = replace(given.plan, keep=tuple(name for name in given.plan.keep if name not in (SEEN_MODEL, BASIS, CHOSEN)))
    sets = opened(model, ordered, given.root, plan, left_out, line)
    unusable = int((sets.rows["split"] == EXCLUDED).sum())
    if unusable:
        line.keep(f"{unusable:,} images left out: without a label, not readable or out of the model's scope")
    return sets


def refuse_known(sets: Sets, package: Path, line: Line) -> Ancestry:
    """What is known of the model's lineage. Raises GateRefusal where an image or patient of these taught, chose or judged a model of it."""
    before, known = ancestry_of(package)
    if not known:
        line.keep(UNKNOWN)
    taught, judged = known_among(sets, before, read_seen(package) or frozenset())
    usable = (sets.rows["split"] != EXCLUDED).to_numpy()
    for found, what in ((taught, "taught the model, or it was chosen or calibrated by them"), (judged, "judged a model of its lineage")):
        own = sets.rows[np.asarray(found) & usable]
        if len(own):
            patients = own["group_id"].nunique()
            raise GateRefusal(
                f"{len(own):,} images of {patients:,} patients {what}: on them it may look better calibrated than it "
                f"is, or they are no longer unused; leave them out ({listed(own['image'], most=3)})"
            )
    return before


def _at_random(table: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, int]:
    """The rows that chance alone chose, and how many others there were; all rows of a table that says nothing of it."""
    if CHOSEN not in table.columns:
        return table, 0
    why = table[CHOSEN].str.strip().str.casefold()
    strange = why[~why.isin(WHY)]
    if len(strange):
        given, allowed = listed(sorted(set(strange)), most=3), ", ".join(WHY[1:])
        raise MedtlError(f"{file}: {CHOSEN} holds {given}; allowed, as medtl next writes: {allowed}")
    random = why == AT_RANDOM
    return table[random].drop(columns=CHOSEN), int((~random).sum())
