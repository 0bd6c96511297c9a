"""The work of `medtl train`, written the way the tutorials of MONAI and Lightning write it: the yardstick for speed.

Files are read, resized and augmented anew in every epoch by a MONAI `Compose` in the workers of a `DataLoader`; a LightningModule
holds timm's network; `frozen` trains a head on a backbone that runs in every step, `partial` the last stages as well, `full`
everything. Images, split, size, batch, rate and weights are those of a finished medtl run. Prints one line of JSON.

    python benchmarks/plain_monai_lightning.py RUN --data DIR --mode full --epochs 2 --weights FILE
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import timm
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from monai.data import DataLoader, Dataset
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    EnsureTyped,
    Lambdad,
    LoadImaged,
    NormalizeIntensityd,
    RandFlipd,
    RandRotated,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandZoomd,
    Resized,
    ScaleIntensityd,
)
from safetensors.torch import load_file
from timm.models import group_parameters
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAUROC

IMAGENET = {"subtrahend": [0.485, 0.456, 0.406], "divisor": [0.229, 0.224, 0.225]}


class PlainClassifier(lightning.LightningModule):
    """Backbone, linear head, cross-entropy; AdamW with a cosine schedule."""

    def __init__(self, backbone: nn.Module, classes: int, mode: str, stages: int, rate: float, weight_decay: float, epochs: int):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.head_hidden_size, classes)
        self.mode, self.rate, self.weight_decay, self.epochs = mode, rate, weight_decay, epochs
        self.auroc = MulticlassAUROC(classes)
        if mode != "full":
            self.backbone.requires_grad_(False)
        if mode == "partial":
            groups = list(group_parameters(backbone, backbone.group_matcher(coarse=True)).values())
            for name in [name for names in groups[-stages:] for name in names]:
                backbone.get_parameter(name).requires_grad_(True)

    def forward(self, images: Tensor) -> Tensor:
        if self.mode != "full":
            self.backbone.eval()
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.mode != "frozen"):
            features = self.backbone(images)
        return self.head(features)

    def training_step(self, batch: dict[str, Any], _: int) -> Tensor:
        return nn.functional.cross_entropy(self(batch["image"]), batch["label"])

    def validation_step(self, batch: dict[str, Any], _: int) -> None:
        self.auroc.update(self(batch["image"]).softmax(1), batch["label"])
        self.log("auroc", self.auroc, on_epoch=True, batch_size=len(batch["label"]))

    def configure_optimizers(self) -> Any:
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=1e-3 if self.mode == "frozen" else self.rate, weight_decay=self.weight_decay)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.epochs)]


def transforms(size: int, flips: bool, augment: bool) -> Compose:
    """From a file name to a normalised (3, size, size) tensor, five random changes in training."""
    read = [
        LoadImaged("image"),
        EnsureChannelFirstd("image"),
        Lambdad("image", lambda image: image[:3] if len(image) >= 3 else image[:1].repeat(3, 1, 1)),
        Resized("image", (size, size)),
        ScaleIntensityd("image"),
    ]
    random = [
        RandRotated("image", range_x=np.pi / 18, prob=0.5, keep_size=True),
        RandZoomd("image", min_zoom=0.85, max_zoom=1.15, prob=0.5),
        RandScaleIntensityd("image", factors=0.2, prob=0.5),
        RandShiftIntensityd("image", offsets=0.1, prob=0.5),
        *([RandFlipd("image", spatial_axis=0, prob=0.5)] if flips else []),
    ]
    finish = [NormalizeIntensityd("image", **IMAGENET, channel_wise=True), EnsureTyped("image", track_meta=False)]
    return Compose([*read, *(random if augment else []), *finish])


def loaders(run: Path, data: Path, settings: dict[str, Any], workers: int) -> tuple[DataLoader, DataLoader]:
    """Training and validation images of the run's records."""
    table = pd.read_csv(run / "records.csv", dtype=str, keep_default_na=False)
    codes = {name: code for code, name in enumerate(settings["task"]["classes"])}
    flips = settings["augmentation"]["flip"] != "none"
    parts = []
    for split in ("train", "validation"):
        rows = table[table["split"] == split]
        items = [{"image": str(data / image), "label": codes[label]} for image, label in zip(rows["image"], rows["label"], strict=True)]
        dataset = Dataset(items, transforms(settings["image"]["size"], flips, augment=split == "train"))
        batch = settings["transfer"]["batch"]
        parts.append(DataLoader(dataset, batch_size=batch, shuffle=split == "train", num_workers=workers, persistent_workers=workers > 0))
    return parts[0], parts[1]


def pretrained_backbone(name: str, weights: Path | None) -> nn.Module:
    """timm's network without its classifier, with the weights of the file and the options of its sidecar."""
    sidecar = weights.with_name(weights.name + ".json") if weights else None
    options = json.loads(sidecar.read_text(encoding="utf-8")).get("options", {}) if sidecar and sidecar.exists() else {}
    network = timm.create_model(name, num_classes=0, **options)
    if weights:
        missing, _ = network.load_state_dict(load_file(weights), strict=False)
        assert not missing, f"{weights.name} lacks {missing[:3]}"
    return network


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
    transfer = settings["transfer"]
    lightning.seed_everything(settings["seed"], workers=True, verbose=False)
    train, validation = loaders(options.run, options.data, settings, options.workers)
    backbone = pretrained_backbone(settings["backbone"]["name"], options.weights)
    rates = {"rate": transfer["rate"], "weight_decay": transfer["weight_decay"], "epochs": options.epochs}
    module = PlainClassifier(backbone, len(settings["task"]["classes"]), options.mode, options.stages, **rates)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="auroc", mode="max")
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(max_epochs=options.epochs, accelerator="auto", callbacks=[best], num_sanity_val_steps=0, **quiet)
        trainer.fit(module, train, validation)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    answer = {
        "mode": options.mode,
        "epochs": options.epochs,
        "images": len(train.dataset),
        "fit_wall": round(time.monotonic() - started, 1),
        "cpu": round(sum(each.ru_utime + each.ru_stime for each in used), 1),
        "validation_auroc": round(float(best.best_model_score), 4),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
