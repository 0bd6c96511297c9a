"""What the methods say of the judgement: which figures, which intervals, how often the images were opened; and what nobody measured."""

from __future__ import annotations

from collections.abc import Iterator

from medtl.contracts import EXTERNAL, TEST, VALIDATION
from medtl.estimates import ONE_TRAINING, percent
from medtl.evaluation import answering
from medtl.evaluation.resampling import RESAMPLES
from medtl.paper.references import cite
from medtl.report import summary
from medtl.report.contents import Contents, groups_named
from medtl.report.judged import judged_splits


def evaluation_text(contents: Contents) -> Iterator[str]:
    """Figures, their intervals, and the basis of both."""
    splits = judged_splits(contents.metrics)
    yield f"Judged: {', '.join(f'{split} ({sized(contents, split)})' for split in splits)}. {summary.basis(contents)}"
    yield _figures(contents)
    yield _intervals(contents)
    if contents.task.positive_index is not None:
        yield f"Net benefit over thresholds is shown as a decision curve{cite('evaluation.net_benefit')}."
    if contents.over_folds:
        yield f"Figures are pooled over the folds{cite('evaluation.folds')}; the folds' spread is no interval."
    yield "Images that could not be read count as missed in every share and are left out of ranks and calibration."
    yield from _held_back(contents)
    yield summary.looks(contents)


def _held_back(contents: Contents) -> Iterator[str]:
    """Of the weightiest part, who got no answer, and how the figures count them."""
    answers = contents.entry.get("answering", {})
    if "all_comers" in answers:
        why = ", ".join(f"{count:,} {code}" for code, count in answers["reasons_in_all"].items())
        yield (
            f"Of the {contents.split} images {percent(answers['coverage']['value'])} got an answer; the others: {why}. "
            f"{' '.join(answering.sentences(answers))} Figures are of every image read, had its answer been given, unless a table says "
            "that in it no answer is no hit, or that it is of those answered only."
        )


def sized(contents: Contents, split: str) -> str:
    """`1,038 images of 547 patients`."""
    found, unit = contents.metrics["splits"][split], contents.metrics["unit"]
    return f"{found['n']:,} images" + (f" of {groups_named(found['groups'], unit)}" if unit != "image" else "")


def _figures(contents: Contents) -> str:
    """The figures that these metrics hold; an earlier medtl knew fewer."""
    there = contents.entry
    of_rule = ["sensitivity, precision and F1 per class, accuracy and balanced accuracy"]
    of_rule += [f"Matthews' correlation{cite('evaluation.agreement', 'mcc')}"] if "mcc" in there else []
    of_rule += [f"Cohen's kappa{cite('evaluation.agreement', 'kappa')}"] if "kappa" in there else []
    parts = f" and its parts{cite('evaluation.decomposition')}" if "brier_reliability" in there else ""
    calibration = [f"Brier score{cite('evaluation.probability', 'brier_terms')}{parts}"]
    calibration += [f"expected calibration error of the top label in 15 bins{cite('evaluation.probability', 'calibration_error')}"]
    if any("calibration_slope" in each for each in there["per_class"].values()):
        calibration.append(f"intercept and slope{cite('evaluation.calibration_line')}")
    means = "" if contents.task.positive_index is not None else " (means of one against rest)"
    return (
        f"Discrimination: AUROC and AUPRC{means}. Of the stored rule: {', '.join(of_rule)}. Calibration: {', '.join(calibration)}. "
        "Precision holds at the prevalence of the images judged."
    )


def _intervals(contents: Contents) -> str:
    unit = contents.metrics["unit"]
    by = f"by {unit}" if unit != "image" else "by image, for no patient or lesion is known: too narrow where one has several images"
    return (
        f"Brackets are 95 % intervals, {by}. Shares: Wilson's score interval{cite('evaluation.intervals', 'wilson')} with a design effect"
        f"{cite('evaluation.intervals', 'effective_cases')}. Ranks and means over classes: {RESAMPLES:,} bootstrap draws of groups"
        f"{cite('evaluation.intervals', 'percentiles')}, where cases are few no narrower than the analytic interval"
        f"{cite('evaluation.intervals', 'auroc_interval')}."
    )


def unknown_text(contents: Contents) -> Iterator[str]:
    """What a reader will ask and these results do not say, a line each."""
    if contents.metrics["looks"] == 0 and VALIDATION in contents.metrics["splits"]:
        yield "How the model does on images that chose nothing: the test images were not opened. Figures of validation are likely too good."
    if EXTERNAL not in contents.metrics["splits"]:
        yield "How the model does elsewhere: no images of another institution are among these results."
    if len(contents.package["weights"]) == 1:
        yield f"How much another training would differ. {ONE_TRAINING}"
    if contents.metrics["unit"] == "image":
        yield "Which images are of one patient: no ids were given, so parts may share patients and intervals are too narrow."
    if not contents.kept:
        yield "Age, sex, device and the like: the tables kept none (`keep`), so there are no subgroups and Table 1 has none of them."
    if contents.split == TEST and contents.metrics["looks"] > 1:
        yield "What the first look would have shown: the test images were opened more than once, and later choices may have known them."
    if not summary.scope(contents.package):
        yield "For whom the model is meant: the experiment states no scope."
    if not contents.environment:
        yield "The environment of the training: it is not in this folder."
    yield "Who the patients were, where, when and how they were imaged, and how the reference standard was set: no table here holds that."
    yield "Whether the images and labels may be used, and by whom: ethics, consent, licences and funding are the authors' to state."
