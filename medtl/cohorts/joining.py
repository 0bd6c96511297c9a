"""All cohorts of an experiment as one table: labels become classes, ids become keyed hashes, and whatever is wrong is told at once."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from medtl import findings, measurements, records
from medtl.cohorts import CohortSettings, IdSource
from medtl.cohorts.corrections import COLUMNS as CORRECTIONS
from medtl.cohorts.corrections import corrected
from medtl.cohorts.findings import name_findings, one_sided
from medtl.cohorts.given_splits import SPELLINGS
from medtl.cohorts.ids import fill_issuers, installation_key, keyed_hash, unit_of
from medtl.cohorts.label_rows import settle_rows, view_needed
from medtl.cohorts.only import add_header_facts, keep_only
from medtl.cohorts.settings import SplitSettings, TableSettings
from medtl.cohorts.source_table import COLUMNS, ID_KINDS, SourceTable, counted, rows_listed
from medtl.contracts import Task
from medtl.errors import MedtlError, Mistakes, did_you_mean, listed
from medtl.records import KEY, refuse_personal_columns
from medtl.registry import component

UNITS = [f"{kind}_unit" for kind in ID_KINDS]
"""Transient columns: the ids hashed without the installation's key, so that a split is the same everywhere. Never written."""
MEASURED = (*measurements.FACTS, "bits", "photometric", "encoding")
"""Header facts that reading the images gives, if no cohort has them as a column."""
_TRANSIENT = {*UNITS, *CORRECTIONS, "issuer", "given_split", "component"}
RESERVED = {*COLUMNS, *_TRANSIENT, *records.COLUMNS, records.SPELLING, *(set(measurements.COLUMNS) - set(MEASURED))}


class Plan(Protocol):
    """What the cohorts need of an Experiment."""

    @property
    def task(self) -> Task: ...
    @property
    def cohorts(self) -> Sequence[CohortSettings]: ...
    @property
    def keep(self) -> Sequence[str]: ...
    @property
    def split(self) -> SplitSettings: ...
    @property
    def seed(self) -> int: ...


@dataclass
class Source:
    """`table`: image, frame, label (class name; empty = unknown; of several findings in words, beside their `y_<class>`), patient_id,
    lesion_id, study_id (keyed hashes), domain, given_split, then the kept columns, the transient :data:`UNITS` and those of `corrections`.
    `notes`: counted remarks, with their domain."""

    table: pd.DataFrame
    notes: list[str]


def read_cohorts(experiment: Plan, root: Path, every_class: bool = True) -> Source:
    """Read every cohort; raises :class:`Mistakes` with everything that is wrong in any of them, rows listed.

    `every_class`: a class without images is a mistake (for training), or may be (outside data need not have all).
    """
    column = experiment.split.column
    wanted = list(dict.fromkeys([*experiment.keep, *([column] if column else [])]))
    tables: list[pd.DataFrame] = []
    notes: list[str] = []
    offers: set[str] = set()
    mistakes = _refused_columns(experiment)
    for settings in experiment.cohorts:
        source = _read(settings, root, wanted, experiment.task)
        if settings.labels == "hidden":
            _hide_labels(source, experiment.task)
        else:
            (name_findings if experiment.task.kind == "multi" else _name_classes)(source, experiment.task)
        _take_split(source, column)
        notes += [f"{settings.domain}: {note}" for note in source.notes]
        mistakes += [f"{settings.domain}: {mistake}" for mistake in source.mistakes]
        offers |= {*source.offers}
        tables.append(source.table.assign(domain=settings.domain, issuer=settings.issuer))
    if not mistakes:
        mistakes += [*_found_somewhere(tables, experiment.keep, offers), *_repeated(tables)]
        mistakes += _absent_classes(tables, experiment.task) if every_class else []
    if mistakes:
        raise Mistakes("the cohorts cannot be used as they are:", mistakes)
    joined = pd.concat(tables, ignore_index=True)
    joined["patient"], issuers = fill_issuers(joined["patient"], joined["issuer"])
    table, corrections = corrected(_disguised(joined, _carried(experiment)), experiment.split, root)
    return Source(table, [*notes, *issuers, *corrections])


