"""Augmented training batches: medtl's stored images against MONAI's CacheDataset, CPU milliseconds per image, one thread, no workers.

    python benchmarks/throughput_batches.py [--side 224] [--images 256] [--repeat 5] [--json FILE]

Grey images, batch 32, both already in memory (a memory-mapped store here, a cache there), the sides taking turns. MONAI as its tutorials
write it (flip, rotate, zoom, scale and shift of intensity, each a transform), and in its best form: flip, one fused affine, two changes of
intensity, without tracked metadata. Beside the ratios: how far cv2's 8-bit interpolation is from floating-point interpolation by the same
matrix (scipy), as mean and largest difference of a range of 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import PIL.Image
import torch
from numpy.typing import NDArray

from medtl.augmentation import AugmentationSettings, augment, draw
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import Store, open_store

BATCH = 32
SETTINGS = AugmentationSettings(flip="horizontal")


def made_images(count: int, side: int) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    coarse = (rng.random((24, 24)) for _ in range(count))
    return [(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR) * 255).astype(np.uint8) for small in coarse]


def stored(images: list[NDArray[np.uint8]], folder: Path, side: int) -> Store:
    for number, image in enumerate(images):
        PIL.Image.fromarray(image).save(folder / f"{number}.png")
    table = pd.DataFrame({"image": [f"{number}.png" for number in range(len(images))], "frame": 0})
    return open_store(table, folder, ImageSettings(size=side, channels=1), folder / "cache")


def medtl_epoch(store: Store, seed: int) -> Iterator[torch.Tensor]:
    order = np.random.default_rng(seed).permutation(len(store))
    for start in range(0, len(store), BATCH):
        positions = order[start : start + BATCH]
        yield torch.from_numpy(augment(store.read(positions), positions, SETTINGS, seed, 0))


def monai_loader(images: list[NDArray[np.uint8]], best: bool) -> Any:
    """CacheDataset and DataLoader; its images are float32 (1, H, W) in [0, 1], as LoadImage and ScaleIntensity leave them."""
    from monai import data, transforms

    floats = [image[None].astype(np.float32) / 255 for image in images]
    tracked: Callable[..., Any] = torch.from_numpy if best else data.MetaTensor
    angle = np.deg2rad(SETTINGS.rotate)
    flip = transforms.RandFlip(prob=0.5, spatial_axis=1)
    intensity = [transforms.RandScaleIntensity(factors=SETTINGS.contrast, prob=1), transforms.RandShiftIntensity(offsets=0.1, prob=1)]
    if best:
        affine = transforms.RandAffine(
            prob=1,
            rotate_range=angle,
            scale_range=SETTINGS.scale,
            translate_range=SETTINGS.translate * images[0].shape[0],
            padding_mode="zeros",
        )
        geometry = [flip, affine]
    else:
        zoom = transforms.RandZoom(prob=1, min_zoom=1 - SETTINGS.scale, max_zoom=1 + SETTINGS.scale)
        geometry = [flip, transforms.RandRotate(range_x=angle, prob=1), zoom]
    own = transforms.Compose([*geometry, *intensity])
    dataset = data.CacheDataset([tracked(image) for image in floats], own, progress=False)
    return data.DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=0)


def difference(images: list[NDArray[np.uint8]]) -> tuple[float, float]:
    """Of augmented values inside the image, against scipy's interpolation in floating point."""
    from scipy.ndimage import affine_transform

    batch, positions = np.stack(images[:BATCH])[..., None], np.arange(min(BATCH, len(images)))
    plain = SETTINGS.model_copy(update={"brightness": 0.0, "contrast": 0.0})
    matrices, _ = draw(plain, 0, 0, positions, batch.shape[1])
    found = augment(batch, positions, plain, 0, 0)[..., 0] / 255
    differences = []
    for image, own, matrix in zip(batch[..., 0], found, matrices, strict=True):
        back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2][::-1, [1, 0, 2]]  # (x, y) to (row, column)
        moved = affine_transform(image / 255, back[:, :2], back[:, 2], order=1, mode="constant", cval=np.nan)
        differences.append(np.abs(moved - own)[np.isfinite(moved)])
    together = np.concatenate(differences)
    return float(together.mean()), float(together.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    warnings.simplefilter("ignore")
    from monai.data import set_track_meta

    images = made_images(given.images, given.side)
    times: dict[str, list[float]] = {"medtl": [], "CacheDataset": [], "CacheDataset, best form": []}
    with tempfile.TemporaryDirectory() as folder:
        store = stored(images, Path(folder), given.side)
        usual, best = monai_loader(images, best=False), monai_loader(images, best=True)
        for turn in range(given.repeat + 1):
            for name, spent in times.items():
                set_track_meta(name != "CacheDataset, best form")
                batches: Any = medtl_epoch(store, turn) if name == "medtl" else usual if name == "CacheDataset" else best
                start = time.process_time()
                count = sum(len(batch) for batch in batches)
                if turn:  # the first warms up
                    spent.append(1e3 * (time.process_time() - start) / count)
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    mean, most = difference(images)
    print(f"augmented batches of {BATCH}, {given.side} x {given.side} grey, ms of CPU per image (median of {given.repeat} epochs)")
    for name, spent_on_one in medians.items():
        print(f"  {name:26s} {spent_on_one:7.3f}  {spent_on_one / medians['medtl']:6.1f}x")
    print(f"  interpolation against floating point: mean {mean:.4f}, largest {most:.4f}")
    if given.json:
        given.json.write_text(json.dumps({"milliseconds": medians, "difference": [mean, most]}, indent=1))


if __name__ == "__main__":
    main()
