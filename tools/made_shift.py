"""Make a second device out of one set of images: patients fall into A and B, and the pictures of B are exposed anew. The truth stays.

python tools/made_shift.py IMAGES TABLE.csv OUT [--seed 0] [--strength 1] [--share 0.5] [--patients N] [--image file] [--patient patient_id]

OUT/A: as it was; OUT/B: gamma, contrast, blur, noise, a collimated border, a marker in a corner; OUT/B-as-taken: B before that, under the
same names. Each holds `index.csv` (the table's columns, the picture's name as `image`, and `domain`), OUT/index.csv all of A and B. All
pictures are written as PNG, so that no file tells the device. The device is one for all of B; only where its marker and border lie differs.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

GAMMA, CONTRAST, BLUR, NOISE, BORDER = 1.8, 0.7, 0.008, 0.03, 0.06
"""Of strength 1: exponent of the grey levels; spread around the middle; blur and border as shares of the side; noise of the range."""
MARKER = 0.11
"""Height of the letter as a share of the side; of any strength above 0."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a second device out of one set of images.")
    parser.add_argument("images", type=Path, help="the folder that the table's names are relative to")
    parser.add_argument("table", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--share", type=float, default=0.5, help="of the patients that fall into B")
    parser.add_argument("--patients", type=int, help="so many are drawn; default: all")
    parser.add_argument("--image", default="file", help="the column of the names")
    parser.add_argument("--patient", default="patient_id", help="the column of the patients")
    given = parser.parse_args()
    if given.out.exists() and any(given.out.iterdir()):
        parser.error(f"{given.out} is not empty; choose another folder")
    table = pd.read_csv(given.table, dtype=str, keep_default_na=False)
    lacking = [column for column in (given.image, given.patient) if column not in table.columns]
    if lacking:
        parser.error(f"{given.table} has no column '{lacking[0]}'; its columns: {', '.join(table.columns)}")
    made = divided(table, given.image, given.patient, given.seed, given.share, given.patients)
    write(made, given.images, given.image, given.out, given.strength, given.seed)
    print(made.groupby("domain")[given.patient].agg(["size", "nunique"]).to_string(header=["images", "patients"]))


def divided(table: pd.DataFrame, image: str, patient: str, seed: int, share: float, most: int | None) -> pd.DataFrame:
    """The table with `domain`, A or B by a seeded hash of the patient, and the new name of each `picture`; of `most` patients, if given."""
    chance = table[patient].map({each: _chance(f"{seed}:{each}") for each in table[patient].unique()})
    if most is not None:
        drawn = sorted(table[patient].unique(), key=lambda each: _chance(f"{seed}:drawn:{each}"))[:most]
        table, chance = table[table[patient].isin(drawn)], chance[table[patient].isin(drawn)]
    domain = np.where(chance < share, "B", "A")
    names = [Path(name).with_suffix(".png").as_posix() for name in table[image]]
    return table.assign(domain=domain, picture=names)


def write(made: pd.DataFrame, images: Path, image: str, out: Path, strength: float, seed: int) -> None:
    """Pictures and tables. Raises FileNotFoundError for an image that is not there."""
    for name, picture, domain in zip(made[image], made["picture"], made["domain"], strict=True):
        taken = read(images / name)
        before = out / ("A" if domain == "A" else "B-as-taken") / picture
        _write(before, taken)
        if domain == "B":
            _write(out / "B" / picture, exposed_anew(taken, strength, zlib.crc32(f"{seed}:{name}".encode())))
    named = made.drop(columns=[image, *({"image"} & {*made.columns} - {image})]).rename(columns={"picture": "image"})
    named = named[["image", *named.columns.drop("image")]]
    tables = {str(domain): own for domain, own in named.groupby("domain")}
    for domain, own in tables.items():
        own.to_csv(out / domain / "index.csv", index=False)
    shutil.copyfile(out / "B" / "index.csv", out / "B-as-taken" / "index.csv")
    whole = pd.concat([own.assign(image=f"{domain}/" + own["image"]) for domain, own in tables.items()])
    whole.to_csv(out / "index.csv", index=False)


def exposed_anew(picture: NDArray[np.uint8], strength: float, seed: int) -> NDArray[np.uint8]:
    """uint8 (H, W) or (H, W, 3) as the other device would have it; of strength 0 the picture itself."""
    if strength == 0:
        return picture
    chance, side = np.random.default_rng(seed), min(picture.shape[:2])
    values = (picture / 255.0) ** (GAMMA**strength)
    values = 0.5 + (values - 0.5) * CONTRAST**strength
    values = cv2.GaussianBlur(values, (0, 0), max(1e-3, BLUR * strength * side), borderType=cv2.BORDER_REPLICATE)
    noise = chance.standard_normal(picture.shape[:2]) * NOISE * strength
    values = values + (noise if picture.ndim == 2 else noise[..., None])
    made: NDArray[np.uint8] = np.clip(np.rint(255 * values), 0, 255).astype(np.uint8)
    top, bottom, left, right = (round(width * side) for width in chance.uniform(0.5, 1.5, 4) * BORDER * strength)
    made[:top], made[made.shape[0] - bottom :] = 0, 0
    made[:, :left], made[:, made.shape[1] - right :] = 0, 0
    return _marked(made, chance, (top, left, right))


def read(path: Path) -> NDArray[np.uint8]:
    """uint8 (H, W), or (H, W, 3) where it has colour."""
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if found is None:
        raise FileNotFoundError(f"{path}: is not there, or no picture")
    grey = bool((found == found[..., :1]).all())
    return np.asarray(found[..., 0] if grey else found, np.uint8)


def _marked(picture: NDArray[np.uint8], chance: np.random.Generator, border: tuple[int, int, int]) -> NDArray[np.uint8]:
    """With a bright L or R inside the border of an upper corner."""
    side, (top, left, right) = min(picture.shape[:2]), border
    letter = ("L", "R")[int(chance.integers(2))]
    size = MARKER * side / cv2.getTextSize("L", cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)[0][1]
    thick = max(1, round(0.015 * side))
    wide, high = cv2.getTextSize(letter, cv2.FONT_HERSHEY_SIMPLEX, size, thick)[0]
    across = left + thick if letter == "R" else picture.shape[1] - right - wide - thick
    white = (235.0,) * (1 if picture.ndim == 2 else 3)
    marked = cv2.putText(
        np.ascontiguousarray(picture), letter, (across, top + high + thick), cv2.FONT_HERSHEY_SIMPLEX, size, white, thick, cv2.LINE_AA
    )
    return np.asarray(marked, np.uint8)


def _chance(text: str) -> float:
    """A number from 0 to 1, the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


if __name__ == "__main__":
    main()
