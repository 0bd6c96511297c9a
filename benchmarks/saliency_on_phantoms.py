"""How good the saliency of a run on made images is, whose truth is known: docs/saliency.md.

medtl train configs/phantom_chest.yaml --data DIR --out RUN
python benchmarks/saliency_on_phantoms.py RUN [PICTURE.png]

For every test image with a finding, the map of its true class is laid over the original image; its energy is the share of the map's sum
inside the true place. Beside five that know nothing: a blob in the centre, the mean map of the other test images, an even map (the place's
share of the area), the model's map for another image of the set, and the maps of the same network with its weights shuffled (five
times; those that are not empty). Prints JSON:
mean shares, also of the images that were called wrong by themselves, with 95 % intervals over patients; `peak_inside`: how often the map's
strongest point lies inside (the pointing game of Zhang et al., IJCV 2018); deletion and insertion by
the map, by random order, and by the truth itself. PICTURE: images, maps and true places side by side.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.errors import MedtlError
from medtl.explanation.overlay import overlay
from medtl.explanation.placement import onto_original
from medtl.explanation.quality import centre_blob, energy_inside, mean_of_the_others, random_maps, randomised, removal
from medtl.explanation.saliency import saliency
from medtl.flows.run import Run, load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import open_store
from medtl.phantom.truth import FILE, finding_mask, read_truth
from medtl.records import KEY

Floats = NDArray[np.float64]
Masks = Sequence[NDArray[np.bool_]]
DRAWS = 5000
SHUFFLED = 5
SHOWN = 8


def main(run: Run, picture: Path | None) -> None:
    model = run.model("cpu")
    root = Path(str(run.environment()["data_root"]))
    rows = run.records().query("split == 'test' and label != ''").reset_index(drop=True)
    truths = {folder: read_truth(root / folder) for folder in sorted({phantom_of(root, image) for image in rows["image"]})}
    masks = [mask_of(root, truths, image) for image in rows["image"]]
    found = np.array([mask.any() for mask in masks])
    rows, masks = rows[found].reset_index(drop=True), [mask for mask, there in zip(masks, found, strict=True) if there]
    images = open_store(rows[KEY], root, model.image, cache_dir()).read(np.arange(len(rows)))
    classes = np.array([model.task.names.index(label) for label in rows["label"]])
    squares = saliency(model, images, classes.tolist())
    shuffled = np.stack([saliency(randomised(model, seed), images, classes.tolist()) for seed in range(SHUFFLED)])

    shares = {
        "model": inside(squares, masks, model.image),
        "centre_blob": np.array([energy_inside(centre_blob(mask.shape)[None], mask[None])[0] for mask in masks]),
        "mean_of_the_others": inside(mean_of_the_others(squares), masks, model.image),
        "another_image": inside(np.roll(squares, len(squares) // 2, axis=0), masks, model.image),
        "even": np.array([float(mask.mean()) for mask in masks]),
        "shuffled_weights": of_shuffled(shuffled, masks, model.image),
    }
    wrong = (model.answer(rows[KEY], model.predict_arrays(images))["predicted"] != rows["label"]).to_numpy()
    patients = pd.factorize(rows["group_id"])[0].astype(np.int64)
    peaks = np.array([mask[peak(onto_original(square, mask.shape, model.image))] for square, mask in zip(squares, masks, strict=True)])
    cells = np.stack([in_square(mask, model.image) for mask in masks])
    orders = {"map": squares, "random": random_maps(len(squares)), "truth": cells}
    areas = {name: removal(model, images, classes, order) for name, order in orders.items()}
    result = {
        "images": len(rows),
        "patients": int(patients.max()) + 1,
        "map": f"{squares.shape[1]} pixels",
        "empty_maps": float(empty(squares).mean()),
        "empty_maps_of_shuffled_weights": float(empty(shuffled).mean()),
        "share_inside": {name: estimate(values, patients) for name, values in shares.items()},
        "called_wrong": {"images": int(wrong.sum()), **{name: part(values, patients, wrong) for name, values in shares.items()}},
        "more_than_the_centre_blob": estimate(shares["model"] > shares["centre_blob"], patients),
        "more_than_the_mean_of_the_others": estimate(shares["model"] > shares["mean_of_the_others"], patients),
        "peak_inside": estimate(peaks, patients),
        **{kind: {name: estimate(getattr(each, kind), patients) for name, each in areas.items()} for kind in ("deletion", "insertion")},
    }
    print(json.dumps(result, indent=2))
    if picture is not None:
        strip(images, squares, shuffled[np.argmin(empty(shuffled).mean(axis=1))], cells, picture)


def inside(squares: NDArray[np.floating], masks: Masks, settings: ImageSettings) -> Floats:
    """(N,) energy of maps over the square, laid onto each original image."""
    placed = (onto_original(np.asarray(square, np.float32), mask.shape, settings) for square, mask in zip(squares, masks, strict=True))  # type: ignore[arg-type]
    return np.array([energy_inside(one[None], mask[None])[0] for one, mask in zip(placed, masks, strict=True)])


def empty(maps: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(…, S, S) → (…): maps without any evidence for the class."""
    return np.asarray(maps.max(axis=(-2, -1)) == 0)


def of_shuffled(maps: NDArray[np.float32], masks: Masks, settings: ImageSettings) -> Floats:
    """(SHUFFLED, N, S, S) → (N,) mean energy over the shuffles whose map is not empty: a network that knows nothing may speak against a
    class everywhere, and an empty map would make that look worse than chance."""
    energies = np.where(empty(maps), np.nan, np.stack([inside(each, masks, settings) for each in maps]))
    return np.asarray(np.nanmean(energies, axis=0), np.float64)


def in_square(mask: NDArray[np.bool_], settings: ImageSettings) -> NDArray[np.float32]:
    """(S, S) the true place in the square that the network sees (phantoms are padded)."""
    scale = settings.size / max(mask.shape)
    height, width = (max(1, round(side * scale)) for side in mask.shape)
    top, left = (settings.size - height) // 2, (settings.size - width) // 2
    square = np.zeros((settings.size, settings.size), np.float32)
    square[top : top + height, left : left + width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return square


def strip(
    images: NDArray[np.uint8], squares: NDArray[np.float32], shuffled: NDArray[np.float32], cells: NDArray[np.float32], file: Path
) -> None:
    """Rows: image with its true place, map, map of the shuffled network."""
    columns = []
    for position in np.linspace(0, len(images) - 1, SHOWN).round().astype(int):
        image = np.ascontiguousarray(np.repeat(images[position], 3, axis=2) if images.shape[3] == 1 else images[position])
        outlined = image.copy()
        contours, _ = cv2.findContours((cells[position] > 0.5).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(outlined, contours, -1, (255, 160, 0), 1)
        columns.append(np.concatenate([outlined, overlay(image, squares[position]), overlay(image, shuffled[position])]))
    cv2.imwrite(str(file), np.concatenate(columns, axis=1)[..., ::-1])


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


def peak(heat: NDArray[np.floating]) -> tuple[int, int]:
    row, column = np.unravel_index(int(np.argmax(heat)), heat.shape)
    return int(row), int(column)


def part(values: Floats, patients: NDArray[np.int64], some: NDArray[np.bool_]) -> list[float] | None:
    """As :func:`estimate`, of some of the images; None where there are none."""
    return estimate(values[some], pd.factorize(patients[some])[0]) if some.any() else None


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
    main(load_run(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
