"""The work of `medtl train`, as a plain loop over timm and torchvision: the second yardstick for speed.

Files are read by Pillow, resized and augmented anew in every epoch by torchvision in the workers of a `DataLoader`. `frozen` trains a
head on a backbone that runs in every step, `partial` the last stages as well, `full` everything. Images, split, size, batch, rate and
weights are those of a finished medtl run. Prints one line of JSON.

    python benchmarks/plain_timm.py RUN --data DIR --mode full --epochs 2 --weights FILE
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from timm.models import group_parameters
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2


class Pictures(Dataset[tuple[Tensor, int]]):
    """Image files with their classes."""

    def __init__(self, files: list[Path], targets: list[int], transform: v2.Transform):
        self.files, self.targets, self.transform = files, targets, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self.transform(Image.open(self.files[place]).convert("RGB")), self.targets[place]


def transforms(size: int, flips: bool, augment: bool) -> v2.Transform:
    """From a picture to a normalised (3, size, size) tensor, with the usual random changes in training."""
    random = [v2.RandomAffine(10, translate=(0.06, 0.06), scale=(0.85, 1.15)), v2.ColorJitter(0.1, 0.2)]
    random += [v2.RandomHorizontalFlip()] if flips else []
    finish = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    return v2.Compose([v2.Resize((size, size)), *(random if augment else []), *finish])


def loaders(run: Path, data: Path, settings: dict[str, Any], workers: int) -> list[DataLoader[tuple[Tensor, Tensor]]]:
    """Training and validation images of the run's records."""
    table = pd.read_csv(run / "records.csv", dtype=str, keep_default_na=False)
    codes = {name: code for code, name in enumerate(settings["task"]["classes"])}
    flips = settings["augmentation"]["flip"] != "none"
    parts = []
    for split in ("train", "validation"):
        rows = table[table["split"] == split]
        images = Pictures(
            [data / image for image in rows["image"]],
            [codes[label] for label in rows["label"]],
            transforms(settings["image"]["size"], flips, augment=split == "train"),
        )
        parts.append(
            DataLoader(images, settings["transfer"]["batch"], shuffle=split == "train", num_workers=workers, drop_last=split == "train")
        )
    return parts


def network_of(settings: dict[str, Any], weights: Path | None, mode: str, stages: int) -> nn.Module:
    """timm's network with a new head and the weights of the file; what `mode` freezes has no gradient."""
    sidecar = weights.with_name(weights.name + ".json") if weights else None
    options = json.loads(sidecar.read_text(encoding="utf-8")).get("options", {}) if sidecar and sidecar.exists() else {}
    network = timm.create_model(settings["backbone"]["name"], num_classes=len(settings["task"]["classes"]), **options)
    if weights:
        head = network.default_cfg["classifier"]
        network.load_state_dict({key: value for key, value in load_file(weights).items() if not key.startswith(head)}, strict=False)
    if mode != "full":
        network.requires_grad_(False)
        network.get_classifier().requires_grad_(True)
    if mode == "partial":
        groups = group_parameters(network, network.group_matcher(coarse=True))
        own = [names for names in groups.values() if not any(name.startswith(network.default_cfg["classifier"]) for name in names)]
        for name in [name for names in own[-stages:] for name in names]:
            network.get_parameter(name).requires_grad_(True)
    return network


def fit(network: nn.Module, train: DataLoader[Any], validation: DataLoader[Any], settings: dict[str, Any], mode: str, epochs: int) -> float:
    """The best validation AUROC."""
    transfer, best = settings["transfer"], 0.0
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-3 if mode == "frozen" else transfer["rate"], weight_decay=transfer["weight_decay"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(train))
    for _ in range(epochs):
        network.train(mode == "full")
        for images, targets in train:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images), targets).backward()
            optimizer.step()
            schedule.step()
        network.eval()
        with torch.inference_mode():
            judged = [(network(images).softmax(1).numpy(), targets.numpy()) for images, targets in validation]
        p, truth = (np.concatenate(each) for each in zip(*judged, strict=True))
        best = max(best, roc_auc_score(truth, p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr"))
    return float(best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a run folder of medtl: its records.csv and experiment.yaml are used")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--mode", choices=("frozen", "partial", "full"), required=True)
    parser.add_argument("--stages", type=int, default=1)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()

    settings = yaml.safe_load((options.run / "experiment.yaml").read_text(encoding="utf-8"))
    torch.manual_seed(settings["seed"])
    train, validation = loaders(options.run, options.data, settings, options.workers)
    network = network_of(settings, options.weights, options.mode, options.stages)
    started = time.monotonic()
    best = fit(network, train, validation, settings, options.mode, options.epochs)
    print(json.dumps({"mode": options.mode, "fit_wall": round(time.monotonic() - started, 1), "validation_auroc": round(best, 4)}))


if __name__ == "__main__":
    main()
