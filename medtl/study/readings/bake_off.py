"""The imbalance bake-off: arms of equal budget, one chosen on validation, tested once.

The winner has the best recall of its worst class among the arms that are calibrated well enough, on validation alone. On test its figures
and every other arm's stand with 95 % intervals that cross trainings and test groups (:mod:`medtl.evaluation.crossed`); the differences to
the winner are tested with Holm's correction (Scandinavian Journal of Statistics 1979), so that many arms do not make a false one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from medtl import registry
from medtl.contracts import TEST, VALIDATION, Task
from medtl.document.table import Table
from medtl.estimates import number
from medtl.evaluation.cases import Cases, each_member, from_table
from medtl.evaluation.confusion import confusion, f1, macro
from medtl.evaluation.crossed import Floats, Repeated, crossed, holm, interval, p_value
from medtl.evaluation.intervals import wilson
from medtl.evaluation.probability import calibration_error, calibration_gaps
from medtl.evaluation.resampling import drawn_recalls, resample
from medtl.records import KEY
from medtl.registry import Mistake
from medtl.study.reading import Claim, Reading
from medtl.study.trials import DONE

TIMED = False
WORST, F1, ECE = SHOWN = ("worst class", "macro-F1", "ECE")
Figures = dict[str, Repeated]


class Settings(registry.Settings):
    name: Literal["bake-off"] = "bake-off"
    ece: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The largest expected calibration error, on validation, with which an arm may win."""

    def unfit(self, arms: list[str]) -> list[Mistake]:
        """A bake-off needs two arms."""
        return [] if len(arms) > 1 else [Mistake((), None, "compares arms; name at least two")]


def read(settings: Settings, trials: pd.DataFrame, judged: Mapping[str, pd.DataFrame], curves: pd.DataFrame, task: Task) -> Reading:
    """The contract of `medtl.study.readings`; looks at the trials with the largest fraction of the labels."""
    trials = trials[trials["fraction"] == trials["fraction"].max()]
    seeds, done = sorted(trials["seed"].unique()), trials[trials["state"] == DONE]
    complete = [arm for arm, own in done.groupby("arm", sort=False) if sorted(own["seed"]) == seeds]
    validated, tested = (
        {
            arm: _figures([judged[name] for name in done.loc[done["arm"] == arm].sort_values("seed")["trial"]], split, task)
            for arm in complete
        }
        for split in (VALIDATION, TEST)
    )
    winner = _winner(validated, settings.ece)
    notes = [f"{arm} is left out: a seed is missing or failed." for arm in dict.fromkeys(trials["arm"]) if arm not in complete]
    if len(seeds) < 3:
        notes.append(f"Only {len(seeds)} seed{'s' if len(seeds) > 1 else ''}: intervals know little of training luck; take at least 3.")
    lucky = len(seeds) < 2 and bool(done["luck"].astype(bool).any())
    claims = list(_claims(tested, winner, settings.ece, lucky))
    return Reading("which arm serves the worst class best?", claims, [_table(validated, tested, winner)], notes, pd.DataFrame())


def _figures(tables: Sequence[pd.DataFrame], split: str, task: Task) -> Figures:
    """Recall of every class and of the worst, macro-F1 and ECE of one arm's trainings."""
    cases = [_cases(table[table["split"] == split], task) for table in tables]
    recalls = [drawn_recalls(each) for each in cases]
    composites = [resample(each) for each in cases]

    def figure(values: Sequence[float], drawn: Sequence[Floats], of: Sequence[int]) -> Repeated:
        return crossed(values, drawn, cases[0].group_count, [wilson(value, n) for value, n in zip(values, of, strict=True)])

    own = np.stack([values for values, _ in recalls])
    groups = np.array([[len(np.unique(each.groups[each.truth == k])) for k in range(len(task.names))] for each in cases])
    found = {name: figure(own[:, k], [drawn[:, k] for _, drawn in recalls], groups[:, k]) for k, name in enumerate(task.names)}
    worst = own.argmin(axis=1)
    found[WORST] = figure(own.min(axis=1), [drawn.min(axis=1) for _, drawn in recalls], groups[np.arange(len(cases)), worst])
    everyone = [each.group_count for each in cases]
    found[F1] = figure([_macro_f1(each) for each in cases], [each.macro_f1 for each in composites], everyone)
    found[ECE] = figure([_ece(each) for each in cases], [each.ece for each in composites], everyone)
    return found


