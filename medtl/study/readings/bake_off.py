"""The imbalance bake-off: arms of equal budget, one chosen on validation, tested once.

The winner has the best recall of its worst class among the arms that are calibrated well enough, on validation alone. Of several findings
per image it is the sensitivity of the worst finding, at the threshold that validation gave it, and calibration is the mean over findings;
since a threshold can buy sensitivity with specificity, the mean specificity stands beside it. On test its figures
and every other arm's stand with 95 % intervals that cross trainings and test groups (:mod:`medtl.evaluation.crossed`); the differences to
the winner are tested with Holm's correction (Scandinavian Journal of Statistics 1979), so that many arms do not make a false one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from medtl import registry
from medtl.contracts import TEST, VALIDATION, Task
from medtl.document.table import Table
from medtl.estimates import number
from medtl.evaluation.cases import each_member
from medtl.evaluation.crossed import Floats, Repeated, crossed, holm, interval, p_value, within
from medtl.evaluation.drawn import ECE, F1, SPECIFICITY, Answers, answers
from medtl.evaluation.intervals import wilson
from medtl.experiment.schema import Experiment
from medtl.registry import Mistake
from medtl.study import each_finding
from medtl.study.reading import Claim, Reading
from medtl.study.trials import DONE

TIMED = False
WORST = "worst"
Figures = dict[str, Repeated]


class Settings(registry.Settings):
    name: Literal["bake-off"] = "bake-off"
    ece: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The largest expected calibration error, on validation, with which an arm may win."""

    def unfit(self, arms: list[str]) -> list[Mistake]:
        """A bake-off needs two arms."""
        return [] if len(arms) > 1 else [Mistake((), None, "compares arms; name at least two")]

    def unsuited(self, experiment: Experiment) -> str:
        """Of several findings, a threshold that keeps a sensitivity leaves nothing to compare."""
        decision = experiment.decision
        kept = decision.threshold.name == "sensitivity"  # type: ignore[attr-defined]
        if experiment.task.kind == "single" or not (kept or (decision.guarantee and decision.guarantee.recall)):
            return ""
        return (
            f"{'decision.threshold: sensitivity' if kept else 'decision.guarantee: recall'} gives all arms the same sensitivity, by which "
            "reading: bake-off compares findings; keep a specificity in its place, such as {name: specificity, at_least: 0.9}"
        )


@dataclass(frozen=True)
class Words:
    """What the figures are called."""

    worst: str
    recall: str
    shown: Sequence[str]


OF_CLASSES = Words("worst class", "recall of the worst class", (WORST, F1, ECE))
OF_FINDINGS = Words("worst finding", "sensitivity of the worst finding", (WORST, SPECIFICITY, F1, ECE))


def read(settings: Settings, trials: pd.DataFrame, judged: Mapping[str, pd.DataFrame], curves: pd.DataFrame, task: Task) -> Reading:
    """The contract of `medtl.study.readings`; looks at the trials with the largest fraction of the labels."""
    trials = trials[trials["fraction"] == trials["fraction"].max()]
    seeds, done = sorted(trials["seed"].unique()), trials[trials["state"] == DONE]
    complete = [arm for arm, own in done.groupby("arm", sort=False) if sorted(own["seed"]) == seeds]
    said = {
        split: {
            arm: [_answers(judged[name], split, task) for name in done.loc[done["arm"] == arm].sort_values("seed")["trial"]]
            for arm in complete
        }
        for split in (VALIDATION, TEST)
    }
    validated, tested = ({arm: _figures(own) for arm, own in arms.items()} for arms in said.values())
    winner = _winner(validated, settings.ece)
    notes = each_finding.notes([each for own in said[TEST].values() for each in own])
    notes += [f"{arm} is left out: a seed is missing or failed." for arm in dict.fromkeys(trials["arm"]) if arm not in complete]
    if len(seeds) < 3:
        notes.append(f"Only {len(seeds)} seed{'s' if len(seeds) > 1 else ''}: intervals know little of training luck; take at least 3.")
    lucky = len(seeds) < 2 and bool(done["luck"].astype(bool).any())
    words = OF_FINDINGS if task.kind == "multi" else OF_CLASSES
    claims = list(_claims(tested, winner, settings.ece, lucky, words))
    question = f"which arm serves the {words.worst} best?"
    return Reading(question, claims, [_table(validated, tested, winner, words)], notes, pd.DataFrame())


def _answers(table: pd.DataFrame, split: str, task: Task) -> Answers:
    """Over folds an image may be judged by several models, each a case of its own within the image's group."""
    return answers(each_member(table[table["split"] == split]), task)


