"""Ends a trial that falls behind: every epoch of every fold is a step at which the pruner is asked."""

from __future__ import annotations

import numpy as np
import optuna

from medtl.experiment.schema import Experiment


class Pruned(Exception):
    """A trial was ended before its end; its run stays unfinished."""


class Pruning:
    """Watches one training (see `medtl.training.job.Watch`), and raises :class:`Pruned`.

    Told is what the run would come to if it ended now: the mean of each fold's best score so far. Steps count from 1; the last epoch of
    a fold is the same step for all trials, also where they differ in the number of epochs. At the very end nothing is left to save.
    """

    def __init__(self, trial: optuna.Trial, experiment: Experiment, steps: int):
        self._trial, self._steps = trial, steps
        self._epochs = experiment.transfer.epochs
        self._longest = steps // (experiment.split.fits or 1)
        self._bests: dict[int, float] = {}
        self._told = set(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values)

    def __call__(self, epoch: int, score: float) -> None:
        fold, own = divmod(epoch, self._epochs)
        self._bests[fold] = score
        step = fold * self._longest + (self._longest if own + 1 == self._epochs else own + 1)
        if step in self._told:  # before the run was interrupted
            return
        self._told.add(step)
        reached = float(np.mean(list(self._bests.values())))
        self._trial.report(reached, step)
        if step < self._steps and self._trial.should_prune():
            raise Pruned(f"{reached:.4f} at step {step} of {self._steps} falls behind the other trials")
