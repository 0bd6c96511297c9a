"""`medtl update`: a packaged model trained further on newly labelled images, and released only if it is shown to be better and no worse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from medtl import records
from medtl.contracts import EXTERNAL, FORMAT, TRAIN, VALIDATION
from medtl.errors import GateRefusal, MedtlError
from medtl.files import UNFINISHED, locked, write_atomically, write_json
from medtl.flows import update_evidence
from medtl.flows.judging import refuse_occupied, write_predictions
from medtl.flows.looks import count_look
from medtl.flows.run import load_run, model_folder
from medtl.flows.update_lineage import UNKNOWN, ancestry_of, ancestry_with, taught_before
from medtl.flows.update_replay import read_taught
from medtl.flows.update_sets import NEW, REFERENCE, REPLAY, Sets, assigned, read_sets
from medtl.flows.update_settings import UpdateSettings
from medtl.flows.update_training import CHECKPOINTS, train_candidate
from medtl.model import package
from medtl.model.ancestry import Ancestry, write_ancestry
from medtl.model.model import Model
from medtl.model.seen import read_seen, write_seen
from medtl.terminal import Line

FILE = "update.json"


def update(
    model: Path | str,
    manifest: Path | str,
    reference: Path | str,
    replay: Path | str | None = None,
    column: Mapping[str, str] | None = None,
    map: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    out: Path | str | None = None,
    data: Path | str | None = None,
) -> dict[str, Any]:
    """Train `model` further on the labelled images of `manifest`; returns the content of `update.json` of a released one.

    reference: labelled images that neither taught nor chose, on which no class's recall may fall. replay: images that taught the model,
    to be shown beside the new ones: a manifest, or the run that it came from, whose images are in `data` (None: where they were). column,
    map: as of `medtl evaluate`, for all manifests. overrides: of :class:`UpdateSettings`. out: a new folder for `update.json`, its
    evidence and, where it is released, `model/`; default `runs/<name>/update-<time>`. The old package is only read.
    Raises GateRefusal (exit code 3) where the update is not released, with the evidence in `out`, and where a set has judged before;
    MedtlError where the model or a manifest cannot be used.
    """
    line, settings, folder = Line(), UpdateSettings.of(overrides), model_folder(model)
    old = Model.load(folder)
    _refuse_unfit(old, settings)
    place = Path(out) if out else Path("runs") / old.package.name / f"update-{datetime.now():%Y%m%d-%H%M%S}"
    refuse_occupied(place)
    files, taught = {NEW: Path(manifest), REFERENCE: Path(reference)}, None
    if replay is not None and Path(replay).is_dir():
        taught = read_taught(load_run(replay), old.task, Path(data).absolute() if data is not None else None, line)
    elif data is not None:
        named = f"--replay {replay} is no folder" if replay is not None else "--replay names none"
        raise MedtlError(f"--data {data}: says where the images of a replayed run are, and {named}")
    elif replay is not None:
        files[REPLAY] = Path(replay)
    sets = read_sets(old, files, column or {}, map or {}, line, taught)
    before, known = ancestry_of(folder)
    if not known:
        line.keep(UNKNOWN)
    seen = read_seen(folder) or frozenset()
    sets = assigned(sets, taught_before(sets, before, seen), settings)
    with locked(place):
        write_atomically(place / "records.csv", lambda path: records.write(sets.rows, path))
        told = {
            "format": FORMAT,
            "parent": {"name": old.package.name, "fingerprint": old.fingerprint},
            "settings": settings.model_dump(mode="json"),
            "patients_of_lineage_known": known,
            "sets": sets.described(),
        }
        few = update_evidence.too_few(sets, old.task, settings)
        if few:
            _refuse(place, told, few)
        with _stage(place) as stage:
            train_candidate(old, sets, settings, place, stage, line)
            _remember(stage, ancestry_with(before, sets), sets, seen)
            return _decide(old, stage, sets, settings, place, told, line)


@contextmanager
def _stage(place: Path) -> Iterator[Path]:
    """Where the candidate's package is while it is judged; afterwards neither it nor what made it is left."""
    stage = place / f".candidate{UNFINISHED}"
    try:
        yield stage
    finally:
        for made in (stage, place / CHECKPOINTS):
            shutil.rmtree(made, ignore_errors=True)


def _refuse_unfit(old: Model, settings: UpdateSettings) -> None:
    """Before anything is read."""
    settings.decision(old.package)


def _remember(stage: Path, ancestry: Ancestry, sets: Sets, seen: frozenset[str]) -> None:
    """Images that taught this model and those before it; patients and images that judged them."""
    learned = sets.rows["split"].isin([TRAIN, VALIDATION]).to_numpy()
    write_seen(sets.store.measurements["pixel_hash"][learned], stage, seen)
    write_ancestry(ancestry, stage)


def _decide(
    old: Model, stage: Path, sets: Sets, settings: UpdateSettings, place: Path, told: Mapping[str, Any], line: Line
) -> dict[str, Any]:
    """Judge both models, write the evidence, and release the candidate as `model/` or refuse it."""
    candidate = Model.load(stage)
    looks = count_look(sets.rows["sha256"].iloc[sets.positions(EXTERNAL)], candidate.fingerprint, candidate.package.name)
    before, after = (update_evidence.answers(each, sets, what, line) for each, what in ((old, "before"), (candidate, "after")))
    for table, name in ((before, "before.csv"), (after, "after.csv")):
        write_predictions(table, place / name)
    found = update_evidence.weighed(before, after, old.task, settings)
    line.keep(looks.sentence("reference"))
    line.keep(update_evidence.answered(found.figures["figures"]))
    promises = {"guarantee": old.package.operating_point.guarantee, "conformal": old.package.conformal}
    content = {
        **told, "released": found.released, "reason": found.reason, "fingerprint": candidate.fingerprint, "looks_at_reference": looks.count,
        "not_carried_over": [what for what, given in promises.items() if given is not None], **found.figures,
    }  # fmt: skip
    if not found.released:
        _refuse(place, content, found.reason)
    write_json(place / FILE, content)
    package.copy(stage, place / "model")
    line.keep(f"released: {found.reason}")
    line.keep(f"model: {place / 'model'}\nthe model before it is as it was: {old.folder}")
    return content


def _refuse(place: Path, content: Mapping[str, Any], reason: str) -> None:
    write_json(place / FILE, {**content, "released": False, "reason": reason})
    raise GateRefusal(f"the update is refused: {reason}. The evidence is in {place / FILE}; the model before it is as it was")
