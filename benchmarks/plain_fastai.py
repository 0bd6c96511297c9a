"""The work of `medtl train`, as fastai's tutorials do it, a `vision_learner` over timm's network: the third yardstick for speed.

fastai decodes and resizes in the workers of its `DataLoaders` and augments batches. `frozen` is `fit_one_cycle` with the body frozen,
`full` the same with all thawed. Images, split, size, batch, rate and weights are those of a finished medtl run. Prints one line of JSON.
Needs `pip install fastai`, which medtl does not.

    python benchmarks/plain_fastai.py RUN --data DIR --mode full --epochs 2 --weights FILE
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from fastai.metrics import RocAuc, RocAucBinary
from fastai.vision.all import (
    CategoryBlock,
    ColReader,
    ColSplitter,
    DataBlock,
    DataLoaders,
    ImageBlock,
    Learner,
    Normalize,
    Resize,
    ResizeMethod,
    aug_transforms,
    imagenet_stats,
    set_seed,
    vision_learner,
)
from safetensors.torch import load_file


def batches(run: Path, data: Path, settings: dict[str, Any], workers: int) -> DataLoaders:
    """Training and validation images of the run's records."""
    table = pd.read_csv(run / "records.csv", dtype=str, keep_default_na=False)
    table = table[table["split"].isin(["train", "validation"])].assign(is_valid=table["split"] == "validation")
    size, flips = settings["image"]["size"], settings["augmentation"]["flip"]
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_x=ColReader("image", pref=data),
        get_y=ColReader("label"),
        splitter=ColSplitter(),
        item_tfms=Resize(size, method=ResizeMethod.Squish),
        batch_tfms=[*aug_transforms(do_flip=flips != "none", flip_vert=flips == "both", size=size), Normalize.from_stats(*imagenet_stats)],
    )
    return block.dataloaders(table, bs=settings["transfer"]["batch"], num_workers=workers)


def learner_of(loaders: DataLoaders, settings: dict[str, Any], weights: Path | None, mode: str, models: Path) -> Learner:
    """fastai's own head on timm's network with the weights of the file."""
    sidecar = weights.with_name(weights.name + ".json") if weights else None
    options = json.loads(sidecar.read_text(encoding="utf-8")).get("options", {}) if sidecar and sidecar.exists() else {}
    metric = RocAucBinary() if loaders.c == 2 else RocAuc()
    learner = vision_learner(
        loaders,
        settings["backbone"]["name"],
        pretrained=False,
        normalize=False,
        metrics=metric,
        path=models,
        wd=settings["transfer"]["weight_decay"],
        **options,
    )
    if weights:
        learner.model[0].model.load_state_dict(load_file(weights), strict=False)
    if mode == "frozen":
        learner.freeze()
    else:
        learner.unfreeze()
    return learner


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder of medtl: its records.csv and experiment.yaml are used")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--mode", choices=("frozen", "full"), required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    settings = yaml.safe_load((options.run / "experiment.yaml").read_text(encoding="utf-8"))
    set_seed(settings["seed"])
    loaders = batches(options.run, options.data, settings, options.workers)
    with tempfile.TemporaryDirectory() as models:
        learner = learner_of(loaders, settings, options.weights, options.mode, Path(models))
        started = time.monotonic()
        with learner.no_bar():
            learner.fit_one_cycle(options.epochs, 1e-3 if options.mode == "frozen" else settings["transfer"]["rate"])
    best = max(values[2] for values in learner.recorder.values)
    print(json.dumps({"mode": options.mode, "fit_wall": round(time.monotonic() - started, 1), "validation_auroc": round(best, 4)}))


if __name__ == "__main__":
    main()
