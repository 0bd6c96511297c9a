"""The kit as a folder: methods, references, tables, figures, checklists, model card."""

from __future__ import annotations

from pathlib import Path

from medtl import card
from medtl.audit.kept import Audit
from medtl.document.table import Table
from medtl.files import write_text
from medtl.paper import checklist, figures, tables
from medtl.paper.answers import answers
from medtl.paper.flow import flow_text
from medtl.paper.methods import FILE, SETTINGS, methods
from medtl.paper.references import FILE as REFERENCES
from medtl.paper.references import bibliography, bracketed
from medtl.report.contents import Contents
from medtl.report.page import page

README, CARD, FLOW = "README.md", "model_card.md", "flow.txt"


def write_kit(contents: Contents, audit: Audit | None, folder: Path) -> list[str]:
    """Write everything into `folder` (new or empty); gives what could not be written, as sentences."""
    text = methods(contents, audit)
    write_text(folder / FILE, text)
    write_text(folder / CARD, card.text(contents.package, contents.metrics))
    write_text(folder / FLOW, flow_text(contents))
    if contents.experiment_yaml:
        write_text(folder / SETTINGS, contents.experiment_yaml)
    shown = tables.for_paper(page(contents)[1])
    tables.write_all(shown, folder)
    lacking = []
    if tables.word_is_there():
        tables.write_word(shown, folder)
    else:
        lacking.append(f"{tables.WORD} needs python-docx, which is not installed: {tables.EXTRA}")
    drawn = {}
    for name, caption, plot in figures.figures(contents):
        figures.write_figure(plot, name, folder)
        drawn[name] = caption
    found = answers(contents, audit, {table.name for table in shown})
    lists = [checklist.filled(name, found) for name in checklist.NAMES]
    for each in lists:
        checklist.write(each, folder)
    overview = _overview(contents, shown, drawn, lists, lacking)
    write_text(folder / README, overview)
    write_text(folder / REFERENCES, bibliography(text + overview))
    return lacking


def _overview(contents: Contents, shown: list[Table], drawn: dict[str, str], lists: list[checklist.Checklist], lacking: list[str]) -> str:
    """What lies where."""
    word = "" if lacking else f", all of them in `{tables.WORD}`"
    return "\n".join(
        [
            f"# {contents.package['name']}: paper kit\n",
            "Made by `medtl paper` from the results' own tables. Nothing is claimed that they do not hold.\n",
            f"- `{FILE}`: the methods, with citations (`[@key]`) of `{REFERENCES}`; ends with what these results do not say",
            *(
                f"- `checklist_{each.name}.md`, `.csv`: {each.title}{bracketed([each.cites])}, "
                f"{int((each.rows['state'] == checklist.AUTHOR).sum())} of {len(each.rows)} items for you alone"
                for each in lists
            ),
            *([f"- `{SETTINGS}`: every setting of the training"] if contents.experiment_yaml else []),
            f"- `{CARD}`: the model card{bracketed(['mitchell2019'])}",
            f"- `{FLOW}`: the flow of images{bracketed(['bossuyt2015'])} in words\n",
            f"Tables, as `tables/*.tex` (booktabs; `{tables.ALL}` holds them all) and `.csv`{word}:\n",
            *(f"- `{table.name}`: {table.caption}" for table in shown),
            "\nFigures, as `figures/*.svg` and `.tiff` (300 dpi):\n",
            *(f"- `{name}`: {caption}" for name, caption in drawn.items()),
            *(["\nNot written:\n", *(f"- {line}" for line in lacking)] if lacking else []),
            "",
        ]
    )
