"""The answers about the model: what it is, how it was made, what it gives."""

from __future__ import annotations

from medtl.paper.checklist import ANSWERED, NOT_APPLICABLE, PARTLY, Answer
from medtl.paper.methods import SETTINGS, place
from medtl.report import summary
from medtl.report.contents import Contents

ELSEWHERE = "The model came as a package: its training is not among these results."


def answers(contents: Contents) -> dict[str, Answer]:
    """Every answer by its name."""
    package = contents.package
    name = str(package["network"].get("architecture", "unknown"))
    kind = f"Deep learning, transfer of an image network ({name}). {summary.question(contents)} The title is yours."
    return {
        "kind_of_method": Answer(PARTLY, kind, place("Task")),
        "model": Answer(ANSWERED, f"{name}, fingerprint {package['fingerprint'][:12]}…", f"{place('Model')}; model_card.md"),
        "initialisation": Answer(ANSWERED, "Where the weights came from, with their hash.", place("Model")),
        "training": _of_training(contents, "Strategy, optimiser, augmentation, epochs, seed.", "Training"),
        "selection": _of_training(contents, "Epoch and probe were chosen on validation.", "Training"),
        "imbalance": _of_training(contents, "Loss, sampler, and the prior that they shift.", "Rare classes"),
        "ensemble": _ensemble(len(package["weights"])),
        "output": _output(contents),
        "software": _software(contents),
        "availability": _availability(),
        "updating": Answer(NOT_APPLICABLE, "No updating of the model is among these results."),
        "poor_input": _poor_input(contents),
    }


def _of_training(contents: Contents, text: str, heading: str) -> Answer:
    if not contents.experiment:
        return Answer(PARTLY, ELSEWHERE, place(heading))
    return Answer(ANSWERED, text, f"{place(heading)}; {SETTINGS}")


def _ensemble(count: int) -> Answer:
    if count == 1:
        return Answer(NOT_APPLICABLE, "One network.", place("Model"))
    return Answer(ANSWERED, f"The probabilities of {count} networks are averaged.", place("Model"))


def _output(contents: Contents) -> Answer:
    point = contents.package["operating_point"]
    rule = "the class of the largest probability" if point["threshold"] is None else f"a threshold by the rule {point['rule']}"
    return Answer(ANSWERED, f"A probability for each class, and a decision: {rule}.", place("Calibration and decision"))


def _software(contents: Contents) -> Answer:
    if contents.environment:
        return Answer(ANSWERED, "Versions of medtl, Python and libraries; the state of the code.", place("Software"))
    return Answer(PARTLY, "medtl's version, not those of the libraries it was trained with.", place("Software"))


def _availability() -> Answer:
    return Answer(PARTLY, "medtl is open source (Apache-2.0). Whether model and data are shared is yours to say.", place("Software"))


def _poor_input(contents: Contents) -> Answer:
    modality = contents.package["scope"].get("modality")
    others = f", nor do those of a modality other than {', '.join(modality)}" if modality else ""
    text = f"Images that cannot be read get no answer but a reason{others}. How users act on that is yours to say."
    return Answer(PARTLY, text, "model_card.md")
