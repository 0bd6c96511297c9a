"""A ranking as the terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence

from medtl.errors import listed
from medtl.estimates import number
from medtl.evaluation.table import estimate
from medtl.findings import without
from medtl.ranking.advice import Figure
from medtl.ranking.agreement import Agreement
from medtl.ranking.kept import SCORES, TUNED, Ranking, Scored, not_told_apart

SHOWN = 0.05
"""Where even a perfect agreement has a larger p, there are too few candidates to show one."""


def lines(ranking: Ranking) -> str:
    """Table, taus, advice and commands. No trailing newline."""
    parts = [said_of_images(ranking), "", *aligned([header(ranking), *(row(each, ranking) for each in ranking.candidates)])]
    parts += [f"  {told_apart_said(ranking)}"] if told_apart_said(ranking) else []
    parts += ["", *aligned([of_findings_header(ranking), *of_findings_rows(ranking)])] if ranking.findings else []
    parts += [f"  not compared: {name}: {reason}" for name, reason in ranking.missing]
    parts += ["", *(f"  {sentence}" for sentence in agreements_said(ranking))] if ranking.tuned else []
    parts += ["", f"advice: {ranking.advice.strategy}" + (f" from {ranking.best}" if ranking.best else "")]
    parts += [f"  {reason}" for reason in ranking.advice.reasons]
    for command, minutes, what in zip(ranking.commands, ranking.expected_minutes, ("check it", "beside it"), strict=False):
        parts.append(f"{what} (about {max(minutes, 0.1):.1f} minutes, images already read):\n  {command}")
    return "\n".join(parts)


def said_of_images(ranking: Ranking) -> str:
    """What the figures are of."""
    counts = ranking.counts
    some = f"{counts['scored']:,} of " if counts["scored"] < counts["images"] else ""
    told = (
        f"{ranking.headline[0].upper()}{ranking.headline[1:]} of probe and neighbours, out of fold: {some}{counts['images']:,} images "
        f"of {counts['groups']:,} groups (train and validation; 95 % intervals by {ranking.unit})"
    )
    if not ranking.findings:
        return told
    return f"{told}; every score but the distance is the mean over {_findings(ranking)}, each by itself on the images of which it is known"


def _findings(ranking: Ranking) -> str:
    number = len(ranking.findings)
    return f"{number} findings" if number > 1 else f"one finding, {ranking.findings[0]}"


def header(ranking: Ranking) -> list[str]:
    """Of the table."""
    tuned = ["tuned"] if ranking.tuned else []
    return ["candidate", *tuned, *SCORES.values(), "features", "ms/image", "ms/step"]


def row(each: Scored, ranking: Ranking) -> list[str]:
    """Of one candidate; `-` where there is no figure."""
    interval = [estimate(each.figures[TUNED]) if each.figures[TUNED].get("value") is not None else "-"] if ranking.tuned else []
    probe = estimate(each.figures["probe"]) if each.figures["probe"].get("value") is not None else "-"
    scores = [_short(each.figures[score]) for score in SCORES if score != "probe"]
    return [each.name, *interval, probe, *scores, f"{each.features:,}", f"{each.forward_milliseconds:.1f}", f"{each.step_milliseconds:.1f}"]


def of_findings_header(ranking: Ranking) -> list[str]:
    """Of the table of findings."""
    return ["finding", "images", "groups with", "without", f"probe of {ranking.best or ranking.candidates[0].name}", "highest probe"]


def of_findings_rows(ranking: Ranking) -> list[list[str]]:
    """What is known of each finding, the probe of the best candidate, and whose probe is highest for this finding alone."""
    shown = next((each for each in ranking.candidates if each.name == ranking.best), ranking.candidates[0])
    rows = []
    for name in ranking.findings:
        counts = [ranking.counts[key] for key in (f"images of known {name}", f"groups of {name}", f"groups of {without(name)}")]
        first = max(ranking.candidates, key=lambda each: each.of_findings[name]["probe"]["value"])
        highest = "the same" if first is shown else f"{first.name}, {number(first.of_findings[name]['probe']['value'])}"
        rows.append([name, *(f"{count:,}" for count in counts), estimate(shown.of_findings[name]["probe"]), highest])
    return rows


def agreements_said(ranking: Ranking) -> list[str]:
    """A sentence about the true ranking, and one for each score."""
    told = [f"true ranking: {ranking.tuned}. Kendall's tau of each score with it (1: the same order, 0: no relation):"]
    for score, words in SCORES.items():
        found = ranking.agreements.get(score)
        told.append(f"  {words:<13}" + (agreement_said(found) if found else "n/a: fewer than three candidates have both"))
    return [*told, _best_after_tuning(ranking)]


def _best_after_tuning(ranking: Ranking) -> str:
    known = [each for each in ranking.candidates if each.figures[TUNED].get("value") is not None]
    if not known:
        return "no candidate could be trained"
    best = max(known, key=lambda each: each.value(TUNED))
    chosen = next((each for each in known if each.name == ranking.best), None)
    other = "" if chosen is None or chosen is best else f"; {chosen.name}, first by its probe, reached {estimate(chosen.figures[TUNED])}"
    return f"best after tuning: {best.name}, {estimate(best.figures[TUNED])}{other}"


def agreement_said(found: Agreement) -> str:
    """`+0.71 (p = 0.014, 8 candidates)`, and where so few can show nothing, that."""
    few = "; so few cannot show more" if found.least_p > SHOWN and found.p <= found.least_p else ""
    return f"{found.tau:+.2f} (p = {number(found.p)}, {found.n} candidates{few})"


def told_apart_said(ranking: Ranking) -> str:
    """Which candidates may be as good as the best; empty where none may."""
    names = not_told_apart(ranking)
    return f"not told apart from {ranking.best} by their probes (the paired interval holds 0): {listed(names, most=5)}" if names else ""


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width, the first to the left."""
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in rows
    ]


def _short(figure: Figure) -> str:
    value = figure.get("value")
    return "-" if value is None else f"{value:.3f}"