def _cases(table: pd.DataFrame, task: Task) -> Cases:
    """Over folds an image may be judged by several models, each a case of its own within the image's group."""
    own = each_member(table)
    return from_table(own.sort_values(KEY, ignore_index=True), task)


def _winner(validated: Mapping[str, Figures], ece: float) -> str | None:
    """The arm with the best worst class among the calibrated ones; the first on a tie."""
    fit = [arm for arm, figures in validated.items() if figures[ECE].mean <= ece]
    return max(fit, key=lambda arm: validated[arm][WORST].mean, default=None)


def _claims(tested: Mapping[str, Figures], winner: str | None, ece: float, lucky: bool) -> Iterator[Claim]:
    """`lucky`: whether one seed has to stand for the luck of training."""
    if winner is None:
        yield Claim("chosen on validation", False, f"no finished arm has an ECE of at most {ece:g} on validation")
        return
    own = tested[winner]
    figures = {name: own[name].mean for name in SHOWN}
    yield Claim(
        "chosen on validation",
        True,
        f"{winner}: on test, recall of the worst class {_said(own[WORST])}, macro-F1 {_said(own[F1])}",
        figures,
    )
    others = [arm for arm in tested if arm != winner]
    gaps = [own[WORST].less(tested[arm][WORST]) for arm in others]
    corrected = holm([p_value(gap) for gap in gaps])
    for arm, gap, p in zip(others, gaps, corrected, strict=True):
        low, high = interval(gap)
        text = f"{gap.mean:+.3f} recall of the worst class ({low:+.3f} to {high:+.3f}; p {number(p)} after Holm's correction)"
        better = p < 0.05 and gap.mean > 0 and not lucky
        why = "; one seed tells nothing about training luck" if lucky else ""
        yield Claim(f"{winner} is better than {arm}", better, text + why, {"value": gap.mean, "low": low, "high": high, "p": p})


def _table(validated: Mapping[str, Figures], tested: Mapping[str, Figures], winner: str | None) -> Table:
    rows, raw = [], []
    for arm in sorted(tested, key=lambda arm: -validated[arm][WORST].mean):
        rows.append(
            [
                arm + (" (chosen)" if arm == winner else ""),
                number(validated[arm][WORST].mean),
                number(validated[arm][ECE].mean),
                *(_said(tested[arm][name]) for name in SHOWN),
            ]
        )
        columns = {"arm": arm, "chosen": arm == winner}
        for split, figures in (("validation", validated[arm]), ("test", tested[arm])):
            for name, figure in figures.items():
                low, high = interval(figure)
                key = f"{split}_{name if name in SHOWN else f'recall_{name}'}".replace(" ", "_").replace("-", "_").lower()
                columns |= {key: figure.mean, f"{key}_low": low, f"{key}_high": high}
        raw.append(columns)
    header = ["arm", "worst class, validation", "ECE, validation", "worst class, test (95 %)", "macro-F1, test (95 %)", "ECE, test (95 %)"]
    return Table(
        "bake-off", "Recall of the worst class, and what it costs", header, rows, pd.DataFrame(raw), "Recall of every class: bake-off.csv."
    )


def _said(figure: Repeated) -> str:
    low, high = interval(figure)
    return f"{number(figure.mean)} ({number(max(0.0, low))} to {number(min(1.0, high))})"


def _macro_f1(cases: Cases) -> float:
    return float(macro(f1(*confusion(cases.truth, cases.predicted, len(cases.classes)))))


def _ece(cases: Cases) -> float:
    read = cases.read
    return float(calibration_error(calibration_gaps(cases.truth[read], cases.probabilities[read]).sum(axis=0), read.sum()))
