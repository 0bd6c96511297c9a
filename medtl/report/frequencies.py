"""Shares as whole images: "of 100 images like these, 42 …" is understood where a percentage is misread (Gigerenzer & Edwards, BMJ 2003)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medtl.contracts import Task

BASES = (100, 1000, 10000)


@dataclass(frozen=True)
class Part:
    """`count` of the base's images."""

    label: str
    count: int
    kind: str
    """For the picture: found, missed, alarm, cleared, right, wrong, unread."""


@dataclass(frozen=True)
class Frequencies:
    """Parts that sum to `base`, and what they say in words."""

    base: int
    parts: Sequence[Part]
    sentences: Sequence[str]


def out_of(counts: Sequence[int]) -> tuple[int, list[int]]:
    """The smallest base of :data:`BASES` in which nothing that happened becomes 0, and the counts per that base, summing to it.

    Rounded by largest remainder, earlier parts first. Where even the largest base makes a 0 of something, that is what it is: fewer
    than 1 in 10,000.

    >>> out_of([206, 41, 44, 198])
    (100, [42, 8, 9, 41])
    >>> out_of([1, 999])
    (1000, [1, 999])
    """
    total = sum(counts)
    for base in BASES:
        scaled = [count * base / total for count in counts]
        whole = [int(value) for value in scaled]
        by_rest = sorted(range(len(counts)), key=lambda index: (whole[index] - scaled[index], index))
        for index in by_rest[: base - sum(whole)]:
            whole[index] += 1
        if all(part > 0 for part, count in zip(whole, counts, strict=True) if count):
            break
    return base, whole


def frequencies(entry: Mapping[str, Any], task: Task) -> Frequencies:
    """Of one split's confusion matrix; images without an answer are a part of their own."""
    if task.kind == "multi":
        return _of_findings(entry)
    return _of_two(entry, task, task.positive_index) if task.positive_index is not None else _of_many(entry, task)


def _of_two(entry: Mapping[str, Any], task: Task, yes: int) -> Frequencies:
    table, unread, no = entry["confusion"], entry["unread"], 1 - yes
    ill, well = task.names[yes], task.names[no]
    counts = [table[yes][yes], table[yes][no], unread[ill], table[no][yes], table[no][no], unread[well]]
    base, (found, missed, ill_unread, alarms, cleared, well_unread) = out_of(counts)
    lost = f", {ill_unread} get no answer" if ill_unread else ""
    lost_well = f", {well_unread} get no answer" if well_unread else ""
    parts = [
        Part(f"{ill}, found", found, "found"),
        Part(f"{ill}, missed", missed, "missed"),
        Part(f"{well}, false alarm", alarms, "alarm"),
        Part(f"{well}, called so", cleared, "cleared"),
        Part("no answer", ill_unread + well_unread, "unread"),
    ]
    plural = "s" if alarms != 1 else ""
    sentences = [
        f"{found + missed + ill_unread:,} are {ill}: the model finds {found:,} and misses {missed:,}{lost}.",
        f"{alarms + cleared + well_unread:,} are {well}: it calls {cleared:,} so and raises {alarms:,} false alarm{plural}{lost_well}.",
        f"So of the {found + alarms:,} that it calls {ill}, {found:,} are {ill}.",
    ]
    return Frequencies(base, [part for part in parts if part.count], sentences)


def _of_findings(entry: Mapping[str, Any]) -> Frequencies:
    """Images of which everything is called right, or something wrong; and what happens to the finding that is missed most often."""
    unread, right = sum(entry["unread"].values()), round(entry["accuracy"]["value"] * entry["n"])
    base, (well, badly, lost) = out_of([right, entry["n"] - unread - right, unread])
    parts = [Part("all findings right", well, "right"), Part("something wrong", badly, "wrong"), Part("no answer", lost, "unread")]
    said = f"of {well:,} all findings are called right, of {badly:,} at least one is not"
    hits = {name: table[1][1] for name, table in entry["confusion"].items()}
    sentences = [f"{said[0].upper()}{said[1:]}" + (f"; {lost:,} get no answer." if lost else ".")]
    return Frequencies(base, [part for part in parts if part.count], [*sentences, *_found_least_and_most(entry, hits, "findings")])


def _of_many(entry: Mapping[str, Any], task: Task) -> Frequencies:
    table, unread = entry["confusion"], sum(entry["unread"].values())
    right = sum(row[index] for index, row in enumerate(table))
    wrong = sum(map(sum, table)) - right
    base, (well, badly, lost) = out_of([right, wrong, unread])
    parts = [Part("called what they are", well, "right"), Part("called something else", badly, "wrong"), Part("no answer", lost, "unread")]
    sentences = [f"{well:,} are called what they are, and {badly:,} something else" + (f"; {lost:,} get no answer." if lost else ".")]
    hits = {name: entry["confusion"][index][index] for index, name in enumerate(entry["per_class"])}
    return Frequencies(base, [part for part in parts if part.count], [*sentences, *_found_least_and_most(entry, hits, "classes")])


def _found_least_and_most(entry: Mapping[str, Any], hits: Mapping[str, int], of: str) -> list[str]:
    """Of the classes' own images, how many are found (`hits`): the class with the fewest and the one with the most."""
    known = {name: each for name, each in entry["per_class"].items() if each["support"]}
    order = sorted(known, key=lambda name: (hits[name] / known[name]["support"], name))
    own = "with {}" if of == "findings" else "of {} alone"
    return [
        f"Of {base:,} images {own.format(name)} it finds {found:,}, the {rank} of all {of} (here {hits[name]:,} of {support:,})."
        for name, rank in ((order[0], "fewest"), (order[-1], "most"))
        for support in [known[name]["support"]]
        for base, (found, _) in [out_of([hits[name], support - hits[name]])]
    ]


def squares(found: Frequencies, side: int = 10) -> list[tuple[str, str]]:
    """One SVG path per part, of `base` squares in rows: 10 a row for 100 images, 40 for 1,000; nothing for more."""
    wide = {100: 10, 1000: 40}.get(found.base)
    if wide is None:
        return []
    paths, place = [], 0
    for part in found.parts:
        corners = [divmod(index, wide) for index in range(place, place + part.count)]
        paths.append((part.kind, "".join(f"M{column * side} {row * side}h{side - 2}v{side - 2}h-{side - 2}z" for row, column in corners)))
        place += part.count
    return paths
