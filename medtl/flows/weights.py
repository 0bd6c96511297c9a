"""Pretrained weights into a file, on a machine with network, to carry to one without."""

from __future__ import annotations

import json
import os
from pathlib import Path

from medtl.backbones import check_plain_name
from medtl.errors import MedtlError


def save_weights(name: str, out: str | Path) -> Path:
    """Write the hub's weights of network `name` to `out` (`.safetensors`) and what belongs to them to `<out>.json`.

    The pair is what `backbone.weights` or `--weights` takes on the other machine. Returns the path of the weights.
    Raises MedtlError: unknown name, unreachable hub, another suffix, a file that already exists.
    """
    out = Path(out)
    sidecar = out.with_name(out.name + ".json")
    if out.suffix != ".safetensors":
        raise MedtlError(f"--out {out}: weights are written as .safetensors; try {out.with_suffix('.safetensors').name}")
    if out.exists() or sidecar.exists():
        raise MedtlError(f"--out {out}: exists and is not overwritten; choose another name")
    try:
        check_plain_name(name)
    except ValueError as fault:
        raise MedtlError(f"'{name}' {fault}") from None

    from safetensors.torch import save_file

    from medtl.backbones.families import family
    from medtl.backbones.weights import imagenet_weights

    weights = imagenet_weights(name)
    assert weights.library is not None
    assert weights.state is not None
    mean, std = family(weights.library).statistics(name, {})
    about = {"architecture": name, "library": weights.library, "options": {}, "mean": list(mean), "std": list(std)}
    about |= {key: weights.provenance[key] for key in ("origin", "sha256")}
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".part")
    save_file({key: tensor.contiguous().clone() for key, tensor in weights.state.items()}, unfinished)
    sidecar.write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    os.replace(unfinished, out)
    return out
