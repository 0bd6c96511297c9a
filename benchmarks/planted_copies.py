"""How many copies of pictures, planted on the other side of a split, are found, and what else is: what decision 15 rests on.

    python benchmarks/planted_copies.py FOLDER [FOLDER ...] [--copies 20] [--crop 0.03] [--brighter 1.15] [--quality 85] [--size 160]

Every folder is a set; its pictures stand in train or test by chance. Copies are cropped, brightened and saved again as JPEG, and put on
the other side from their originals. Compared is as `split: {near_duplicates: together}` does: all pairs, without features. A line for
each set: the copies found, the pairs of a copy with a picture that is none of its original (false), the pairs among the pictures
themselves, seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.duplicates import duplicates
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import open_store

PICTURES = (".png", ".jpg", ".jpeg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--crop", type=float, default=0.03)
    parser.add_argument("--brighter", type=float, default=1.15)
    parser.add_argument("--quality", type=int, default=85)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for folder in given.folders:
        with tempfile.TemporaryDirectory() as root:
            print(planted(folder, Path(root), given), flush=True)


def planted(folder: Path, root: Path, given: argparse.Namespace) -> str:
    chance = np.random.default_rng(given.seed)
    (root / "set").symlink_to(folder.resolve(), target_is_directory=True)
    files = sorted(path for path in (root / "set").rglob("*") if path.suffix.lower() in PICTURES)
    split_of = {
        path.relative_to(root).as_posix(): ("train", "test")[side]
        for path, side in zip(files, chance.integers(0, 2, len(files)), strict=True)
    }
    original_of = {}
    for number, which in enumerate(chance.choice(len(files), given.copies, replace=False)):
        name, original = f"copy{number}.jpg", files[which].relative_to(root).as_posix()
        image = copied(cv2.imread(str(files[which])), given.crop, given.brighter, chance)
        cv2.imwrite(str(root / name), image, [cv2.IMWRITE_JPEG_QUALITY, given.quality])
        original_of[name], split_of[name] = original, "train" if split_of[original] == "test" else "test"
    records = pd.DataFrame({"image": list(split_of), "split": list(split_of.values()), "frame": 0, "group_kind": "image"})
    records[["label", "domain", "fold", "patient_id"]] = ["any", "here", "", ""]
    records["group_id"] = records["sha256"] = records["image"]
    store = open_store(records[["image", "frame"]], root, ImageSettings(size=given.size, channels=1), root / "cache")
    started = time.monotonic()
    findings = duplicates(records, store.measurements, pictures=store.read)
    seconds = time.monotonic() - started
    pairs = {frozenset((first[0], second[0])) for finding in findings for first, second in finding.pairs}
    wanted = {frozenset(pair) for pair in original_of.items()}
    alone = {pair for pair in pairs if not pair & set(original_of)}
    false = [sorted(pair) for pair in pairs - wanted - alone if frozenset(original_of.get(name, name) for name in pair) not in alone]
    across = sum(len({split_of[name] for name in pair}) == 2 for pair in alone)
    return (
        f"{folder}: {len(files):,} pictures; {len(wanted & pairs)} of {len(wanted)} copies found; {len(false)} false pairs {false or ''}; "
        f"among the pictures themselves {len(alone)} pairs, {across} of them across; {seconds:.0f} s"
    )


def copied(image: NDArray[np.uint8], crop: float, brighter: float, chance: np.random.Generator) -> NDArray[np.uint8]:
    """`crop` of each side's length cut off, more on one end than on the other; grey values times `brighter`."""
    shares = chance.uniform(0, crop, 2)
    high, wide = image.shape[:2]
    top, left = (round(float(share) * side) for share, side in zip(shares, (high, wide), strict=True))
    inner = image[top : top + round((1 - crop) * high), left : left + round((1 - crop) * wide)]
    return np.asarray(np.clip(inner * brighter, 0, 255).round(), dtype=np.uint8)


if __name__ == "__main__":
    main()
