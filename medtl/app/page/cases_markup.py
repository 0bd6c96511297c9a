"""The HTML of "Evaluate this model on your cases": which column is which, how far it is, what came of it. Pure; every text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from medtl.app.here.columns import FIELDS, LEAVE_OUT, MOST_LABELS, Choice, images_of, labels_of
from medtl.app.here.labelled import Labelled
from medtl.app.here.outcome import Outcome
from medtl.contracts import Task
from medtl.document.table import Table

FIRST = (
    "A table (.csv) with a row for each image, its name and its label, and better also the patient; with it the images, or a zip of them "
    "(the table may lie in the zip). Nothing leaves this machine, and all of it is deleted with the answer."
)
ON_LOAD = """const given = () => ({
  columns: [...element.querySelectorAll('select[data-column]')].map((each) => [each.dataset.column, each.value]),
  classes: [...element.querySelectorAll('select[data-label]')].map((each) => [each.dataset.label, each.value]),
  without_absent: Boolean(element.querySelector('input[data-absent]')?.checked),
});
element.addEventListener('change', (event) => { if (event.target.matches('select[data-column]')) trigger('input', given()); });
element.addEventListener('click', (event) => { if (event.target.closest('button[data-run]')) trigger('submit', given()); });"""
_NOWHERE = "not in the table"
_STEPS = {"images": "Reading images", "external": "Answering"}


def first() -> str:
    """Before anything is handed over."""
    return f'<p class="medtl-cases-said">{FIRST}</p>'


def form(given: Labelled, model: str, task: Task, choice: Choice) -> str:
    """What was found in the table, to be confirmed or changed."""
    labels = labels_of(given, task, choice.columns.get("label", ""))
    meanings = _meanings(labels, task, choice) if 0 < len(labels) <= MOST_LABELS else ""
    size = f"{_count(len(given.cells), 'row')}, {_count(len(given.images), 'image')}"
    return (
        f'<section class="medtl-cases-form" aria-label="The table\'s columns"><h3>{escape(given.table)}: {size}</h3>'
        f"<p>To judge <strong>{escape(model)}</strong>. Please check which column is which.</p>"
        f'<div class="fields">{"".join(_field(given, task, name, choice) for name in FIELDS)}</div>{meanings}{_absent(given, choice)}'
        '<button type="button" class="run" data-run>Evaluate</button></section>'
    )


def _field(given: Labelled, task: Task, name: str, choice: Choice) -> str:
    chosen = choice.columns.get(name, "")
    none = "a column for each finding" if name == "label" and task.kind == "multi" else _NOWHERE
    options = _options({"": none, **{column: column for column in given.cells.columns}}, chosen)
    return f'<label>{FIELDS[name]} <select data-column="{name}">{options}</select></label>'


def _meanings(labels: Mapping[str, int], task: Task, choice: Choice) -> str:
    names = {"": "choose …", **{name: name for name in task.names}, LEAVE_OUT: "leave out"}
    rows = "".join(
        f'<label>“{escape(label)}” <small>({_count(count, "row")})</small> <select data-label="{escape(label)}">'
        f"{_options(names, choice.classes.get(label, ''))}</select></label>"
        for label, count in labels.items()
    )
    return f'<h4>What the labels mean to the model</h4><div class="fields">{rows}</div>'


def _absent(given: Labelled, choice: Choice) -> str:
    """How many rows have their image, and that the others may be left out."""
    if "image" not in choice.columns:
        return ""
    there = int((images_of(given, choice.columns["image"]) != "").sum())
    missing = len(given.cells) - there
    said = f"<p>{there:,} of {_count(len(given.cells), 'row')} name an image that is there.</p>"
    ticked = " checked" if choice.without_absent else ""
    tick = f'<label class="tick"><input type="checkbox" data-absent{ticked}> Leave out rows whose image is not there</label>'
    return said + (tick if missing or given.packed else "")


def _options(choices: Mapping[str, str], chosen: str) -> str:
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(shown)}</option>'
        for value, shown in choices.items()
    )


def refused(sentences: Iterable[str]) -> str:
    """What has to be mended, a sentence each."""
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<section class="medtl-cases-wrong" role="alert"><ul>{told}</ul></section>'


def said(sentence: str) -> str:
    return f'<p class="medtl-cases-said" role="status">{escape(sentence)}</p>'


def progress(step: str, done: int, total: int) -> str:
    """Where it stands. `step`: as the flow calls it."""
    told = f"{_STEPS.get(step, step)}: {done:,} of {total:,}" if total else step
    bar = f'max="{total}" value="{done}"' if 0 < done < total else ""
    return (
        f'<section class="medtl-progress"><progress {bar} aria-label="{escape(step)}"></progress>'
        f'<p role="status"><strong>{escape(told)}.</strong></p></section>'
    )


def outcome(found: Outcome) -> str:
    """The headline: here and where it was made, and what follows."""
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.sentences)
    return (
        f'<section class="medtl-model medtl-cases-outcome" aria-label="Evaluation" aria-live="polite"><h2>Here and where it was made</h2>'
        f"<p>{escape(found.model)} on {escape(found.judged)}, with the thresholds it came with. Research use only.</p>"
        f'{_table(found.drop)}<ul class="small">{told}</ul>'
        "<p>The whole report with its figures and tables is in the zip: open report.html.</p></section>"
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.header)
    return (
        f'<p class="small">{escape(table.caption)}</p><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>'
        f"{''.join(_row(row, table.header) for row in table.rows)}</tbody></table></div>"
        f"{f'<p class=small>{escape(table.note)}</p>' if table.note else ''}"
    )


def _row(row: Sequence[str], header: Sequence[str]) -> str:
    cells = "".join(f'<td data-title="{escape(title)}">{escape(cell)}</td>' for title, cell in zip(header[1:], row[1:], strict=False))
    return f'<tr><th scope="row">{escape(row[0])}</th>{cells}</tr>'


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
