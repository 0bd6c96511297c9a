"""What so many labels of the target domain bring, read from many draws of them: AUROC by labels and way of learning, with intervals.

Every draw is judged on the same images of other patients. Intervals cross draws and those patients (:mod:`medtl.evaluation.crossed`);
draws share the images that they are drawn from, so they speak of this pool of images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from medtl.document.table import Table
from medtl.estimates import number
from medtl.evaluation.crossed import Repeated, interval, within
from medtl.labelling.choosing import AT_RANDOM, FOR_VARIETY

Cell = tuple[str, str, int]
"""Way of learning, way of choosing (empty where no target label is used), labels."""


@dataclass(frozen=True)
class Row:
    """One cell as figures; the gain is NaN where there is nothing to hold it against."""

    learned: str
    chosen: str
    labels: int
    draws: int
    auroc: float
    low: float
    high: float
    gain: float = np.nan
    gain_low: float = np.nan
    gain_high: float = np.nan
    matched: float = np.nan
    """AUROC among images of like brightness."""
    matched_low: float = np.nan
    matched_high: float = np.nan

    @property
    def name(self) -> str:
        """`target labels alone, at random`"""
        return f"{self.learned}, {self.chosen}" if self.chosen else self.learned

    @property
    def clear(self) -> bool:
        """Whether the interval of the gain leaves 0 out."""
        return self.gain_low > 0 or self.gain_high < 0


@dataclass(frozen=True)
class Curve:
    """AUROC of every way of learning, choosing and number of labels; `alone` is the way that knows target labels alone."""

    cells: Mapping[Cell, Repeated]
    alone: str
    matched: Mapping[Cell, Repeated]
    """AUROC of each among images of like brightness."""

    def rows(self) -> list[Row]:
        """By number of labels; each with its difference from the target's labels alone, as many and at random."""
        return [self._row(*cell) for cell in sorted(self.cells, key=lambda cell: (cell[2], cell))]

    def _row(self, learned: str, chosen: str, labels: int) -> Row:
        cell, against = self.cells[learned, chosen, labels], self.cells.get((self.alone, AT_RANDOM, labels))
        matched = self.matched[learned, chosen, labels]
        row = Row(
            learned, chosen, labels, len(cell.values), cell.mean, *within(cell), matched=matched.mean,
            **dict(zip(("matched_low", "matched_high"), within(matched), strict=True)),
        )  # fmt: skip
        if against is None or against is cell:
            return row
        gain = cell.less(against)
        return replace(row, gain=gain.mean, gain_low=interval(gain).low, gain_high=interval(gain).high)

    def table(self, figure: str = "AUROC") -> Table:
        """A row per cell. figure: in words, `mean AUROC` where it is one over findings."""
        rows = self.rows()
        texts = [
            [
                f"{row.labels}", row.learned, row.chosen,
                f"{number(row.auroc)} ({number(row.low)} to {number(row.high)})",
                f"{number(row.matched)} ({number(row.matched_low)} to {number(row.matched_high)})",
                "" if np.isnan(row.gain) else f"{row.gain:+.3f} ({row.gain_low:+.3f} to {row.gain_high:+.3f})",
            ]
            for row in rows
        ]  # fmt: skip
        header = [
            "labels",
            "learned from",
            "labels chosen",
            f"{figure} (95 %)",
            "of like brightness (95 %)",
            f"less {self.alone}, {AT_RANDOM} (95 %)",
        ]
        note = "Means over draws of the labels; intervals cross draws and the patients that are judged."
        caption = f"{figure[0].upper()}{figure[1:]} on the target's test images by its labels"
        return Table("labels", caption, header, texts, pd.DataFrame([asdict(row) for row in rows]), note)

    def points(self) -> pd.DataFrame:
        """For the figure: `arm`, `labels`, `value`, `low`, `high`; what uses no target label is a level line over all numbers of labels.

        Each way of learning with labels at random; the target alone also for variety: more lines could not be told apart.
        """
        shown = [row for row in self.rows() if row.chosen in ("", AT_RANDOM) or (row.learned, row.chosen) == (self.alone, FOR_VARIETY)]
        counts = sorted({labels for _, _, labels in self.cells if labels})
        return pd.DataFrame(
            [
                {
                    "arm": row.name if row.learned == self.alone else row.learned,
                    "labels": at,
                    "value": row.auroc,
                    "low": row.low,
                    "high": row.high,
                }
                for row in shown
                for at in ([row.labels] if row.labels else counts)
            ]
        )
