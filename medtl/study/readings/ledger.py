"""The transfer ledger: what starting from pretrained weights was worth, against starting from scratch, on these very images.

A claim is made only where its 95 % interval, which crosses trainings and test groups (:mod:`medtl.evaluation.crossed`), supports it:

Nothing is said of an arm whose own AUROC may be that of chance, nor, where training luck plays a part, on a single seed.

- *accuracy gained*: the arm's AUROC less the reference's with all labels; shown if the interval lies above 0.
- *labels saved*: the smallest fraction with which the arm is not worse, by more than `margin`, than the reference with all labels.
  Fractions are tested from the largest down until one fails (fixed sequence: Maurer, Hothorn and Lehmacher 1995), so that all tests
  together keep their level.
- *time saved*, *energy saved* (where it was counted): until the reference's best validation score, with all labels
  (:mod:`medtl.study.sooner`).
- *labels for a wanted AUROC*: see :mod:`medtl.study.learning_curve`.

Of several findings per image AUROC is the mean over findings; that of each stands in a table, and claims nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from medtl import registry
from medtl.contracts import TEST, Task
from medtl.document.table import Table
from medtl.errors import did_you_mean
from medtl.estimates import number
from medtl.evaluation.crossed import Repeated, crossed, interval
from medtl.evaluation.drawn import AUROC, Answers, answers
from medtl.evaluation.intervals import Interval
from medtl.registry import Mistake
from medtl.study import each_finding
from medtl.study.learning_curve import labels_for
from medtl.study.reading import Claim, Reading
from medtl.study.sooner import Cost, saved
from medtl.study.trials import DONE

TIMED = True
CHANCE = 0.5
COLUMNS = [
    *("arm", "fraction", "labels", "seeds", "auroc", "auroc_low", "auroc_high", "gap", "gap_low", "gap_high"),
    *("macro_f1", "cpu_seconds", "kwh"),
]
Cells = Mapping[tuple[str, float], Repeated]
Tested = Mapping[tuple[str, float], Sequence[Answers]]
"""Of an arm and fraction, each seed's."""


class Price(registry.Settings):
    """What saved labels and hours are worth to the user."""

    label: Annotated[float, Field(ge=0)] = 0.0
    """Of one labelled image."""
    hour: Annotated[float, Field(ge=0)] = 0.0
    """Of one hour of training: of one processor core on a CPU, whose own time is counted, else of the GPU."""
    kwh: Annotated[float, Field(ge=0)] = 0.0
    """Of one kilowatt hour; counts where `tracking.energy` is set."""
    currency: str = "EUR"


class Settings(registry.Settings):
    name: Literal["ledger"] = "ledger"
    reference: str = "scratch"
    """The arm that the others are held against."""
    margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """How much worse in AUROC an arm may be and still count as equal; state it before you look."""
    wanted: Annotated[float, Field(gt=0.5, lt=1)] | None = None
    """An AUROC: how many labels would reach it?"""
    price: Price | None = None

    def unfit(self, arms: list[str]) -> list[Mistake]:
        """What does not go with the study's arms."""
        if self.reference not in arms:
            sentence = f"is no arm{did_you_mean(self.reference, arms)}; there are: {', '.join(arms)}"
            return [Mistake(("reference",), self.reference, sentence)]
        return []


def read(settings: Settings, trials: pd.DataFrame, judged: Mapping[str, pd.DataFrame], curves: pd.DataFrame, task: Task) -> Reading:
    """The contract of `medtl.study.readings`. An arm and fraction of which a seed is missing is left out, and said."""
    done = trials[trials["state"] == DONE]
    tested = dict(_tested(done, sorted(trials["seed"].unique()), judged, task))
    cells = {key: _crossed(key, each, done) for key, each in tested.items()}
    labels = {float(fraction): round(own.mean()) for fraction, own in done.groupby("fraction")["labels"]}
    arms = [arm for arm in dict.fromkeys(trials["arm"]) if arm != settings.reference]
    claims = [claim for arm in arms for claim in _claims(arm, settings, cells, labels, trials, curves)]
    table = _table(cells, settings.reference, labels, done)
    largest = float(trials["fraction"].max())
    whole = {arm: tested[arm, largest] for arm in (settings.reference, *arms) if (arm, largest) in tested}
    each = each_finding.table(whole, f"Test AUROC of each finding, {_share(largest)}")
    points = table.raw[["arm", "labels", "auroc", "auroc_low", "auroc_high"]].rename(
        columns={"auroc": "value", "auroc_low": "low", "auroc_high": "high"}
    )
    notes = [*each_finding.notes([one for own in tested.values() for one in own]), *_notes(trials, cells)]
    return Reading("what was transfer worth?", claims, [table, *each], notes, points)