def _figures(told: Sequence[Answers]) -> Figures:
    """Recall of every class (or finding) that has images and of the worst, macro-F1, ECE and mean specificity of one arm's trainings."""

    def figure(values: Sequence[float], drawn: Sequence[Floats], of: Sequence[int]) -> Repeated:
        return crossed(values, drawn, told[0].group_count, [wilson(value, n) for value, n in zip(values, of, strict=True)])

    recalls = [{name: each for name, each in own.recalls.items() if each.groups} for own in told]
    found = {
        name: figure(*zip(*((own[name].value, own[name].drawn, own[name].groups) for own in recalls), strict=True)) for name in recalls[0]
    }
    worst = [min(own.values(), key=lambda each: each.value) for own in recalls]
    lowest = [np.fmin.reduce([each.drawn for each in own.values()]) for own in recalls]  # of what a draw has images of
    found[WORST] = figure([each.value for each in worst], lowest, [each.groups for each in worst])
    for name in (F1, ECE, *([SPECIFICITY] if told[0].several else [])):
        found[name] = figure([each.values[name] for each in told], [each.drawn[name] for each in told], [each.group_count for each in told])
    return found


def _winner(validated: Mapping[str, Figures], ece: float) -> str | None:
    """The arm with the best worst class among the calibrated ones; the first on a tie."""
    fit = [arm for arm, figures in validated.items() if figures[ECE].mean <= ece]
    return max(fit, key=lambda arm: validated[arm][WORST].mean, default=None)


def _claims(tested: Mapping[str, Figures], winner: str | None, ece: float, lucky: bool, words: Words) -> Iterator[Claim]:
    """`lucky`: whether one seed has to stand for the luck of training."""
    if winner is None:
        yield Claim("chosen on validation", False, f"no finished arm has an ECE of at most {ece:g} on validation")
        return
    own = tested[winner]
    figures = {_called(name, words): own[name].mean for name in words.shown}
    spared = f", mean specificity {_said(own[SPECIFICITY])}" if SPECIFICITY in own else ""
    text = f"{winner}: on test, {words.recall} {_said(own[WORST])}{spared}, macro-F1 {_said(own[F1])}"
    yield Claim("chosen on validation", True, text, figures)
    others = [arm for arm in tested if arm != winner]
    gaps = [own[WORST].less(tested[arm][WORST]) for arm in others]
    corrected = holm([p_value(gap) for gap in gaps])
    for arm, gap, p in zip(others, gaps, corrected, strict=True):
        low, high = interval(gap)
        text = f"{gap.mean:+.3f} {words.recall} ({low:+.3f} to {high:+.3f}; p {number(p)} after Holm's correction)"
        better = p < 0.05 and gap.mean > 0 and not lucky
        price = f", {_difference(own[SPECIFICITY].less(tested[arm][SPECIFICITY]))} mean specificity" if SPECIFICITY in own else ""
        why = "; one seed tells nothing about training luck" if lucky else ""
        yield Claim(f"{winner} is better than {arm}", better, text + price + why, {"value": gap.mean, "low": low, "high": high, "p": p})


def _table(validated: Mapping[str, Figures], tested: Mapping[str, Figures], winner: str | None, words: Words) -> Table:
    rows, raw = [], []
    for arm in sorted(tested, key=lambda arm: -validated[arm][WORST].mean):
        rows.append(
            [
                arm + (" (chosen)" if arm == winner else ""),
                number(validated[arm][WORST].mean),
                number(validated[arm][ECE].mean),
                *(_said(tested[arm][name]) for name in words.shown),
            ]
        )
        columns = {"arm": arm, "chosen": arm == winner}
        for split, figures in (("validation", validated[arm]), ("test", tested[arm])):
            for name, figure in figures.items():
                low, high = interval(figure)
                key = f"{split}_{_called(name, words) if name in words.shown else f'recall_{name}'}"
                key = key.replace(" ", "_").replace("-", "_").lower()
                columns |= {key: figure.mean, f"{key}_low": low, f"{key}_high": high}
        raw.append(columns)
    shown = [f"{_called(name, words)}, test (95 %)" for name in words.shown]
    header = ["arm", f"{words.worst}, validation", "ECE, validation", *shown]
    title, of = f"{words.recall[0].upper()}{words.recall[1:]}, and what it costs", words.recall.partition(" ")[0].capitalize()
    note = f"{of} of every {words.worst.removeprefix('worst ')}: bake-off.csv."
    return Table("bake-off", title, header, rows, pd.DataFrame(raw), note)


def _called(name: str, words: Words) -> str:
    return {WORST: words.worst, SPECIFICITY: "mean specificity"}.get(name, name)


def _said(figure: Repeated) -> str:
    low, high = within(figure)
    return f"{number(figure.mean)} ({number(low)} to {number(high)})"


def _difference(gap: Repeated) -> str:
    low, high = interval(gap)
    return f"{gap.mean:+.3f} ({low:+.3f} to {high:+.3f})"
