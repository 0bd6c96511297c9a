"""A batch as a table that the browser sorts and filters (`page.js`), and where it stands meanwhile. Pure; every text is escaped."""

from __future__ import annotations

from html import escape

from medtl.app import words
from medtl.app.page.many import Batch, Row
from medtl.estimates import percent
from medtl.findings import BETWEEN

_MOST_CLASSES = 3
"""Up to so many, each has a column of its own; of more, the probability of what is answered."""


def progress(batch: Batch, ended: bool = False) -> str:
    """A bar, and what was answered so far."""
    done, answered = len(batch.rows), sum(row.answered for row in batch.rows)
    counts: dict[str, int] = {}
    for row in batch.rows:
        if row.answered:
            for name in row.verdict.decision.split(BETWEEN):
                counts[name] = counts.get(name, 0) + 1
    said = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))
    told = f"{done:,} of {batch.total:,} images" + ("" if ended or done < batch.total else ", all done")
    return (
        f'<section class="medtl-progress" aria-live="polite"><progress max="{max(1, batch.total)}" value="{done}" '
        'aria-label="Images answered"></progress>'
        f"<p><strong>{told}{' before it was stopped' if ended and done < batch.total else ''}.</strong> "
        f"{escape(said) + ', ' if said else ''}no answer {done - answered:,}.</p></section>"
    )


def table(batch: Batch) -> str:
    """All rows; a click on a name opens its image."""
    if not batch.rows:
        return ""
    package = batch.rows[0].verdict.package
    names = list(package.task.names)
    shown = names if len(names) <= _MOST_CLASSES else []
    columns = ["Image", "Answer", *(f"p({name})" for name in shown), *([] if shown else ["Probability"]), "Why there is none"]
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button" data-column="{k}">{escape(name)}</button></th>'
        for k, name in enumerate(columns)
    )
    rows = "".join(_row(place, row, shown) for place, row in enumerate(batch.rows))
    answers = sorted({words.headline(package, row.verdict.decision, row.verdict.reason) for row in batch.rows})
    options = "".join(f"<option>{escape(each)}</option>" for each in answers)
    return (
        f'<section class="medtl-table" aria-label="Answers of {escape(package.name)}">'
        '<div class="tools" role="toolbar" aria-label="Which rows">'
        f'<label>Show <select class="filter"><option value="">all</option><option value="no answer">all without an answer</option>{options}'
        '</select></label><label>Name holds <input type="search" class="search"></label>'
        '<output class="shown" aria-live="polite"></output></div>'
        '<div class="scroll" tabindex="0" role="group" aria-label="Table of answers">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(place: int, row: Row, shown: list[str]) -> str:
    verdict = row.verdict
    title = words.headline(verdict.package, verdict.decision, verdict.reason)
    reason = verdict.reason.partition(" [")[0]
    if shown:
        cells = "".join(_share(verdict.probabilities[name]) for name in shown)
    else:
        called = [verdict.probabilities[name] for name in verdict.decision.split(BETWEEN) if name in verdict.probabilities]
        cells = _share(max(called, default=float("nan")))
    return (
        f'<tr data-answer="{escape(title)}"{"" if row.answered else " class=unanswered"}><th scope="row">'
        f'<button type="button" data-row="{place}">{escape(row.name)}</button></th><td>{escape(title)}</td>{cells}'
        f"<td>{escape(reason)}</td></tr>"
    )


def _share(value: float) -> str:
    known = value == value
    return f'<td data-value="{value if known else -1:.9f}">{percent(value) if known else ""}</td>'
