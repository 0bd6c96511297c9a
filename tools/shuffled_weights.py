"""Shuffle every tensor of a weights file: the same numbers in the wrong places. What is learned from it shows what transfer was worth.

python tools/shuffled_weights.py FILE.safetensors SHUFFLED.safetensors
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def main(source: Path, target: Path) -> None:
    """The sidecar comes along. Batch norms keep their order: shuffled statistics would break the network, not only its knowledge."""
    chance = torch.Generator().manual_seed(0)
    state = load_file(source)
    for name, tensor in state.items():
        if tensor.ndim > 1:
            state[name] = tensor.flatten()[torch.randperm(tensor.numel(), generator=chance)].view(tensor.shape).contiguous()
    save_file(state, target)
    sidecar = Path(f"{source}.json")
    if sidecar.is_file():
        shutil.copy(sidecar, f"{target}.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
