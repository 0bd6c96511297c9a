"""What a folder and a table probably mean: which column names the images (by match rate), which holds labels, ids, kept facts.

Only names, headers and cells are looked at. Everything found is counted and said, so that a wrong guess can be seen.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from medtl.cohorts.files import Listing, by_name, composed, inside_root, list_images
from medtl.cohorts.given_splits import SPELLINGS
from medtl.cohorts.proposal import Proposal, patients_of_headers, read_headers_of, said
from medtl.cohorts.proposed_archives import of_archive
from medtl.cohorts.proposed_folders import of_folders
from medtl.cohorts.sources.dicom import WORDS
from medtl.cohorts.tables import LabelTable, read_table
from medtl.errors import MedtlError, listed
from medtl.records import refuse_personal_columns

MOST_CLASSES = 20
_LABEL = r"(label|labels|dx|diagnos\w*|finding\w*|class|classes|target|pathology|category|outcome|disease)([ _]?name)?"
_IDS = {
    "patient": r"(patient|subject|person|participant|case)[ _]?(id|number|no|uid)?|pid|mrn",
    "lesion": r"lesion[ _]?(id|number|no)?",
    "study": r"(study|exam|visit|encounter)[ _]?(id|instance[ _]?uid|uid|number|no)?|accession([ _]?(number|no))?",
}
_VIEW = r"view|view[ _]?position|projection"
_KEEP = rf"age|sex|gender|site|locali[sz]ation|location|body[ _]?part|laterality|scanner|device|manufacturer|modality|dx_type|{_VIEW}"
_HEALTHY = r"no?|none|normal|neg|negative|false|healthy|controls?|benign|absent|no[ _]?findings?|0(\.0)?"


@dataclass(frozen=True)
class Match:
    """A column of the table that may name the images."""

    column: str
    how: str
    """`path`, `file_name`, `sop_instance_uid` or `accession_number`."""
    rows: int
    """Rows that match an image."""
    different: int
    """Different cells among them: labels 0 and 1 may match the images 0.png and 1.png in every row."""

    def __str__(self) -> str:
        return f"'{self.column}' by {WORDS.get(self.how, self.how)}"


def propose(root: Path, table: str | None = None) -> Proposal:
    """Look at `root` (and `table`, relative to it). Raises MedtlError where nothing can be proposed, with what was tried."""
    listing = list_images(root)
    proposal = _proposed(root, table, listing)
    read = proposal.cohort.get("table") or proposal.cohort.get("file") or ""
    return replace(proposal, found=[*proposal.found, *filter(None, [listing.without(read).left_out()])])


def _proposed(root: Path, table: str | None, listing: Listing) -> Proposal:
    images = listing.images
    if table is None:
        classes = Counter(image.split("/", 1)[0] for image in images if "/" in image)
        if len(classes) > 1 and not _tables_in(root):
            return of_folders(root, images)
        table = _only_table(root, classes, listing)
    if table.lower().endswith(".npz"):
        return of_archive(root, table)
    opened = read_table(root / table)
    return _of_table(root, table, opened, images)


def _tables_in(root: Path) -> list[str]:
    suffixes = (".csv", ".tsv", ".xlsx", ".parquet", ".npz")
    return sorted(path.name for path in root.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))


def _only_table(root: Path, classes: Mapping[str, int], listing: Listing) -> str:
    there = _tables_in(root)
    if len(there) == 1:
        return there[0]
    if there:
        raise MedtlError(f"'{root}' holds several tables ({listed(there)}); say which: --table")
    masks = f" ({listing.masks_left_out()})" if listing.masks else ""
    raise MedtlError(f"'{root}' holds {len(classes)} folder(s) of images and no table{masks}; give one folder per class, or --table")


def _of_table(root: Path, table: str, opened: LabelTable, images: list[str]) -> Proposal:
    cells = opened.cells
    headers = read_headers_of(root, images)
    best, matches = _best_match(root, table, cells, images, headers)
    found = [f"{len(images):,} image files; '{table}' has {len(cells):,} rows"]
    found += [f"{match.rows:,} of {len(cells):,} rows matched: {match}" for match in matches[:5]]
    label, others = label_column(cells, best.column)
    counts = Counter(cell for cell in cells[label] if cell)
    found.append(f"labels in '{label}': {said(counts)}" + (f" (or: {listed(others)})" if others else ""))
    dicom = best.how in ("sop_instance_uid", "accession_number")
    cohort: dict[str, Any] = {"name": "dicom" if dicom else "csv", "table": table, "label": label}
    if dicom:
        cohort |= {"match": best.how, "key": best.column}
    else:
        cohort |= {"image": best.column} | ({"find": "name"} if best.how == "file_name" else {})
    ids = id_columns(cells.columns, {label, best.column})
    cohort |= ids
    found += [f"{kind} ids in '{column}': {cells[column].nunique():,} different" for kind, column in ids.items()]
    by = next((kind for kind in ("patient", "lesion", "study") if kind in ids), "patient" if dicom else "image")
    if "patient" not in ids and (of_headers := patients_of_headers(headers)):
        by = "patient"
        cohort |= {} if dicom else {"patient": {"from": "header"}}  # where a DICOM cohort looks unasked
        found.append(of_headers)
    if "study" in ids and cells[ids["study"]].duplicated().any():
        cohort["rows"] = "all"
    remarks = (
        {"cohorts": f"{len(cells) - best.rows:,} rows have no image: `missing: exclude` leaves them out"} if best.rows < len(cells) else {}
    )
    taken = {label, best.column, *ids.values()}
    keep = [
        column for column in cells.columns if column not in taken and re.fullmatch(_KEEP, column, re.IGNORECASE) and _may_be_kept(column)
    ]
    return Proposal(cohort, dict(counts), by, keep, _split_column(cells, taken), remarks, found)


def _best_match(root: Path, table: str, cells: pd.DataFrame, images: list[str], headers: pd.DataFrame | None) -> tuple[Match, list[Match]]:
    """All matches, the best first. Raises MedtlError where there is none."""
    matches = matched(cells, [*name_forms(root, Path(table).parent.as_posix(), images), *_header_forms(headers)])
    if not matches:
        tried = "path, file name, SOPInstanceUID, AccessionNumber"
        raise MedtlError(
            f"no column of '{table}' names any of the {len(images):,} images (tried {tried}); columns: {listed(cells.columns)}"
        )
    return matches[0], matches


@dataclass(frozen=True)
class Form:
    """A way in which a cell may name an image."""

    how: str
    """As :attr:`Match.how`."""
    known: Mapping[str, str]
    """What may be written → the image."""
    read: Callable[[str], str] = str
    """What of a cell is looked up."""


def name_forms(root: Path, place: str, images: Sequence[str]) -> list[Form]:
    """By its path from the table's folder `place` (relative to the root, as `images` are), or by a file name that only one has."""
    alone = {name: found[0] for name, found in by_name(images).items() if len(found) == 1}
    return [
        Form("path", {composed(image): image for image in images}, lambda cell: composed(inside_root(root, place, cell) or "")),
        Form("file_name", alone, composed),
    ]


