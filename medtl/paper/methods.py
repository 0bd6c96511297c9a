"""`methods.md`: what was done, in sentences that the run itself holds, with its sources as `[@key]` for pandoc and `references.bib`."""

from __future__ import annotations

from collections.abc import Iterable

from medtl.audit.kept import Audit
from medtl.paper.of_data import checks_text, partition_text, population_text, reading_text
from medtl.paper.of_evaluation import evaluation_text, unknown_text
from medtl.paper.of_model import decision_text, imbalance_text, network_text, software_text, training_text
from medtl.report import summary
from medtl.report.contents import Contents

FILE, SETTINGS = "methods.md", "experiment.yaml"
_NOTE = (
    "*Written by `medtl paper` out of the results' own tables. Every sentence holds for these results; put it into your own words and "
    "order, add what only you know, and keep the last section in mind.*"
)


def place(heading: str) -> str:
    """A pointer to a section, as checklists give it."""
    return f"{FILE}#{heading}"


def methods(contents: Contents, audit: Audit | None) -> str:
    """The text, in Markdown; headings are what checklists point to."""
    sections = {
        "Task": _task(contents),
        "Data": population_text(contents),
        "Image preprocessing": reading_text(contents),
        "Partitions": partition_text(contents, audit),
        "Checks of the data": checks_text(audit),
        "Model": network_text(contents.package),
        "Training": training_text(contents),
        "Rare classes": imbalance_text(contents),
        "Calibration and decision": decision_text(contents),
        "Evaluation": evaluation_text(contents),
        "Software": software_text(contents),
    }
    unknown = "\n".join(f"- {line}" for line in unknown_text(contents))
    body = "\n\n".join(f"## {heading}\n\n{_paragraphs(sentences)}" for heading, sentences in sections.items())
    return f"# Methods\n\n{_NOTE}\n\n{body}\n\n## What these results do not say\n\n{unknown}\n"


def _task(contents: Contents) -> Iterable[str]:
    yield summary.question(contents)
    scope = summary.scope(contents.package)
    yield f"Meant for: {'; '.join(scope)}." if scope else "For whom the model is meant is not stated."


def _paragraphs(sentences: Iterable[str]) -> str:
    """Sentences as one paragraph; a list stands by itself."""
    text = ""
    for sentence in sentences:
        block = sentence.startswith("- ")
        text += ("\n\n" if block else " ") + sentence if text else sentence
    return text
