"""How much of the saliency's energy lies where the finding truly is: on made images, whose truth is known.

medtl train configs/phantom_chest.yaml --data DIR --out RUN
python benchmarks/saliency_on_phantoms.py RUN

For every test image with a finding, the map of its true class is laid over the original image; its energy is the share of the map's sum
inside the true place. Against four that know nothing of the image: a blob in the centre (Gaussian, sigma a fifth of each side), the mean
map of the other test images, an even map (the place's share of the area), and the model's map for another image of the set. Prints JSON:
mean shares and how often the model's map has more inside than the centre blob has, with 95 % intervals over patients. `peak`: how often
the map's strongest point lies inside (the pointing game of Zhang et al., IJCV 2018).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.errors import MedtlError
from medtl.explanation.placement import onto_original
from medtl.explanation.saliency import saliency
from medtl.flows.run import Run, load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import open_store
from medtl.phantom.truth import FILE, finding_mask, read_truth
from medtl.records import KEY

Floats = NDArray[np.float64]
DRAWS = 5000


def main(run: Run) -> None:
    model = run.model()
    root = Path(str(run.environment()["data_root"]))
    rows = run.records().query("split == 'test' and label != ''").reset_index(drop=True)
    truths = {folder: read_truth(root / folder) for folder in sorted({phantom_of(root, image) for image in rows["image"]})}
    masks = [mask_of(root, truths, image) for image in rows["image"]]
    found = np.array([mask.any() for mask in masks])
    rows, masks = rows[found].reset_index(drop=True), [mask for mask, there in zip(masks, found, strict=True) if there]
    store = open_store(rows[KEY], root, model.image, cache_dir())
    classes = [model.task.names.index(label) for label in rows["label"]]
    squares = saliency(model, store.read(np.arange(len(rows))), classes)
    mean = squares.mean(axis=0)

    def inside(square: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
        placed = onto_original(square, mask.shape, model.image)  # type: ignore[arg-type]
        return share(placed, mask)

    measured = {
        "model": [inside(square, mask) for square, mask in zip(squares, masks, strict=True)],
        "centre_blob": [share(centre_blob(mask.shape), mask) for mask in masks],
        "mean_of_the_others": [
            inside((mean * len(squares) - square) / (len(squares) - 1), mask) for square, mask in zip(squares, masks, strict=True)
        ],
        "another_image": [inside(square, mask) for square, mask in zip(np.roll(squares, len(squares) // 2, axis=0), masks, strict=True)],
        "even": [float(mask.mean()) for mask in masks],
    }
    shares = {name: np.asarray(values) for name, values in measured.items()}
    peaks = [bool(mask[peak(onto_original(square, mask.shape, model.image))]) for square, mask in zip(squares, masks, strict=True)]
    patients = pd.factorize(rows["group_id"])[0]
    result = {
        "images": len(rows),
        "patients": int(patients.max()) + 1,
        "map": f"{squares.shape[1]} pixels",
        "empty_maps": int((squares.max(axis=(1, 2)) == 0).sum()),
        "share_inside": {name: estimate(values, patients) for name, values in shares.items()},
        "more_than_the_centre_blob": estimate(shares["model"] > shares["centre_blob"], patients),
        "more_than_the_mean_of_the_others": estimate(shares["model"] > shares["mean_of_the_others"], patients),
        "peak_inside": estimate(np.asarray(peaks), patients),
    }
    print(json.dumps(result, indent=2))


def phantom_of(root: Path, image: str) -> str:
    """The phantom's folder that holds an image, relative to the root."""
    for folder in Path(image).parents:
        if (root / folder / FILE).is_file():
            return folder.as_posix()
    raise MedtlError(f"{image}: lies in no folder with a {FILE}; give a run on phantoms")


def mask_of(root: Path, truths: dict[str, pd.DataFrame], image: str) -> NDArray[np.bool_]:
    """(H, W) where the findings are, in the upright image's pixels."""
    folder = phantom_of(root, image)
    truth = truths[folder]
    return finding_mask(truth[truth["image"] == Path(image).relative_to(folder).as_posix()])


def centre_blob(shape: tuple[int, ...]) -> Floats:
    """(H, W) Gaussian in the middle."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    return np.exp(-0.5 * (((y - (height - 1) / 2) / (height / 5)) ** 2 + ((x - (width - 1) / 2) / (width / 5)) ** 2))


def share(heat: NDArray[np.floating], mask: NDArray[np.bool_]) -> float:
    """Energy inside; 0 for an empty map, which found nothing."""
    total = float(heat.sum())
    return float(heat[mask].sum()) / total if total > 0 else 0.0


def peak(heat: NDArray[np.floating]) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
    return int(row), int(column)


def estimate(values: NDArray[np.generic], patients: NDArray[np.int64]) -> list[float]:
    """Mean, and the 2.5 and 97.5 percentiles of the means of patients drawn anew."""
    count = int(patients.max()) + 1
    sums = np.bincount(patients, weights=np.asarray(values, np.float64), minlength=count)
    sizes = np.bincount(patients, minlength=count)
    drawn = np.random.default_rng(0).integers(0, count, (DRAWS, count))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return [round(float(each), 4) for each in (sums.sum() / sizes.sum(), low, high)]


if __name__ == "__main__":
    main(load_run(sys.argv[1]))
