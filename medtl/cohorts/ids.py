"""Ids of patients, studies and lesions: where a cohort has them, and the keyed hashes that stand for them in records.

A hash without a key is no disguise: hospital numbers are few enough to be tried one by one. So every id that is written
is an HMAC with the installation's own key, which never enters a run or a package. The same id gives the same hash in every run of
one installation, and another one elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import posixpath
import re
import secrets
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pandas as pd

from medtl.cohorts import CohortSettings, IdSource
from medtl.cohorts.files import file_of
from medtl.cohorts.headers import read_facts
from medtl.cohorts.source_table import ID_KINDS, SourceTable, counted
from medtl.errors import MedtlError, did_you_mean, listed

_ISSUED = "\0"
"""Between the issuer of a header and the id of its patient."""


def key_file() -> Path:
    """`$MEDTL_KEY_FILE`, else `medtl/key` in the platform's folder for the user's settings."""
    if os.environ.get("MEDTL_KEY_FILE"):
        return Path(os.environ["MEDTL_KEY_FILE"])
    if sys.platform == "win32":
        place = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        place = Path.home() / "Library" / "Application Support"
    else:
        place = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return place / "medtl" / "key"


def installation_key() -> bytes:
    """The key of this installation (32 bytes), made on first use; several processes may ask at once and get the same one."""
    path = key_file()
    try:
        if not path.exists():
            _create(path)
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise MedtlError(f"{path}: other users may read the key that disguises patient ids; run: chmod 600 {path}")
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no key file"
        raise MedtlError(f"{path}: the key that disguises patient ids cannot be made or read ({reason}); set MEDTL_KEY_FILE") from None
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise MedtlError(f"{path}: is no key of medtl (64 hexadecimal digits); give MEDTL_KEY_FILE another path, or remove the file")
    return bytes.fromhex(text)


def _create(path: Path) -> None:
    """Write a new key beside, then link it into place: whoever comes second finds the first one's whole key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".key.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            _link(name, path)
    finally:
        os.unlink(name)


def _link(made: str, path: Path) -> None:
    """Give the file its name unless another process was first (FileExistsError)."""
    try:
        os.link(made, path)
    except PermissionError:  # a file system without links
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="ascii") as file:
            file.write(Path(made).read_text(encoding="ascii"))


def keyed_hash(key: bytes, unit: str) -> str:
    """16 hexadecimal digits of HMAC-SHA-256: enough for 10 million ids (chance of any collision below 1 in 100,000)."""
    return hmac.new(key, unit.encode(), hashlib.sha256).hexdigest()[:16]


def unit_of(kind: str, issuer: str, raw: str) -> str:
    """What is hashed: the id in its namespace. Empty stays empty (unknown)."""
    return f"{kind}\0{issuer}\0{raw}" if raw else ""


def find_ids(source: SourceTable, settings: CohortSettings, root: Path, cells: pd.DataFrame | None = None) -> None:
    """Fill the columns `patient`, `study`, `lesion` of `source.table` as the settings say, adding notes and mistakes.

    `cells`: the rows of the label table in the order of `source.table`; a column named `patient_id`, `study_id` or `lesion_id`
    is taken without being asked for, because forgetting it would let one patient stand on both sides of a split.
    """
    for kind in ID_KINDS:
        asked: IdSource | None = getattr(settings, kind)
        source.table[kind] = ""
        if asked is None and cells is not None and f"{kind}_id" in cells.columns:
            asked = IdSource(column=f"{kind}_id")
            source.notes.append(f"{kind} ids are taken from the column '{kind}_id'")
        if asked is None:
            continue
        if asked.column is not None:
            _from_column(source, kind, asked.column, cells)
        elif asked.pattern is not None:
            names = _names(source.table["image"], settings.folder if asked.from_ == "path" else None)
            source.table[kind] = [_matched(asked.pattern, name) for name in names]
        else:
            source.table[kind] = _from_headers(source.table["image"], kind, root)
        without = int((source.table[kind] == "").sum())
        if without and not source.mistakes:
            source.notes.append(f"{counted(without, 'image')} of {len(source.table):,} have no {kind} id")


def _from_column(source: SourceTable, kind: str, column: str, cells: pd.DataFrame | None) -> None:
    if cells is None:
        source.mistakes.append(f"{kind}: column '{column}': this kind of cohort has no table; use {{from: filename, pattern: …}}")
    elif column not in cells.columns:
        source.mistakes.append(no_column(kind, column, cells))
    else:
        source.table[kind] = cells[column].to_numpy()


def no_column(setting: str, column: str, cells: pd.DataFrame) -> str:
    """The message for a column that a table does not have."""
    return f"{setting}: the table has no column '{column}'{did_you_mean(column, cells.columns)}; columns: {listed(cells.columns)}"


def _names(images: Iterable[str], folder: str | None) -> list[str]:
    """Of each image its path below `folder` (whole if it lies elsewhere), or without one its file's name."""
    if folder is None:
        return [PurePosixPath(image).name for image in images]
    prefix = posixpath.normpath(folder.replace("\\", "/")) + "/"
    return [image.removeprefix(prefix) for image in images]


def _matched(pattern: str, name: str) -> str:
    match = re.search(pattern, name)
    if match is None:
        return ""
    return (match[1] if match.re.groups else match[0]) or ""


def _from_headers(images: pd.Series[str], kind: str, root: Path) -> list[str]:
    facts = [read_facts(root / file_of(root, image)) or {} for image in images]
    return [header_id(kind, fact) for fact in facts]


def header_id(kind: str, facts: dict[str, str]) -> str:
    """The id of a DICOM header: a patient is (issuer, id), else the study stands for the patient; a header knows no lesions."""
    study = facts.get("study_instance_uid", "")
    if kind == "study":
        return study
    if kind == "patient" and facts.get("patient_id"):
        return f"{facts['issuer']}{_ISSUED}{facts['patient_id']}" if facts.get("issuer") else facts["patient_id"]
    return f"study {study}" if kind == "patient" and study else ""


def fill_issuers(patients: pd.Series[str], namespaces: pd.Series[str]) -> tuple[pd.Series[str], list[str]]:
    """(N,) raw patient ids, in which one without an issuer is that of the only issuer who has it; and counted remarks.

    One device writes the issuer and another leaves it out, and the patient is the same (the safe reading). Which of several issuers is
    meant cannot be known: the id stays another patient's, which is said. `namespaces`: (N,) the cohorts' own `issuer`; ids of two
    namespaces are never one. Where all ids have an issuer, or none, nothing changes.
    """
    parts = patients.str.rpartition(_ISSUED)
    known = pd.DataFrame({"space": namespaces, "id": parts[2], "issuer": parts[0]})[patients != ""]
    issued = known[known["issuer"] != ""].groupby(["space", "id"])["issuer"]
    bare = known[known["issuer"] == ""].join(issued.agg(["nunique", "first"]), on=["space", "id"]).dropna(subset=["nunique"])
    one, several = bare[bare["nunique"] == 1], bare[bare["nunique"] > 1]
    filled = patients.copy()
    filled.loc[one.index] = one["first"] + _ISSUED + one["id"]
    notes = []
    if len(one):
        notes.append(
            f"{counted(len(one), 'image')} without an issuer of the patient id: taken for the patient whom the only issuer gave it"
        )
    if len(several):
        ids = counted(several["id"].nunique(), "patient id stands", "patient ids stand")
        notes.append(f"{ids} without an issuer, and with several: taken for different people")
    return filled, notes