def matched(cells: pd.DataFrame, forms: Iterable[Form]) -> list[Match]:
    """Every column that names images in one of these forms, the best first; of equals the first form, the simpler one, wins."""
    matches = []
    for form in forms:
        for column in cells.columns:
            written = cells[column].map(form.read)
            found = written[written.isin(set(form.known)) & (cells[column] != "")]
            if len(found):
                matches.append(Match(column, form.how, len(found), found.nunique()))
    matches.sort(key=lambda match: -match.different)
    return matches


def _header_forms(headers: pd.DataFrame | None) -> list[Form]:
    """The DICOM ids below the folder."""
    if headers is None:
        return []
    return [Form(how, {value: "" for value in headers[how] if value}) for how in ("sop_instance_uid", "accession_number")]


def id_columns(columns: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Kind of id (patient, lesion, study) → the column whose name says that it holds it, none of those `taken`."""
    columns = list(columns)
    return {kind: column for kind, pattern in _IDS.items() if (column := _named(pattern, columns, taken))}


def label_column(cells: pd.DataFrame, image: str) -> tuple[str, list[str]]:
    """The column whose name says label, else the one with the fewest different cells; and the other candidates. Raises MedtlError.

    Columns that may hold names, birth dates or free text are none, for labels are printed and written.
    """
    spoken_for = rf"{_KEEP}|split|fold|set|partition|subset|{'|'.join(_IDS.values())}"
    candidates = []
    for column in cells.columns:
        number = cells.loc[cells[column] != "", column].nunique()
        if column == image or not 2 <= number <= min(MOST_CLASSES, max(2, len(cells) // 2)):
            continue
        named = re.fullmatch(_LABEL, column, re.IGNORECASE) is not None
        if named or (not re.fullmatch(spoken_for, column, re.IGNORECASE) and _may_be_kept(column)):
            candidates.append((not named, number, column))
    candidates.sort(key=lambda candidate: candidate[:2])
    if not candidates:
        raise MedtlError(f"no column looks like labels (2 to {MOST_CLASSES} different cells); columns: {listed(cells.columns)}")
    return candidates[0][2], [column for _, _, column in candidates[1:]]


def _named(pattern: str, columns: Iterable[str], without: Collection[str]) -> str | None:
    return next((column for column in columns if column not in without and re.fullmatch(pattern, column, re.IGNORECASE)), None)


def _split_column(cells: pd.DataFrame, taken: set[str]) -> str | None:
    column = _named("split|set|partition|subset", cells.columns, taken)
    return column if column is not None and set(cells[column].str.casefold()) <= SPELLINGS.keys() else None


def _may_be_kept(column: str) -> bool:
    try:
        refuse_personal_columns([column])
    except MedtlError:
        return False
    return True


def healthy_first(labels: Iterable[str]) -> list[str]:
    """Labels in the order of the table, except that of two the healthy one stands first."""
    known = list(labels)
    return sorted(known, key=lambda label: not is_healthy(label)) if len(known) == 2 else known


def is_healthy(label: str) -> bool:
    """Whether a label says that nothing was found.

    >>> [is_healthy(label) for label in ("NORMAL", "No_findings", "0", "melanoma")]
    [True, True, True, False]
    """
    return re.fullmatch(_HEALTHY, label, re.IGNORECASE) is not None