def _tested(
    done: pd.DataFrame, seeds: Sequence[int], judged: Mapping[str, pd.DataFrame], task: Task
) -> Iterator[tuple[tuple[str, float], list[Answers]]]:
    """Every arm and fraction that has all seeds."""
    for (arm, fraction), own in done.groupby(["arm", "fraction"]):
        if sorted(own["seed"]) == list(seeds):
            tables = [judged[trial] for trial in own.sort_values("seed")["trial"]]
            yield (str(arm), float(fraction)), [answers(table[table["split"] == TEST].assign(member=""), task) for table in tables]


def _crossed(key: tuple[str, float], tested: Sequence[Answers], done: pd.DataFrame) -> Repeated:
    """AUROC over the seeds."""
    own = done[(done["arm"] == key[0]) & (done["fraction"] == key[1])].sort_values("seed")
    analytic = [Interval(low, high) for low, high in zip(own["auroc_low"], own["auroc_high"], strict=True)]
    values, drawn = [each.values[AUROC] for each in tested], [each.drawn[AUROC] for each in tested]
    return crossed(values, drawn, tested[0].group_count, analytic)


def _claims(
    arm: str, settings: Settings, cells: Cells, labels: Mapping[float, int], trials: pd.DataFrame, curves: pd.DataFrame
) -> Iterator[Claim]:
    largest = float(trials["fraction"].max())
    reference, own = cells.get((settings.reference, largest)), cells.get((arm, largest))
    if reference is None or own is None:
        yield Claim(f"what {arm} is worth", False, f"trials with {_share(largest)} are missing")
        return
    why = _untold(own, trials[(trials["fraction"] == largest) & trials["arm"].isin([arm, settings.reference])])
    fewer_labels, labels_saved = _saved(arm, settings, cells, reference, labels)
    costs: list[Cost] = ["seconds", "kwh"] if curves["kwh"].notna().any() else ["seconds"]
    spared = [saved(arm, settings.reference, largest, trials[trials["state"] == DONE], curves, cost) for cost in costs]
    found = [_gained(arm, settings, own, reference, largest, labels[largest]), fewer_labels, *(claim for claim, _ in spared)]
    yield from (Claim(claim.what, False, why) if why else claim for claim in found)
    if settings.price is not None:
        seconds, kwh, *_ = [0.0 if why or not claim.shown else amount for claim, amount in spared] + [0.0]
        yield _money(arm, settings.price, 0 if why else labels_saved, seconds / 3600, kwh)
    if settings.wanted is not None:
        points = {labels[fraction]: cell for (of, fraction), cell in cells.items() if of == arm}
        claim = labels_for(arm, settings.wanted, points)
        yield Claim(claim.what, False, why) if why else claim


def _untold(own: Repeated, compared: pd.DataFrame) -> str:
    """Why nothing may be said of an arm, whatever its figures; empty where something may."""
    if interval(own).low <= CHANCE:
        return "its own AUROC may be that of chance"
    if len(own.values) < 2 and compared["luck"].astype(bool).any():
        return "one seed tells nothing about training luck"
    return ""


def _share(fraction: float) -> str:
    return "all labels" if fraction == 1 else f"{100 * fraction:g} % of the labels"


def _gained(arm: str, settings: Settings, own: Repeated, reference: Repeated, largest: float, count: int) -> Claim:
    gap = own.less(reference)
    low, high = interval(gap)
    text = f"{gap.mean:+.3f} AUROC ({low:+.3f} to {high:+.3f}) against {settings.reference}, both with {_share(largest)} ({count:,})"
    what = f"accuracy gained by {arm}"
    figures = {"value": gap.mean, "low": low, "high": high, "labels": count}
    return Claim(what, low > 0, text if low > 0 else f"{text}: the interval does not lie above 0", figures)


