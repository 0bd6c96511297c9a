"""The memory of a search: Optuna's study in a journal file that several workers append to, and that a kill cannot spoil."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
from pathlib import Path
from typing import IO

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

FILE = "search.journal"
WARM_UP = 3
"""The median prunes from this part of all steps on: one third, at least 2 steps, for rates begin with a warm-up."""
AT_LEAST = 5
"""Trials that the median needs."""


def open_journal(folder: Path) -> JournalStorage:
    """The storage in a study's folder; made where there is none."""
    logging.getLogger("optuna").setLevel(logging.WARNING)
    file = folder / FILE
    lock = _Lock(folder / f"{FILE}.lock")
    lock.acquire()
    try:
        _mend(file)
    finally:
        lock.release()
    return JournalStorage(JournalFileBackend(str(file), lock))


def search_of(storage: JournalStorage, name: str, pruner: BasePruner) -> optuna.Study:
    """The search `name`; made where there is none. Higher values are better."""
    return optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True, pruner=pruner)


def sampler(seed: int, trials: int, blind: bool) -> BaseSampler:
    """Of one proposal, whose chance is its own `seed`: so a search that is resumed goes on as it would have. `blind`: at random.

    The first quarter of the trials (2 to 10) is drawn at random. Running trials of other workers count as bad ones, so that nobody
    searches where somebody already does.
    """
    if blind:
        return RandomSampler(seed)
    return TPESampler(seed=seed, n_startup_trials=max(2, min(10, trials // 4)), multivariate=True, constant_liar=True)


def pruner(name: str, steps: int) -> BasePruner:
    """`steps`: all epochs of all folds of the longest trial; they are counted from 1."""
    if name == "hyperband":
        return HyperbandPruner(min_resource=max(1, steps // 9), max_resource=steps, reduction_factor=3)
    if name == "median":
        return MedianPruner(n_startup_trials=AT_LEAST, n_warmup_steps=max(2, math.ceil(steps / WARM_UP)))
    return NopPruner()


class _Lock(JournalFileOpenLock):
    """The operating system's: a killed holder leaves none behind, where Optuna's own locks hold others up for half a minute."""

    def __init__(self, file: Path):
        self._file = file
        self._handle: IO[str] | None = None

    def acquire(self) -> bool:
        self._handle = self._file.open("w")
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        if self._handle is not None:
            self._handle.close()


def _mend(file: Path) -> None:
    """Cut off a line that a killed writer, or a full disk, left unfinished: nothing could be read behind it."""
    with contextlib.suppress(FileNotFoundError), file.open("rb+") as handle:
        content = handle.read()
        handle.truncate(content.rfind(b"\n") + 1)
