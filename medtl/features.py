"""What frozen layers make of an image, computed once per image and view and kept: probe, partial tuning, audit and ranking share it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medtl.augmentation import AugmentationSettings, augment
from medtl.module.classifier import as_input

if TYPE_CHECKING:
    from medtl.backbones.cutting import Cut
    from medtl.backbones.network import Network
    from medtl.imaging.store import Store

BATCH = 64
VERSION = 3
"""Part of the key: raised whenever the same weights and images give other features."""
Progress = Callable[[int, int], None]
Images = NDArray[np.uint8]


@dataclass(frozen=True)
class View:
    """How stored images (B, S, S, C) are shown to frozen layers; `name` is part of the key of what these make of them."""

    name: str
    show: Callable[[Images, NDArray[np.int64]], Images]
    """Images and their positions in the store -> images."""
    drawn: bool = False
    """Whether the view of an image depends on its position."""


PLAIN = View("", lambda images, positions: images)


def mirrored(axes: tuple[int, ...]) -> View:
    """Along axes of (B, C, H, W); none = plain."""
    stored = [axis - 1 for axis in axes]
    return View(f"mirrored {axes}", lambda images, positions: np.ascontiguousarray(np.flip(images, stored))) if axes else PLAIN


def augmented(settings: AugmentationSettings, seed: int, number: int) -> View:
    """Number 0 is the plain view, each other one fixed augmentation per image."""
    name = f"augmented {settings.model_dump_json()} {seed} {number}"
    return View(name, lambda images, positions: augment(images, positions, settings, seed, number), drawn=True) if number else PLAIN


@dataclass(frozen=True)
class Frozen:
    """Layers that do not learn, as one function with a key of its own."""

    run: Callable[[Tensor], Tensor]
    """(B, C, S, S) in [0, 1] -> (B, …)."""
    network: Network
    shape: tuple[int, ...]
    """Of what comes out, without B."""
    part: str = ""

    def key(self, store: Store, device: torch.device, view: View) -> str:
        """Content: weights, build, preprocessing, view; and the kind of device and thread count, on which the last bits depend."""
        digest = hashlib.sha256(json.dumps(self.network.description, sort_keys=True).encode())
        for name, tensor in self.network.state_dict().items():
            digest.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
        digest.update(f"{VERSION} {store.key} {device.type} {torch.get_num_threads()}{self.part}{view.name}".encode())
        return digest.hexdigest()[:32]


def cached_features(
    network: Network,
    store: Store,
    positions: NDArray[np.int64],
    device: torch.device,
    cache: Path,
    progress: Progress | None = None,
    view: View = PLAIN,
) -> Tensor:
    """(N, D) float32 features, on the CPU, of the stored images at `positions`; those that were computed before are looked up."""
    return cached(Frozen(network.features, network, (network.dim,)), store, positions, device, cache, progress, view)


def border_maps(network: Network, cut: Cut, stages: int, size: int, channels: int, device: torch.device) -> Frozen:
    """The layers below the last `stages` stages, for images of (channels, size, size)."""
    network.eval()
    with torch.inference_mode():
        shape = cut.below(torch.zeros(1, channels, size, size, device=device)).shape[1:]
    return Frozen(cut.below, network, tuple(shape), f" below {stages}")


def cached(
    frozen: Frozen,
    store: Store,
    positions: NDArray[np.int64],
    device: torch.device,
    cache: Path,
    progress: Progress | None = None,
    view: View = PLAIN,
) -> Tensor:
    """(N, …) float32, on the CPU: what frozen layers make of the stored images at `positions`; what was computed before is looked up.

    `cache/features/<key>/` holds shards, written whole and never changed: `<id>.npy` and `<id>.json`, the SHA-256 and frame of each
    row. A torn or foreign shard is passed over.
    """
    folder = cache / "features" / frozen.key(store, device, view)
    measured = store.measurements.iloc[positions]
    keys = (measured["sha256"] + ":" + measured["frame"].astype(str)).tolist()
    if view.drawn:
        keys = [f"{key}:{position}" for key, position in zip(keys, positions, strict=True)]
    known = _read(folder, frozen.shape)
    missing = np.flatnonzero([key not in known for key in keys])
    if len(missing):
        fresh = compute(frozen, store, positions[missing], device, progress, view)
        named = [keys[i] for i in missing]
        _write(folder, named, fresh)
        known.update(zip(named, fresh, strict=True))
    return torch.from_numpy(np.stack([known[key] for key in keys]) if keys else np.empty((0, *frozen.shape), np.float32))


def compute(
    frozen: Frozen,
    store: Store,
    positions: NDArray[np.int64],
    device: torch.device,
    progress: Progress | None = None,
    view: View = PLAIN,
) -> NDArray[np.float32]:
    """(N, …) of the stored images at `positions`, network in evaluation mode.

    Every batch has the same size (the last is filled up with its own first image), because the last bits of a convolution
    may depend on it, and with them would depend on what a cache happened to hold.
    """
    frozen.network.eval()
    found = np.empty((len(positions), *frozen.shape), np.float32)
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        for start in range(0, len(positions), BATCH):
            own = positions[start : start + BATCH]
            filled = np.concatenate([own, np.full(BATCH - len(own), own[0])])
            images = torch.from_numpy(view.show(store.read(filled), filled)).to(device)
            found[start : start + len(own)] = frozen.run(as_input(images))[: len(own)].float().cpu().numpy()
            if progress:
                progress(min(start + BATCH, len(positions)), len(positions))
    return found


def _read(folder: Path, shape: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
    known: dict[str, NDArray[np.float32]] = {}
    for index in sorted(folder.glob("[!.]*.json")):
        try:
            keys, rows = json.loads(index.read_text()), np.load(index.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            continue
        if rows.shape == (len(keys), *shape) and rows.dtype == np.float32:
            with contextlib.suppress(OSError):
                index.touch()  # the cache removes first what was longest unused
            known.update(zip(keys, rows, strict=True))
    return known


def _write(folder: Path, keys: list[str], rows: NDArray[np.float32]) -> None:
    """The index last: rows without an index are not looked at."""
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    np.save(folder / f"{name}.npy", rows)
    temporary = folder / f".{name}.tmp"
    temporary.write_text(json.dumps(keys))
    os.replace(temporary, folder / f"{name}.json")
