"""Figures of adaptation: every candidate, ceiling and brightness of one arm on the same target images, over its seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.adaptation import SOURCE_ONLY
from medtl.contracts import Task
from medtl.evaluation import label_free
from medtl.evaluation.cases import Cases, Findings, questions
from medtl.evaluation.crossed import Repeated, holm, p_value
from medtl.evaluation.drawn import Answers, answers
from medtl.evaluation.judge import Judge
from medtl.records import KEY
from medtl.study.target import Opened

ORACLE, RELEASED, PRIMARY = "an oracle, by these very images", "the release rule", "the primary method"


@dataclass(frozen=True)
class Line:
    """One candidate, ceiling or baseline over all seeds."""

    auroc: Repeated
    matched: Repeated
    """Among images of like brightness."""


@dataclass(frozen=True)
class Adapted:
    """One arm. Candidates: source-only, then the primary method, then the others."""

    arm: str
    seeds: Sequence[int]
    opened: Sequence[Opened]
    """One for each seed."""
    candidates: Mapping[str, Line]
    ceilings: Mapping[str, Line]
    brightness: Mapping[str, Line]
    images: int
    groups: int

    @property
    def primary(self) -> str:
        return self.opened[0].primary

    @property
    def methods(self) -> list[str]:
        """Without source-only, the primary first."""
        return self.opened[0].methods

    @property
    def source(self) -> Repeated:
        """Of source-only."""
        return self.candidates[SOURCE_ONLY].auroc

    def gain(self, method: str) -> Repeated:
        """A method less source-only, seed by seed and patient by patient."""
        return self.candidates[method].auroc.less(self.source)

    def answers(self, candidate: str, task: Task) -> list[Answers]:
        """What a candidate says, seed by seed: of several findings each can be looked at by itself."""
        return [answers(each.answers[candidate], task) for each in self.opened]

    def p_values(self, null: Callable[[str], Repeated]) -> dict[str, float]:
        """Two-sided, that `null` of a method is 0: of the primary as it is, of all others by Holm's correction among them."""
        others = self.methods[1:]
        corrected = holm([p_value(null(name)) for name in others])
        return {self.primary: p_value(null(self.primary)), **dict(zip(others, corrected, strict=True))}

    def ways(self) -> Iterator[tuple[str, list[str]]]:
        """Each way of choosing a candidate, and what it takes for every seed. A score that is not known for some candidate is left out."""
        yield PRIMARY, [self.primary] * len(self.seeds)
        for rule in label_free.HIGHER_IS_BETTER:
            scores = [{name: each.release["scores"][name] for name in self.methods} for each in self.opened]
            if all(found[rule] is not None for each in scores for found in each.values()):
                yield rule, [label_free.best(each, rule) for each in scores]
        yield RELEASED, [str(each.release["released"]) for each in self.opened]
        best = [max(self.candidates, key=lambda name, s=seed: self.candidates[name].auroc.values[s]) for seed in range(len(self.seeds))]
        yield ORACLE, best

    def taken(self, names: Sequence[str]) -> Repeated:
        """What a way of choosing has, of the candidate that it takes for each seed."""
        lines = [self.candidates[name].auroc for name in names]
        values = np.array([line.values[seed] for seed, line in enumerate(lines)])
        drawn = np.stack([line.drawn[seed] for seed, line in enumerate(lines)])
        return Repeated(values, drawn, self.source.groups, max(line.unseen for line in lines))


def adapted(arm: str, seeds: Sequence[int], opened: Sequence[Opened], task: Task) -> Adapted:
    """The figures of one arm; all of `opened` must be of the same images (see `study.judged`)."""
    tables = [_in_order(table) for each in opened for table in (*each.answers.values(), *each.ceilings.values())]
    read = np.logical_and.reduce([_cases(table, task).read for table in tables])
    cases = _cases(tables[0][read], task)
    order = opened[0].answers[SOURCE_ONLY].reset_index(drop=True).sort_values(KEY).index.to_numpy()[read]
    judge = Judge(cases.truth, cases.groups, task.positive_index, opened[0].brightness[order])

    def line(answers: Sequence[NDArray[np.float64]]) -> Line:
        return Line(judge.repeated(answers), judge.matched(answers))

    def lines(tables: Sequence[Mapping[str, pd.DataFrame]]) -> dict[str, Line]:
        everywhere = [name for name in tables[0] if all(name in each for each in tables)]
        return {name: line([_cases(_in_order(each[name])[read], task).probabilities for each in tables]) for name in everywhere}

    candidates = lines([each.answers for each in opened])
    first = [SOURCE_ONLY, *opened[0].methods]
    alone = {name: line([each.by_brightness[name][order] for each in opened]) for name in opened[0].by_brightness}
    ceilings = lines([each.ceilings for each in opened])
    return Adapted(
        arm, seeds, opened, {name: candidates[name] for name in first}, ceilings, alone, len(cases.truth), cases.group_count
    )  # fmt: skip


def _cases(table: pd.DataFrame, task: Task) -> Cases | Findings:
    return questions(table, task)[0]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(KEY, ignore_index=True)