def _carried(experiment: Plan) -> list[str]:
    """Columns of the cohorts that records hold beside their own."""
    return [*experiment.keep, *([records.SPELLING] if experiment.task.learn == "spellings" else [])]


def _refused_columns(experiment: Plan) -> list[str]:
    """Kept columns must be no personal data, no raw ids, and none of our own columns."""
    refuse_personal_columns(experiment.keep)
    sources: list[IdSource | None] = [getattr(cohort, kind) for cohort in experiment.cohorts for kind in ID_KINDS]
    ids = {source.column for source in sources if source is not None and source.column is not None}
    sentences = dict.fromkeys(ids, "is a raw id; records hold its keyed hash")
    sentences |= dict.fromkeys(RESERVED, "is a name that records use themselves")
    sentences |= dict.fromkeys(findings.columns_of(pd.DataFrame(columns=list(experiment.keep))), "is how records call a finding")
    mistakes = [f"keep: '{column}' {sentences[column]}" for column in experiment.keep if column in sentences]
    if experiment.split.column in {*COLUMNS, *ids}:
        mistakes.append(f"split.column: '{experiment.split.column}' cannot give a split")
    return mistakes


def _read(settings: CohortSettings, root: Path, wanted: Sequence[str], task: Task) -> SourceTable:
    """One cohort as found, with the header facts that are asked for, and of its rows those that its settings choose."""
    asked = list(dict.fromkeys([*wanted, *settings.only, *view_needed(settings)]))
    try:
        own = (task,) if task.kind == "multi" else ()
        source: SourceTable = component("cohorts.sources", settings.name).build(settings, root, asked, *own)
    except MedtlError as refusal:
        return SourceTable(pd.DataFrame(columns=COLUMNS), mistakes=[str(refusal)])
    add_header_facts(source, asked, root)
    keep_only(source, settings.only)
    if isinstance(settings, TableSettings):
        settle_rows(source, settings)
    source.table = source.table.reset_index(drop=True)
    return source


def _name_classes(source: SourceTable, task: Task) -> None:
    """Spellings become classes; ignored labels leave, counted; unknown ones are mistakes with their rows."""
    classes = task.class_of()
    table = source.table
    spelling = table["spelling"].map(lambda text: _known(text, classes, task.ignore))
    table["label"] = [classes.get(text, "") for text in spelling]
    for text, rows in table[(spelling != "") & ~spelling.isin([*classes, *task.ignore])].groupby("spelling"):
        near = did_you_mean(str(text), [*classes, *task.ignore]) or _other_case(str(text), classes)
        source.mistakes.append(
            f"{counted(len(rows), 'row')} with the label '{text}', which is no spelling of a class and not in task.ignore{near}; "
            f"spellings: {listed(classes)}; rows: {rows_listed(rows, 5)}"
        )
    ignored = Counter(table.loc[spelling.isin(task.ignore), "spelling"])
    source.notes += [f"{counted(count, 'image')} of the ignored label '{text}' left out" for text, count in sorted(ignored.items())]
    unknown = int((spelling == "").sum())
    if unknown:
        source.notes.append(f"{counted(unknown, 'image')} without a label: kept in records, not trained on")
    if task.learn == "spellings":
        _keep_spellings(source, task, spelling)
    source.table = table[~spelling.isin(task.ignore)].copy()


def _keep_spellings(source: SourceTable, task: Task, spelling: pd.Series) -> None:
    """As the network learns them; a label that names a class but none of its spellings is a mistake."""
    source.table[records.SPELLING] = spelling.where(spelling.isin(task.learned), "")
    for name, rows in source.table[spelling.isin(task.classes) & ~spelling.isin(task.learned)].groupby(spelling):
        source.mistakes.append(
            f"{counted(len(rows), 'row')} with the label '{name}', which says the class and not which of its spellings; "
            f"task.learn: spellings learns {listed(task.classes[str(name)])}; give one of these, or, where a model is trained anew, list "
            f"'{name}' among them to have it learned as one more, or leave `learn` out"
        )


