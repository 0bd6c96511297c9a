"""What the methods say of the data: which images, how they were read, who was trained on and who was judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medtl.audit.kept import Audit
from medtl.contracts import CALIBRATION, EXCLUDED
from medtl.estimates import percent
from medtl.paper.references import cite
from medtl.report import population
from medtl.report.contents import Contents, groups_named

FITS = {
    "pad": "the short side padded with black",
    "crop": "the centre of the long side cut out",
    "squeeze": "both sides scaled apart, so that the aspect ratio is lost",
}
INTENSITIES = {
    "as-read": "The range of an image's type, or of its DICOM window, became [0, 1].",
    "percentile": "The range from the 0.5th to the 99.5th percentile of each image became [0, 1].",
}
READING = {
    "DICOM": "DICOM images were read with their modality and VOI transformations, and inverted once where MONOCHROME1 or their "
    "presentation says so.",
    "NIfTI": "NIfTI images were turned by their affine.",
}
"""By the format's name in measurements."""
CHECKS = {
    "TELLTALE": "audit.shortcuts",
    "NEAR_DUPLICATE": "audit.same_picture",
    "PROBABLE_LABEL_ERRORS": "audit.label_errors",
}
"""Beginnings of the codes of findings → the room's file whose docstring cites the method."""


def population_text(contents: Contents) -> Iterator[str]:
    """How many images, of what, and what became of them."""
    found = population.flow(contents)
    lost = "; ".join(f"{count:,} {why}" for why, count in found.lost)
    sources = f"{len(contents.domains)} source{'s' if len(contents.domains) > 1 else ''} ({', '.join(contents.domains)})"
    yield f"The tables named {found.start:,} images from {sources}."
    yield f"Of these, {found.start - found.used:,} were not used ({lost})." if lost else "None was left out."
    yield f"{used_words(contents)} were used (Figure `figures/flow.svg`, Table `table_1`)."
    if found.notes:
        yield f"Noted while the tables were read: {'; '.join(note.rstrip('.') for note in found.notes)}."
    yield _task(contents)
    if contents.synthetic:
        yield "**The images are synthetic: made by a program. Nothing here says how a model does on patients.**"


def used_words(contents: Contents) -> str:
    """`5,216 images of 2,635 patients`: all that stand in a part."""
    rows, unit = contents.records[contents.records["split"] != EXCLUDED], contents.metrics["unit"]
    return f"{len(rows):,} images" + (f" of {groups_named(int(rows['group_id'].nunique()), unit)}" if unit != "image" else "")


def _task(contents: Contents) -> str:
    task = contents.task
    named = "; ".join(f"{name} (labels {', '.join(spellings)})" if spellings else name for name, spellings in task.classes.items())
    if task.kind == "multi":
        return f"An image could have any of {len(task.names)} findings, each judged by itself: {named}. Unknown findings were left unknown."
    if task.positive_index is None:
        return f"An image had one of {len(task.names)} classes: {named}."
    return f"An image had one of two classes: {named}. The positive class is {task.names[task.positive_index]}."


def reading_text(contents: Contents) -> Iterator[str]:
    """Formats and deterministic preprocessing."""
    image, network = contents.package["image"], contents.package["network"]
    formats = {} if contents.measurements is None else contents.measurements["format"].replace("", "unknown").value_counts().to_dict()
    if formats:
        yield "File formats: " + ", ".join(f"{name} ({count:,})" for name, count in formats.items()) + "."
    yield from (words for name, words in READING.items() if not formats or name in formats)
    if not formats or set(formats) - set(READING):
        yield "Pictures were read in the range of their type, upright by EXIF."
    if image.get("decode") == "reduced":
        yield "JPEG and JPEG 2000 were decoded at reduced resolution where that sufficed."
    yield (
        f"Each was brought to {image['size']} × {image['size']} pixels ({FITS.get(image['fit'], image['fit'])}), "
        f"{'as grey' if image['channels'] == 1 else 'in colour'}. {INTENSITIES.get(image['intensity'], '')}".rstrip()
    )
    if network.get("mean") and network.get("std"):
        mean, std = (", ".join(f"{value:g}" for value in network[key]) for key in ("mean", "std"))
        yield f"Intensities were standardised with the means ({mean}) and standard deviations ({std}) that the network expects."


def partition_text(contents: Contents, audit: Audit | None) -> Iterator[str]:
    """How the parts were made, and what kept them apart."""
    settings = contents.experiment
    if not settings:
        yield "How the images that the model learned from were split is not in this folder."
        return
    yield from _assignment(settings["split"])
    yield from _parts(contents)
    yield from _near_duplicates(settings, audit)
    yield from _accepted(contents)
    fraction = settings["split"].get("fraction", 1.0)
    if fraction < 1:
        share = percent(fraction, 0)
        yield f"Of the groups to learn from and to choose by, only {share} were used, drawn class by class (seed {settings['seed']})."
    if settings["split"].get("labels") == "shuffled":
        yield "**The labels were dealt anew by chance: this training is a control in which nothing can be learned.**"


