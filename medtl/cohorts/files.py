"""Which files of a folder are images: by suffix, for reading every file of a large folder would take too long.

A mask lies beside the image that it is drawn on, and is no case of its own: taken for one, it would stand in a class with its own image.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from medtl.errors import listed
from medtl.imaging.sources import parse

PICTURES = (
    ".png", ".jpg", ".jpeg", ".jp2", ".j2k", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".heic", ".heif", ".pgm", ".ppm", ".nii", ".nii.gz",
)  # fmt: skip
"""Suffixes of what is no DICOM."""
SUFFIXES = (*PICTURES, ".dcm", ".dicom", ".ima")
_NO_IMAGES = {"DICOMDIR", "README", "LICENSE", "LICENCE", "COPYING", "CHANGELOG", "VERSION", "MAKEFILE", "DOCKERFILE"}
_MASK_OF = re.compile(r"(.+)_mask.*", re.IGNORECASE)


def looks_like_image(name: str) -> bool:
    """By its name: a known suffix, or none (as DICOM files often have; the number at the end of a UID is no suffix).

    >>> [looks_like_image(name) for name in ("a.PNG", "a.nii.gz", "1.2.840.113", "IM0001", "DICOMDIR", "a.csv", ".hidden.png")]
    [True, True, True, True, False, False, False]
    """
    if name.startswith("."):
        return False
    if name.lower().endswith(SUFFIXES):
        return True
    suffix = PurePosixPath(name).suffix
    return (not suffix or suffix[1:].isdigit()) and name.upper() not in _NO_IMAGES


@dataclass
class Listing:
    """`images`: POSIX paths relative to the listed folder, sorted. `others`: suffix → how many files are left out for it. `masks`: how
    many images are left out as masks of others."""

    images: list[str] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    masks: int = 0

    def without(self, file: str) -> Listing:
        """The same with one file fewer among the others: the label table, which was read."""
        return Listing(self.images, self.others - Counter([PurePosixPath(file).suffix.lower()] if file else []), self.masks)

    def left_out(self) -> str:
        """`"3 files are no image by the suffix (.pdf 1, .txt 2); 1 image is the mask of another by its name"`, or an empty string."""
        kinds = listed(f"{suffix or 'no suffix'} {count:,}" for suffix, count in sorted(self.others.items()))
        total = sum(self.others.values())
        files = f"{total:,} file{'s are' if total != 1 else ' is'} no image by the suffix ({kinds})" if total else ""
        return "; ".join(filter(None, (files, self.masks_left_out())))

    def masks_left_out(self) -> str:
        """`"2 images are masks of others by their names"`, or an empty string."""
        one = "1 image is the mask of another by its name"
        return one if self.masks == 1 else f"{self.masks:,} images are masks of others by their names" if self.masks else ""


def list_images(folder: Path, recursive: bool = True) -> Listing:
    """All images below a folder; hidden files and folders are passed over, links are followed once."""
    found, seen = Listing(), set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link back up
            folders.clear()
            continue
        seen.add(real)
        folders[:] = [name for name in sorted(folders) if not name.startswith(".")] if recursive else []
        inside = PurePosixPath(Path(place).relative_to(folder).as_posix())
        for name in names:
            if looks_like_image(name):
                found.images.append((inside / name).as_posix())
            elif not name.startswith("."):
                found.others[PurePosixPath(name).suffix.lower()] += 1
    masks = masks_among(found.images)
    found.images, found.masks = sorted(set(found.images) - masks), len(masks)
    return found


def masks_among(images: Iterable[str]) -> set[str]:
    """The images that are by their names masks of others: `NAME_mask*` beside `NAME`, `masks/NAME` (or `NAME_mask*`) beside `images/NAME`.

    >>> sorted(masks_among(["a (1).png", "a (1)_mask.png", "a (1)_mask_1.png", "b_mask.png", "images/c.jpg", "masks/c.png", "masks/d.png"]))
    ['a (1)_mask.png', 'a (1)_mask_1.png', 'masks/c.png']
    """
    known = list(images)
    suspects = [image for image in known if "mask" in image.lower()]
    stems = {without_suffix(image).lower() for image in known} if suspects else set()
    return {image for image in suspects if stems.intersection(_masked_by(without_suffix(image).lower()))}


def _masked_by(stem: str) -> Iterator[str]:
    """The stems whose mask this one would be."""
    place, _, name = stem.rpartition("/")
    match = _MASK_OF.fullmatch(name)
    names = [name, match[1]] if match else [name]
    if match:
        yield f"{place}/{match[1]}" if place else match[1]
    above, _, folder = place.rpartition("/")
    if folder in ("mask", "masks"):
        beside = f"{above}/" if above else ""
        yield from (f"{beside}{images}/{each}" for images in ("image", "images") for each in names)


def file_of(root: Path, image: str) -> str:
    """The file that an image lies in, relative to the root: itself, or of an address (`set.npz/train_images`, `scan.nii.gz/3`) the file."""
    path = root / image
    return image if not image or path.parent.is_dir() else parse(path).file.relative_to(root).as_posix()


def without_suffix(name: str) -> str:
    """A file's name without the suffix of an image (the number at the end of a UID stays).

    >>> [without_suffix(name) for name in ("a/b.nii.gz", "a.JPG", "1.2.840", "x.y")]
    ['a/b', 'a', '1.2.840', 'x.y']
    """
    fitting = [suffix for suffix in SUFFIXES if name.lower().endswith(suffix)]
    return name[: -len(max(fitting, key=len))] if fitting else name


def composed(name: str) -> str:
    """Letters with their marks as one character (NFC): some disks keep them apart (NFD), and tables do not.

    >>> composed("Mu\u0308ller") == "M\u00fcller"
    True
    """
    return unicodedata.normalize("NFC", name)


def as_on_disk(root: Path, paths: Iterable[str | None]) -> list[str | None]:
    """Paths relative to `root`, spelt as the disk spells them where only :func:`composed` they are the same; others as they are."""

    @cache
    def names(folder: Path) -> dict[str, str]:
        return {composed(name): name for name in os.listdir(folder)} if folder.is_dir() else {}

    def found(path: str) -> str:
        place = root
        for part in PurePosixPath(path).parts:
            place /= part if (place / part).exists() else names(place).get(composed(part), part)
        return place.relative_to(root).as_posix()

    return [path if not path or path.isascii() or (root / path).exists() else found(path) for path in paths]


def by_name(images: Iterable[str]) -> dict[str, list[str]]:
    """File name (:func:`composed`), with and without its suffix → the paths that have it."""
    places: dict[str, list[str]] = {}
    for image in images:
        name = composed(image.rsplit("/", 1)[-1])
        for key in {name, without_suffix(name)}:
            places.setdefault(key, []).append(image)
    return places


def inside_root(root: Path, folder: str, path: str) -> str | None:
    """`path` (as a table writes it, relative to `folder`) as a POSIX path relative to `root`; None if it leads out of the root."""
    absolute = os.path.normpath(os.path.join(os.path.abspath(root), folder, path.strip().replace("\\", "/")))
    relative = os.path.relpath(absolute, os.path.abspath(root))
    return None if relative == os.pardir or relative.startswith(os.pardir + os.sep) else PurePosixPath(Path(relative).as_posix()).as_posix()