def _saved(arm: str, settings: Settings, cells: Cells, reference: Repeated, labels: Mapping[float, int]) -> tuple[Claim, int]:
    """The claim, and how many labels are saved."""
    what, of = f"labels saved by {arm}", labels[max(labels)]
    enough: tuple[int, Repeated, Interval] | None = None
    for fraction in sorted(labels, reverse=True):
        own = cells.get((arm, fraction))
        if own is None:
            break
        gap = own.less(reference)
        found = interval(gap)
        if not (found.low >= -settings.margin and interval(own).low > CHANCE):
            break
        if labels[fraction] < of:
            enough = (labels[fraction], gap, found)
    if enough is None:
        within = f" by more than {settings.margin:g}" if settings.margin else ""
        return Claim(what, False, f"with fewer labels its AUROC may be below {settings.reference}'s with {of:,}{within}"), 0
    count, gap, (low, high) = enough
    text = (
        f"{of - count:,} of {of:,} ({100 * (1 - count / of):.0f} %): with {count:,} labels its AUROC is {gap.mean:+.3f} "
        f"({low:+.3f} to {high:+.3f}) against {settings.reference} with {of:,}"
    )
    return Claim(what, True, text, {"labels": count, "of": of, "gap": gap.mean, "low": low, "high": high}), of - count


def _money(arm: str, price: Price, labels: int, hours: float, kwh: float) -> Claim:
    what = f"money saved by {arm}"
    if labels == 0 and hours == 0 and kwh == 0:
        return Claim(what, False, "neither labels nor time nor energy are shown to be saved")
    total = labels * price.label + hours * price.hour + kwh * price.kwh
    each = [f"{labels:,} labels at {price.label:g}", f"{hours:.2f} hours (of one core, or of the GPU) at {price.hour:g}"]
    parts = ", ".join([*each, f"{kwh:.3f} kWh at {price.kwh:g} {price.currency}"])
    figures = {"value": total, "currency": price.currency}
    return Claim(what, total > 0, f"{total:,.2f} {price.currency}: {parts}, of what is shown above", figures)


def _table(cells: Cells, reference: str, labels: Mapping[float, int], trials: pd.DataFrame) -> Table:
    rows = []
    for (arm, fraction), cell in sorted(cells.items(), key=lambda item: (-item[0][1], item[0][0] != reference, item[0][0])):
        low, high = interval(cell)
        against = cells.get((reference, fraction))
        gap = cell.less(against) if against is not None and arm != reference else None
        gap_low, gap_high = interval(gap) if gap is not None else (np.nan, np.nan)
        own = trials[(trials["arm"] == arm) & (trials["fraction"] == fraction)]
        rows.append(
            {
                "arm": arm, "fraction": fraction, "labels": labels[fraction], "seeds": len(cell.values), "auroc": cell.mean,
                "auroc_low": max(0.0, low), "auroc_high": min(1.0, high), "gap": gap.mean if gap is not None else np.nan,
                "gap_low": gap_low, "gap_high": gap_high, "macro_f1": own["macro_f1"].mean(), "cpu_seconds": own["cpu_seconds"].mean(),
                "kwh": own["kwh"].mean(),
            }
        )  # fmt: skip
    raw = pd.DataFrame(rows, columns=COLUMNS)
    counted = bool(raw["kwh"].notna().any())
    texts = [
        [
            f"{row.labels:,} ({100 * row.fraction:g} %)",
            row.arm,
            f"{number(row.auroc)} ({number(row.auroc_low)} to {number(row.auroc_high)})",
            "" if np.isnan(row.gap) else f"{row.gap:+.3f} ({row.gap_low:+.3f} to {row.gap_high:+.3f})",
            number(row.macro_f1),
            f"{row.cpu_seconds / 60:.1f}",
            *([f"{1000 * row.kwh:.3g}"] if counted else []),
        ]
        for row in raw.itertuples()
    ]
    header = ["labels", "arm", "AUROC (95 %)", f"less {reference} (95 %)", "macro-F1", "minutes of CPU", *(["Wh"] if counted else [])]
    return Table("ledger", "Test AUROC by labels and arm", header, texts, raw, "Means over seeds; intervals cross seeds and test groups.")


def _notes(trials: pd.DataFrame, cells: Cells) -> Iterator[str]:
    seeds = trials["seed"].nunique()
    if seeds < 3:
        yield f"Only {seeds} seed{'s' if seeds > 1 else ''}: intervals know little of training luck; take at least 3."
    for arm, fraction in sorted({(arm, fraction) for arm, fraction in zip(trials["arm"], trials["fraction"], strict=True)} - set(cells)):
        yield f"{arm} with {_share(fraction)} is left out: a seed is missing or failed."
    if trials["kwh"].notna().any():
        yield "Energy is codecarbon's: read from counters where the machine has them, else estimated from the load of a usual processor."