def _assignment(split: Mapping[str, Any]) -> Iterator[str]:
    together = _kept_together(split)
    if split.get("column"):
        held = f", and of the training groups {percent(split['held_out'], 0)} were held out by a hash" if split.get("held_out") else ""
        yield f"The parts were given by the column `{split['column']}` of the source's table{held}. {together}"
    elif split.get("from_run"):
        yield f"The split of an earlier run was taken over; new groups fell by a hash. {together}"
    elif split.get("fold") is not None:
        yield (
            f"A hash of the group's id (seed {split['seed']}) made {split['folds']} folds; fold {split['fold'] + 1} was the test part, "
            f"and of the others {percent(split['validation'], 0)} were set aside for validation. {together}"
        )
    elif split.get("folds"):
        held = f"; {percent(split['held_out'], 0)} of all groups stood in no fold" if split.get("held_out") else ""
        yield (
            f"{split['folds']}-fold cross-validation: a hash of the group's id (seed {split['seed']}) decided the fold, and each fold was "
            "judged by the model that did not learn from it; of the other folds "
            f"{percent(split['validation'], 0)} were set aside for validation{held}. {together}"
        )
    else:
        shares = {"validation": split["validation"], "test": split["test"], "calibration": split.get("held_out")}
        wanted = [f"{percent(share, 0)} for {name}" for name, share in shares.items() if share]
        yield f"A hash of the group's id (seed {split['seed']}) decided the part, with target shares of {', '.join(wanted)}. {together}"


def _kept_together(split: Mapping[str, Any]) -> str:
    unit = split["by"]
    if unit != "image":
        return f"All images of one {unit} stayed in one part; an image without that id was its own group."
    if split.get("near_duplicates") == "together":
        return "Each image was its own group, for lack of ids or by choice; nearly equal ones shared one."
    return "Each image was its own group, for lack of ids or by choice."


def _parts(contents: Contents) -> Iterator[str]:
    unit = contents.metrics["unit"]
    kept = population.flow(contents).kept
    of = {name: f" of {groups_named(groups, unit)}" if unit != "image" else "" for name, _, groups in kept}
    sizes = [f"{name} {images:,} images{of[name]}" for name, images, _ in kept]
    if sizes:
        yield f"This gave: {'; '.join(sizes)}."
    if any(name == CALIBRATION for name, _, _ in kept):
        yield _held_out(contents)


def _held_out(contents: Contents) -> str:
    """What the images of `split.held_out` were for."""
    asked = contents.experiment["decision"]
    rest = [name for name, key in (("guarantee", "guarantee"), ("prediction sets", "conformal")) if asked.get(key) is not None]
    if contents.over_folds:
        half = f"; half of their groups chose nothing of it and were kept for {' and '.join(rest)}" if rest else ""
        return f"The images of `calibration` stood in no fold; the ensemble's calibration and threshold were fitted on them{half}."
    use = f"; only {' and '.join(rest)} were fitted on them" if rest else ""
    return f"The images of `calibration` were held out: nothing was trained on or chosen by them{use}."


def _near_duplicates(settings: Mapping[str, Any], audit: Audit | None) -> Iterator[str]:
    """What kept copies of one picture apart: the setting, else what the audit saw."""
    how = f"perceptual hash{cite('imaging.measuring', 'perceptual_hash')}, then alignment{cite('audit.same_picture')}"
    if settings["split"].get("near_duplicates") == "together":
        yield f"Nearly equal images ({how}) were kept in one part."
    elif audit is None:
        yield "Whether nearly equal images stand in different parts is not kept with these results."
    elif any(finding.code.startswith("NEAR_DUPLICATE_ACROSS") for finding in audit.findings):
        yield f"**Nearly equal images ({how}) stand in different parts: the figures are too good** (see the checks below)."
    else:
        yield f"Nearly equal images in different parts were looked for ({how}) and not found."


def _accepted(contents: Contents) -> Iterator[str]:
    """Leaks that training was told to accept."""
    titles = [
        str(title)
        for log in contents.logs.values()
        for event in log
        if event.get("event") == "leaks allowed"
        for key, title in event.items()
        if key.endswith("_ACROSS_SPLITS")
    ]
    if titles:
        yield f"Leaks that were known and accepted, which makes the figures too good: {'; '.join(dict.fromkeys(titles))}."


def checks_text(audit: Audit | None) -> Iterator[str]:
    """What an audit of the images looked for and found; which findings a reader must know of."""
    if audit is None:
        yield "No audit of the images is kept with these results."
        return
    yield "The images and tables were audited for leaks, duplicates, shortcuts, label errors and broken files."
    yield from audit.looked
    weighty = [finding for finding in audit.findings if finding.severity in ("grave", "notable")]
    if not weighty:
        yield "It found nothing grave or notable."
        return
    yield f"Its {len(weighty)} grave and notable findings:"
    yield "\n".join(f"- {finding.severity}: {finding.title}{_method(finding.code)}." for finding in weighty)


def _method(code: str) -> str:
    return next((cite(module) for start, module in CHECKS.items() if code.startswith(start)), "")
