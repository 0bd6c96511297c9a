"""The flow of images and patients as STARD draws it: who was there, who was left out and why, who was judged, with which result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from medtl.contracts import CALIBRATION
from medtl.evaluation import answering
from medtl.report.contents import Contents, groups_named
from medtl.report.figures import style
from medtl.report.judged import judged_splits
from medtl.report.population import Flow, flow
from medtl.report.results import of_findings

WIDTH, LINE, GAP = 7.1, 0.155, 0.24
"""Inches: the width of a page's text, a line of 8 points, the room between two rows of boxes."""
MOST_PARTS = 10
"""More splits or folds than this are told in one box."""
MOST_BOXES = 7
"""More classes than this do not fit side by side: then one box has their sums."""
NARROW = 4
"""From so many boxes on, names are broken."""
_ARROW = {"arrowstyle": "-|>", "color": style.GREY, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}


def flow_text(contents: Contents) -> str:
    """The same as :func:`flow_figure`, in lines."""
    found = flow(contents)
    left = [f"{why}, {count:,}" for why, count in found.lost] or ["none"]
    title, results = _judged(contents)
    lines = [
        f"{found.start:,} images in the tables",
        *(f"  left out: {line}" for line in left),
        _in_a_line(_used(found, contents)),
        *(f"  {_in_a_line(_part(*part, contents))}" for part in found.kept),
        title,
        *(f"  {_in_a_line(box)}" for box in results),
    ]
    return "\n".join(lines) + "\n"


def _in_a_line(box: str) -> str:
    """A box as a line: `train: 3,346 images, 1,664 patients`."""
    first, *rest = box.split("\n")
    return f"{first}: {', '.join(rest)}" if rest else first


@style.in_style
def flow_figure(contents: Contents) -> style.Plot:
    """Boxes from the tables to the parts, and from the weightiest judged part to what was called (STARD 2015: Bossuyt et al., BMJ 2015)."""
    found = flow(contents)
    left = "\n".join(["Left out", *(f"{count:,} {why}" for why, count in found.lost)]) if found.lost else "Left out\nnone"
    title, results = _judged(contents)
    if len(results) >= NARROW:
        results = [_narrow(box) for box in results]
    rows = [
        [f"In the tables\n{found.start:,} images"],
        [_used(found, contents)],
        _parts(found, contents),
        [title],
        results,
    ]
    heights = [_height(row) for row in rows]
    heights[0] = max(heights[0], _height([left]))
    plot = style.Plot(figsize=(WIDTH, sum(heights) + GAP * (len(rows) - 1) + 0.1))
    axes = plot.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, plot.get_figheight()))
    axes.set_axis_off()
    top, before = plot.get_figheight() - 0.05, list[float]()
    for place, (row, height) in enumerate(zip(rows, heights, strict=True)):
        middles = [WIDTH * 0.3] if place < 2 else [WIDTH * (index + 0.5) / len(row) for index in range(len(row))]
        for middle, text in zip(middles, row, strict=True):
            _box(axes, middle, top, 2.6 if place < 2 else min(4.6, WIDTH / len(row) - 0.12), height, text)
        _join(axes, before, middles, top)
        if place == 0:
            _box(axes, WIDTH * 0.76, top, 3.0, height, left)
            axes.annotate("", (WIDTH * 0.76 - 1.5, top - height / 2), (WIDTH * 0.3 + 1.3, top - height / 2), arrowprops=_ARROW)
        before = [middles[index] for index in _judged_parts(contents)] if row is rows[2] and len(row) == len(found.kept) else middles
        top -= height + GAP
    return plot


def _parts(found: Flow, contents: Contents) -> list[str]:
    """A box for each split or fold; one for all of them where they are many."""
    if len(found.kept) <= MOST_PARTS:
        return [_part(*part, contents) for part in found.kept]
    sizes = [images for _, images, _ in found.kept]
    return [f"{len(sizes)} parts\n{min(sizes):,} to {max(sizes):,} images each"]


def _height(row: list[str]) -> float:
    return max(box.count("\n") for box in row) * LINE + 0.36


def _judged_parts(contents: Contents) -> list[int]:
    """Places of the parts whose images were judged: one split, or all folds."""
    names = [name for name, _, _ in flow(contents).kept]
    split = judged_splits(contents.metrics)[0]
    return [names.index(split)] if split in names else [index for index, name in enumerate(names) if name != CALIBRATION]


