"""What the results answer of the questions that reporting guidelines ask: by name, as the checklists' files name them."""

from __future__ import annotations

from collections.abc import Collection

from medtl.audit.kept import Audit
from medtl.contracts import EXTERNAL
from medtl.estimates import estimate
from medtl.paper import answers_of_data, answers_of_model
from medtl.paper.checklist import ANSWERED, AUTHOR, NOT_APPLICABLE, PARTLY, Answer
from medtl.paper.methods import place
from medtl.paper.of_evaluation import sized
from medtl.report import summary
from medtl.report.contents import Contents
from medtl.report.judged import judged_splits


def answers(contents: Contents, audit: Audit | None, tables: Collection[str]) -> dict[str, Answer]:
    """Every answer by its name. tables: the names of those in the kit."""
    own = {
        "intended_use": _intended_use(contents),
        "figures": Answer(
            ANSWERED, "Discrimination, calibration, the stored rule's figures, net benefit for two classes.", place("Evaluation")
        ),
        "uncertainty": Answer(ANSWERED, f"95 % intervals by {contents.metrics['unit']}.", place("Evaluation")),
        "robustness": _robustness(audit),
        "explanation": Answer(PARTLY, "medtl draws saliency maps on its page; none is among these results, and none was judged."),
        "internal": _internal(contents),
        "external": _external(contents),
        "performance": _performance(contents),
        "diagnostic": _diagnostic(contents),
        "failures": _failures(contents),
        "counts": _counts(contents),
        "clusters": _clusters(contents, tables),
        "fairness": _fairness(contents, tables),
        "difference": _difference(contents),
        "limitations": Answer(
            PARTLY, "What these results do not say is listed; the discussion is yours.", place("What these results do not say")
        ),
        "reproduction": _reproduction(contents),
    }
    return {**answers_of_data.answers(contents, audit), **answers_of_model.answers(contents), **own}


def _intended_use(contents: Contents) -> Answer:
    said = summary.scope(contents.package)
    if not said:
        return Answer(AUTHOR, "The experiment states no scope.")
    return Answer(PARTLY, f"Stated scope: {'; '.join(said)}. Its place in care, and its users, are yours to say.", place("Task"))


def _robustness(audit: Audit | None) -> Answer:
    if audit is None:
        return Answer(AUTHOR, "Nothing of it is among these results.")
    return Answer(
        PARTLY, "Whether something other than the disease tells the label was checked; nothing more is here.", place("Checks of the data")
    )


def _internal(contents: Contents) -> Answer:
    there = [split for split in judged_splits(contents.metrics) if split != EXTERNAL]
    if not there:
        return Answer(AUTHOR, "These results are of outside images alone.")
    unopened = "" if contents.metrics["looks"] else " The test images were not opened."
    listed = "; ".join(f"{split}: {sized(contents, split)}, AUROC {_auroc(contents, split)}" for split in there)
    return Answer(ANSWERED if contents.metrics["looks"] else PARTLY, f"{listed}.{unopened}", f"tables/{there[0]}_figures.csv")


def _external(contents: Contents) -> Answer:
    if EXTERNAL not in contents.metrics["splits"]:
        return Answer(AUTHOR, "No images of another institution are among these results.")
    text = f"{sized(contents, EXTERNAL)}, AUROC {_auroc(contents, EXTERNAL)}. Where they come from is yours to say."
    return Answer(PARTLY, text, "tables/external_figures.csv")


def _auroc(contents: Contents, split: str) -> str:
    return estimate(contents.metrics["splits"][split]["auroc"])


def _performance(contents: Contents) -> Answer:
    splits = judged_splits(contents.metrics)
    listed = "; ".join(f"{split}: AUROC {_auroc(contents, split)}" for split in splits)
    text = f"{listed}; every figure with its interval. The images that were learned from are not judged."
    return Answer(ANSWERED, text, "; ".join(f"tables/{split}_figures.csv; figures/{split}_roc.svg" for split in splits))


def _diagnostic(contents: Contents) -> Answer:
    text = "Sensitivity (recall), precision and F1 of each class, with 95 % intervals and prevalence."
    return Answer(ANSWERED, text, f"tables/{contents.split}_classes.csv")


def _failures(contents: Contents) -> Answer:
    text = "Confusion of classes; the worst errors as pictures stand in report.html. Their reasons are yours to find."
    return Answer(PARTLY, text, f"tables/{contents.split}_confusion.csv")


def _counts(contents: Contents) -> Answer:
    classes = "; ".join(f"{name} {each['support']:,}" for name, each in contents.entry["per_class"].items())
    return Answer(ANSWERED, f"{contents.split}: {classes}; parts by class in Table 1.", "tables/table_1.csv")


def _clusters(contents: Contents, tables: Collection[str]) -> Answer:
    if len(contents.domains) < 2:
        text = f"One domain ({contents.domains[0]}): what differs between centres was not measured."
        return Answer(PARTLY, text, place("What these results do not say"))
    own = [f"tables/{name}.csv" for name in (f"{contents.split}_domains", f"{contents.split}_subgroups") if name in tables]
    return Answer(ANSWERED, f"By domain: {', '.join(contents.domains)}.", "; ".join([*own[:1], "tables/table_1_domains.csv"]))


def _fairness(contents: Contents, tables: Collection[str]) -> Answer:
    if not contents.kept:
        return Answer(AUTHOR, "The tables kept no age, sex or the like (`keep`), so nothing was measured by group.")
    name = f"{contents.split}_subgroups"
    if name not in tables:
        return Answer(PARTLY, f"{', '.join(contents.kept)} are kept, but no group of them is large enough to be judged.")
    return Answer(PARTLY, f"Figures by {', '.join(contents.kept)}. What follows from them is yours to say.", f"tables/{name}.csv")


def _difference(contents: Contents) -> Answer:
    if contents.split == EXTERNAL:
        return Answer(AUTHOR, "The development data are not among these results.")
    return Answer(PARTLY, "Parts of one collection, split by a rule; Table 1 sets them side by side.", "tables/table_1.csv")


def _reproduction(contents: Contents) -> Answer:
    text = "; ".join(f"`{line}`" for line in contents.commands if not line.startswith("#"))
    return Answer(ANSWERED, text, place("Software")) if text else Answer(NOT_APPLICABLE, "No commands are kept.")
