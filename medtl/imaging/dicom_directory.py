"""DICOMDIR, the table of contents of a CD: which files hold its images. PS3.3 annex F, PS3.10 section 8."""

from __future__ import annotations

import io
from pathlib import Path

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medtl.errors import MedtlError
from medtl.imaging.dicom import quietly

_LARGEST_BYTES = 64 << 20
_INACTIVE = 0


def images_listed(file: Path) -> list[Path]:
    """The image files that a DICOMDIR lists, in its order, each once; they need not exist.

    Arguments:
        file: the DICOMDIR; the files lie below its folder.
    Raises:
        MedtlError: it cannot be read, or lists a place outside its own folder.
    """
    if file.stat().st_size > _LARGEST_BYTES:
        raise MedtlError(f"{file}: a DICOMDIR of more than {_LARGEST_BYTES >> 20} MiB is not read; give the folder instead")
    try:
        with quietly():
            if read_file_meta_info(file).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                raise ValueError("no DICOMDIR is deflated, but a bomb may be")
            header = dcmread(io.BytesIO(file.read_bytes()), specific_tags=["DirectoryRecordSequence"])
            records = [record for record in header.DirectoryRecordSequence if record.get("DirectoryRecordType") == "IMAGE"]
            names = [record.get("ReferencedFileID") for record in records if record.get("RecordInUseFlag") != _INACTIVE]
            listed = [[str(part) for part in name] if isinstance(name, MultiValue | list) else [str(name)] for name in names if name]
    except Exception as error:
        raise MedtlError(f"{file}: no readable DICOMDIR ({type(error).__name__}); give the folder instead") from None
    if any(part in ("", ".", "..") or "/" in part or "\\" in part for parts in listed for part in parts):
        raise MedtlError(f"{file}: lists files outside its own folder, which is never followed; give the folder instead")
    return list(dict.fromkeys(_found(file.parent, parts) for parts in listed))


def _found(folder: Path, parts: list[str]) -> Path:
    """The file as listed, or in small letters, as file systems show the names of old CDs."""
    exact, small = folder.joinpath(*parts), folder.joinpath(*(part.lower() for part in parts))
    return small if small.exists() and not exact.exists() else exact
