"""Pooled features of a frozen backbone, computed once per image and kept: probe, first stage of lp-ft, ranking share them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medtl.module.classifier import as_input

if TYPE_CHECKING:
    from medtl.backbones.network import Network
    from medtl.imaging.store import Store

BATCH = 64
VERSION = 1
"""Part of the key: raised whenever the same weights and images give other features."""
Progress = Callable[[int, int], None]


def compute_features(
    network: Network, store: Store, positions: NDArray[np.int64], device: torch.device, progress: Progress | None = None
) -> NDArray[np.float32]:
    """(N, D) features of the stored images at `positions`: no augmentation, network in evaluation mode.

    Every batch has the same size (the last is filled up with its own first image), because the last bits of a convolution
    may depend on it, and with them would depend on what a cache happened to hold.
    """
    network.eval()
    features = np.empty((len(positions), network.dim), np.float32)
    with torch.inference_mode():
        for start in range(0, len(positions), BATCH):
            own = positions[start : start + BATCH]
            filled = np.concatenate([own, np.full(BATCH - len(own), own[0])])
            images = torch.from_numpy(store.read(filled)).to(device)
            features[start : start + len(own)] = network.features(as_input(images))[: len(own)].float().cpu().numpy()
            if progress:
                progress(min(start + BATCH, len(positions)), len(positions))
    return features


def cached_features(
    network: Network, store: Store, positions: NDArray[np.int64], device: torch.device, cache: Path, progress: Progress | None = None
) -> Tensor:
    """As :func:`compute_features`, as a tensor on the CPU; images that these very weights have seen before are looked up.

    `cache/features/<weights and preprocessing>/` holds shards, written whole and never changed: `<id>.npy` and `<id>.json`,
    the SHA-256 and frame of each row. A torn or foreign shard is passed over.
    """
    folder = cache / "features" / _key(network, store, device)
    measured = store.measurements.iloc[positions]
    keys = (measured["sha256"] + ":" + measured["frame"].astype(str)).tolist()
    known = _read(folder, network.dim)
    missing = np.flatnonzero([key not in known for key in keys])
    if len(missing):
        fresh = compute_features(network, store, positions[missing], device, progress)
        named = [keys[i] for i in missing]
        _write(folder, named, fresh)
        known.update(zip(named, fresh, strict=True))
    return torch.from_numpy(np.stack([known[key] for key in keys]) if keys else np.empty((0, network.dim), np.float32))


def _read(folder: Path, dim: int) -> dict[str, NDArray[np.float32]]:
    known: dict[str, NDArray[np.float32]] = {}
    for index in sorted(folder.glob("[!.]*.json")):
        try:
            keys, rows = json.loads(index.read_text()), np.load(index.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            continue
        if rows.shape == (len(keys), dim) and rows.dtype == np.float32:
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


def _key(network: Network, store: Store, device: torch.device) -> str:
    """Content: weights, build, preprocessing; and the kind of device and thread count, on which the last bits depend."""
    digest = hashlib.sha256(json.dumps(network.description, sort_keys=True).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    digest.update(f"{VERSION} {store.key} {device.type} {torch.get_num_threads()}".encode())
    return digest.hexdigest()[:32]