def _box(axes: Axes, middle: float, top: float, width: float, height: float, text: str) -> None:
    axes.add_patch(Rectangle((middle - width / 2, top - height), width, height, facecolor="white", edgecolor=style.GREY, linewidth=0.7))
    axes.text(middle, top - height / 2, text, ha="center", va="center", linespacing=1.25, fontsize=8 if width > 1.1 else 7)


def _join(axes: Axes, starts: list[float], ends: list[float], top: float) -> None:
    """Down from every box above, across, and down to every box below."""
    if not starts:
        return
    level = top + GAP / 2
    for start in starts:
        axes.plot([start, start], [top + GAP, level], color=style.GREY, linewidth=0.7)
    axes.plot([min(*starts, *ends), max(*starts, *ends)], [level, level], color=style.GREY, linewidth=0.7)
    for end in ends:
        axes.annotate("", (end, top), (end, level), arrowprops=_ARROW)


def _used(found: Flow, contents: Contents) -> str:
    rows, unit = contents.records, contents.metrics["unit"]
    groups = int(rows.loc[rows["split"] != "excluded", "group_id"].nunique())
    return f"Used\n{found.used:,} images" + (f"\nof {groups_named(groups, unit)}" if unit != "image" else "")


def _part(name: str, images: int, groups: int, contents: Contents) -> str:
    unit = contents.metrics["unit"]
    return f"{style.short(name, 18)}\n{images:,} images" + (f"\n{groups_named(groups, unit)}" if unit != "image" else "")


def _judged(contents: Contents) -> tuple[str, list[str]]:
    """The weightiest judged part, and a box for each thing that was called: how many, and what they are."""
    split, unit = judged_splits(contents.metrics)[0], contents.metrics["unit"]
    entry = contents.metrics["splits"][split]
    answers = entry.get("answering", {})
    answered = answering.of_all_comers(entry, answers.get("all_comers"))
    boxes = _findings(answered) if of_findings(entry) else _called(answered)
    if "all_comers" in answers:  # who could not be read is among those without an answer
        why = [f"{count:,} {code}" for code, count in answers["reasons_in_all"].items()]
        silent = sum(answers["reasons_in_all"].values())
        boxes = [*(box for box in boxes if not box.startswith("not read\n")), "\n".join([f"no answer\n{silent:,} images", *why])]
    of = f" of {groups_named(entry['groups'], unit)}" if unit != "image" else ""
    title = f"Judged: {split}{', out of fold' if contents.over_folds else ''}, {entry['n']:,} images{of}"
    return title, boxes


def _called(entry: Mapping[str, Any]) -> list[str]:
    """By what was called: of few classes what the images are, of more only right and wrong; then what was not read."""
    names, table = list(entry["per_class"]), entry["confusion"]
    unread = sum(entry["unread"].values())
    last = [f"not read\n{unread:,}"] if unread else []
    right = sum(table[index][index] for index in range(len(names)))
    if len(names) > MOST_BOXES - len(last):
        return [f"called right\n{right:,}", f"called wrong\n{sum(map(sum, table)) - right:,}", *last]
    boxes = []
    for column, name in enumerate(names):
        counts = [row[column] for row in table]
        shares = [f"{counts[column]:,} right", f"{sum(counts) - counts[column]:,} wrong"]
        if len(names) <= 3:
            shares = [f"{count:,} {style.short(truth, 20)}" for truth, count in zip(names, counts, strict=True)]
        boxes.append("\n".join([f"called {name}", f"{sum(counts):,} images", *shares]))
    return boxes + last


def _findings(entry: Mapping[str, Any]) -> list[str]:
    """Of each finding how often it was called, rightly and wrongly, and missed."""
    if len(entry["confusion"]) > MOST_BOXES:
        return [f"{len(entry['confusion'])} findings, each by itself\n(see the table of confusion)"]
    return [
        f"{name}\n{tp + fp:,} called\n{tp:,} right\n{fp:,} wrong\n{fn:,} missed" for name, ((_, fp), (fn, tp)) in entry["confusion"].items()
    ]


def _narrow(box: str) -> str:
    """A box whose first line, a class, is broken at hyphens and spaces."""
    first, *rest = box.split("\n")
    lines = [""]
    for word in re.findall(r"[^ -]+[ -]?", first):
        if lines[-1] and len(lines[-1]) + len(word) > 13:
            lines.append("")
        lines[-1] += word
    return "\n".join([*(style.short(line.strip(), 15) for line in lines), *rest])
