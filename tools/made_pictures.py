"""Make pictures for `configs/smoke.yaml`: grey PNG files in one folder per class, discs and squares on noise. No patients, no data needed.

python tools/made_pictures.py FOLDER [PICTURES_PER_CLASS]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 80


def main() -> None:
    folder = Path(sys.argv[1])
    make_pictures(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 40)


def make_pictures(folder: Path, per_class: int) -> None:
    """Write `folder/disc/*.png` and `folder/square/*.png`, always the same ones."""
    random = np.random.default_rng(0)
    for shape in ("disc", "square"):
        (folder / shape).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            Image.fromarray(picture(shape, random)).save(folder / shape / f"{shape}_{number:03d}.png")


def picture(shape: str, random: np.random.Generator) -> NDArray[np.uint8]:
    """(SIDE, SIDE) grey values: noise around 80, and brighter by 90 inside the shape, at a random place and of a random size."""
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    radius = random.uniform(10, 20)
    centre_across, centre_down = random.uniform(radius, SIDE - radius, size=2)
    aside, below = np.abs(across - centre_across), np.abs(down - centre_down)
    inside = np.hypot(aside, below) < radius if shape == "disc" else np.maximum(aside, below) < radius
    values = random.normal(80, 12, size=(SIDE, SIDE)) + 90 * inside
    grey: NDArray[np.uint8] = np.clip(values, 0, 255).astype(np.uint8)
    return grey


if __name__ == "__main__":
    main()
