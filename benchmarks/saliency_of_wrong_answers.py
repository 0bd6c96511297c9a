"""Whether saliency lies in the true place also where the answer is wrong: docs/saliency.md.

medtl train configs/phantom_chest.yaml --data DIR --out RUN
python benchmarks/saliency_of_wrong_answers.py RUN [--contrast 0.4] [--patients 300]

A network that is right nearly always has no wrong answers to look at. So new patients of its hospitals are made, with fainter opacities,
below the folder of its images, and every image that has one is answered. Prints JSON: of those it called ill, and of those it missed, the
share of the map's sum inside the true place (of the ill class: the absence of a finding has no place), beside what knows nothing of the
image; how much more that is than of the mean map of the other images; and the difference of both groups. 95 % intervals over patients.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from saliency_on_phantoms import DRAWS, Floats, empty, estimate, inside, peak

from medtl.explanation.placement import onto_original
from medtl.explanation.quality import centre_blob, energy_inside, mean_of_the_others
from medtl.explanation.saliency import saliency
from medtl.flows.run import Run, load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import open_store
from medtl.phantom.making import materialise
from medtl.phantom.truth import finding_mask, read_truth

SEED = 1
"""Of the new patients; the shipped config's have 0."""


def main(run: Run, contrast: float, patients: int) -> None:
    model = run.model("cpu")
    root = Path(str(run.environment()["data_root"]))
    rows, masks = ill_images(run, root, contrast, patients)
    images = open_store(rows[["image", "frame"]], root, model.image, cache_dir()).read(np.arange(len(rows)))
    classes = np.full(len(rows), model.task.positive_index)
    squares = saliency(model, images, classes.tolist())
    called = model.answer(rows, model.predict_arrays(images))["predicted"]
    right = (called == model.task.names[classes[0]]).to_numpy()
    shares = {
        "model": inside(squares, masks, model.image),
        "centre_blob": np.array([energy_inside(centre_blob(mask.shape)[None], mask[None])[0] for mask in masks]),
        "mean_of_the_others": inside(mean_of_the_others(squares), masks, model.image),
        "even": np.array([float(mask.mean()) for mask in masks]),
    }
    shares["peak_inside"] = np.array(
        [mask[peak(onto_original(square, mask.shape, model.image))] for square, mask in zip(squares, masks, strict=True)], np.float64
    )
    groups = pd.factorize(rows["patient_id"])[0].astype(np.int64)
    result = {"contrast": contrast, "images": len(rows), "patients": int(groups.max()) + 1}
    for name, some in (("called_ill", right), ("missed", ~right)):
        own = pd.factorize(groups[some])[0].astype(np.int64)
        found = {kind: estimate(values[some], own) for kind, values in shares.items()}
        found["more_than_the_mean_of_the_others"] = estimate((shares["model"] - shares["mean_of_the_others"])[some], own)
        result[name] = {
            "images": int(some.sum()),
            "patients": int(own.max()) + 1,
            "empty_maps": float(empty(squares)[some].mean()),
            **found,
        }
    result["called_ill_less_missed"] = difference(shares["model"], right, groups)
    print(json.dumps(result, indent=2))


def ill_images(run: Run, root: Path, contrast: float, patients: int) -> tuple[pd.DataFrame, list[NDArray[np.bool_]]]:
    """New images of the run's made hospitals that have a finding: `image`, `frame`, `patient_id`; and where the findings are."""
    tables, masks = [], []
    for cohort in run.experiment.cohorts:
        new = {"contrast": contrast, "patients": patients, "seed": SEED, "prevalence": 0.95}
        folder = materialise(cohort.phantom().model_copy(update=new), root)
        truth = read_truth(folder)
        own = truth[truth["finding"] != ""]
        masks += [finding_mask(each) for _, each in own.groupby("image", sort=False)]
        once = own.drop_duplicates("image")
        tables.append(once.assign(image=f"{folder.name}/" + once["image"], frame=0)[["image", "frame", "patient_id"]])
    return pd.concat(tables, ignore_index=True), masks


def difference(values: Floats, right: NDArray[np.bool_], groups: NDArray[np.int64]) -> list[float]:
    """Mean of the right less mean of the wrong, and percentiles over patients drawn anew, who may have images of both."""
    count = int(groups.max()) + 1
    drawn = np.random.default_rng(0).integers(0, count, (DRAWS, count))
    means = []
    for some in (right, ~right):
        sums, sizes = (np.bincount(groups[some], weights=each[some], minlength=count) for each in (values, np.ones(len(values))))
        means.append([sums.sum() / sizes.sum(), *(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1))])
    gaps = np.subtract(*means)
    return [round(float(each), 4) for each in (gaps[0], *np.percentile(gaps[1:], [2.5, 97.5]))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--contrast", type=float, default=0.4)
    parser.add_argument("--patients", type=int, default=300, help="of each hospital")
    given = parser.parse_args()
    main(load_run(given.run), given.contrast, given.patients)
