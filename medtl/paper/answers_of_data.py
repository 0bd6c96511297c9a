"""The answers about the data: sources, eligibility, reading, partitions, what is missing."""

from __future__ import annotations

from medtl.audit.kept import Audit
from medtl.contracts import EXCLUDED
from medtl.paper.checklist import ANSWERED, AUTHOR, NOT_APPLICABLE, PARTLY, Answer
from medtl.paper.methods import place
from medtl.paper.of_data import used_words
from medtl.report.contents import Contents
from medtl.report.population import Flow, flow


def answers(contents: Contents, audit: Audit | None) -> dict[str, Answer]:
    """Every answer by its name."""
    found, total = flow(contents), used_words(contents)
    drawn = "As a diagram, in words and as a table; called and true classes at its end."
    return {
        "sources": Answer(PARTLY, f"{', '.join(contents.domains)}: {total}. Institution and dates are yours to say.", place("Data")),
        "eligibility": _eligibility(found),
        "preprocessing": Answer(ANSWERED, "Reading, size, intensity, standardisation.", place("Image preprocessing")),
        "quality": _quality(audit),
        "subsets": _subsets(contents),
        "deidentification": _deidentification(audit),
        "missing": _missing(contents, found),
        "acquisition": Answer(AUTHOR, "No table here holds protocols; file formats are in the methods.", place("Image preprocessing")),
        "labels": _labels(contents),
        "partitions": _partitions(contents),
        "unit": _unit(contents),
        "sample_size": Answer(PARTLY, f"{total} were there. Why so many, and how many were needed, is yours to say.", "tables/flow.csv"),
        "flow": Answer(ANSWERED, drawn, "figures/flow.svg; flow.txt; tables/flow.csv"),
        "demographics": _demographics(contents),
        "predictors": Answer(ANSWERED, "The pixels of one image; nothing else enters the model.", place("Image preprocessing")),
        "no_judged_predictors": Answer(NOT_APPLICABLE, "Pixels are read by a program, not judged."),
    }


def _eligibility(found: Flow) -> Answer:
    lost = "; ".join(f"{count:,} {why}" for why, count in found.lost) or "none was left out"
    return Answer(PARTLY, f"Of {found.start:,} images in the tables: {lost}. Who came into the tables is yours to say.", "figures/flow.svg")


def _quality(audit: Audit | None) -> Answer:
    checked = "the audit's findings are listed" if audit else "no audit is kept"
    return Answer(
        PARTLY, f"Preprocessing was the same for all images; {checked}.", f"{place('Image preprocessing')}; {place('Checks of the data')}"
    )


def _subsets(contents: Contents) -> Answer:
    fraction = contents.experiment.get("split", {}).get("fraction", 1.0)
    said = ["The centre of each image was cut out."] if contents.package["image"]["fit"] == "crop" else []
    said += [f"Only {fraction:g} of the groups were learned from."] if fraction < 1 else []
    if said:
        return Answer(ANSWERED, " ".join(said), f"{place('Image preprocessing')}; {place('Partitions')}")
    return Answer(NOT_APPLICABLE, "Whole images, all that could be used.", place("Image preprocessing"))


def _deidentification(audit: Audit | None) -> Answer:
    burnt = next((finding.title for finding in audit.findings if finding.code.startswith("BURNT_IN")), "") if audit else ""
    text = "medtl keeps hashed patient ids and no names or birth dates; what was done before is yours to say."
    return Answer(PARTLY, f"{text} Audit: {burnt}." if burnt else text, place("Checks of the data"))


def _missing(contents: Contents, found: Flow) -> Answer:
    lost = ", ".join(f"{count:,} {why}" for why, count in found.lost)
    unread = sum(contents.entry["unread"].values())
    text = f"Left out: {lost}. " if lost else "No image was left out. "
    text += f"{unread:,} judged images could not be read and count as missed. " if unread else ""
    return Answer(
        ANSWERED, f"{text}Unknown values of kept columns are counted; nothing was imputed.", "tables/flow.csv; tables/table_1.csv"
    )


def _labels(contents: Contents) -> Answer:
    text = f"Classes: {', '.join(contents.task.names)}, and their spellings in the source's labels. How those were set is yours to say."
    return Answer(PARTLY, text, place("Data"))


def _partitions(contents: Contents) -> Answer:
    if not contents.experiment:
        return Answer(PARTLY, "Of the images judged; how the training's were split is not here.", place("Partitions"))
    return Answer(ANSWERED, "Rule, seed and sizes.", place("Partitions"))


def _unit(contents: Contents) -> Answer:
    """Counted, not believed: in how many parts does a group stand?"""
    unit, rows = contents.metrics["unit"], contents.records
    rows = rows[rows["split"] != EXCLUDED]
    torn = int(((rows["split"] + "/" + rows["fold"]).groupby(rows["group_id"]).nunique() > 1).sum())
    if unit == "image":
        return Answer(
            ANSWERED, "By image: no patient or lesion ids are known, so patients may stand in several parts.", place("Partitions")
        )
    apart = f"{torn:,} groups stand in several parts" if torn else f"no {unit} stands in two parts"
    return Answer(ANSWERED, f"By {unit}: {apart}.", place("Partitions"))


def _demographics(contents: Contents) -> Answer:
    if not contents.kept:
        return Answer(PARTLY, "Classes by part; the tables kept no age, sex or clinical facts (`keep`).", "tables/table_1.csv")
    return Answer(ANSWERED, f"Classes and {', '.join(contents.kept)} by part.", "tables/table_1.csv")