def _hide_labels(source: SourceTable, task: Task) -> None:
    """Every label is unknown, whatever the source says: no spelling is looked at, and none leaves images out."""
    names = task.names if task.kind == "multi" else ()
    source.table = source.table.assign(label="", spelling="", **{findings.PREFIX + name: "" for name in names})
    source.notes.append(f"{counted(len(source.table), 'image')} whose labels are hidden")


def _known(text: str, classes: Mapping[str, str], ignore: Iterable[str]) -> str:
    """`1.0` is the spelling `1` where only that is known: spreadsheets write whole numbers so."""
    if text in classes or text in ignore or not re.fullmatch(r"[+-]?\d+\.0+", text):
        return text
    return text.split(".")[0]


def _other_case(text: str, classes: Iterable[str]) -> str:
    same = [name for name in classes if name.casefold() == text.casefold()]
    return f"; did you mean '{same[0]}'?" if same else ""


def _take_split(source: SourceTable, column: str | None) -> None:
    if column is None or (source.mistakes and not len(source.table)):
        source.table["given_split"] = ""
        return
    if column not in source.table.columns:
        source.mistakes.append(f"split: there is no column '{column}'{did_you_mean(column, source.offers)}")
        source.table["given_split"] = ""
        return
    given = source.table[column].str.strip().str.casefold()
    source.table["given_split"] = given.map(SPELLINGS).fillna("")
    allowed = ", ".join(filter(None, dict.fromkeys(SPELLINGS.values())))
    for value, rows in source.table[~given.isin(list(SPELLINGS))].groupby(column):
        near = did_you_mean(str(value), SPELLINGS)
        source.mistakes.append(f"split: '{value}' is no split{near}; allowed: {allowed}; rows: {rows_listed(rows, 5)}")
    without = int((given == "").sum())
    if without:
        source.notes.append(f"{counted(without, 'image')} without a given split: excluded")


def _found_somewhere(tables: Sequence[pd.DataFrame], keep: Sequence[str], offers: set[str]) -> list[str]:
    """A kept column must stand in one cohort at least; the header facts may still come from reading the images."""
    there = {column for table in tables for column in table.columns}
    missing = [column for column in keep if column not in there and column not in MEASURED]
    known = listed(sorted(offers)) or "none"
    return [f"keep: no cohort has a column '{column}'{did_you_mean(column, offers)}; there are: {known}" for column in missing]


def _repeated(tables: Sequence[pd.DataFrame]) -> list[str]:
    table = pd.concat(tables, ignore_index=True)
    repeated = table[table.duplicated(KEY, keep=False)]
    return [f"{counted(len(repeated), 'row')} repeat an image: {listed(repeated['image'].unique())}"] if len(repeated) else []


def _absent_classes(tables: Sequence[pd.DataFrame], task: Task) -> list[str]:
    if task.kind == "multi":
        return list(one_sided(pd.concat(tables), task, "any cohort"))
    counts = Counter(pd.concat(tables)["label"])
    found = listed(f"{name} {count:,}" for name, count in counts.items() if name) or "none"
    absent = [name for name in task.names if not counts[name]]
    return [f"the class '{name}' (spellings: {listed(task.classes[name] or (name,))}) has no image; found: {found}" for name in absent]


def _disguised(table: pd.DataFrame, keep: Sequence[str]) -> pd.DataFrame:
    for kind in ID_KINDS:
        units = [unit_of(kind, issuer, raw) for issuer, raw in zip(table["issuer"], table[kind], strict=True)]
        key = installation_key() if any(units) else b""
        table[f"{kind}_id"] = [keyed_hash(key, unit) if unit else "" for unit in units]
        table[f"{kind}_unit"] = [hashlib.sha256(unit.encode()).hexdigest() if unit else "" for unit in units]
    kept = [column for column in keep if column in table.columns]
    columns = [*KEY, "label", *findings.columns_of(table), "patient_id", "lesion_id", "study_id", "domain", "given_split", *kept, *UNITS]
    return table[columns].fillna("")
