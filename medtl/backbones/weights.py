"""Pretrained weights as they arrive: a name on the hub, a file with its sidecar, a model package, or none."""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from medtl.backbones import BackboneSettings, Scalar
from medtl.backbones.description import parse_description, read_sidecar
from medtl.backbones.families import family, library_of
from medtl.backbones.hub import HubFile, fetch
from medtl.errors import MedtlError, listed

State = dict[str, Tensor]
_NESTED = ("state_dict", "model_state_dict", "model", "net", "model_ema")
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "network.")
PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".tar")


@dataclass(frozen=True)
class Weights:
    """Tensors, and what stands beside them about the network they belong to."""

    state: State | None
    provenance: dict[str, Any]
    """`source` (imagenet, file, package, none) and, where there is a file, its name and sha256."""
    architecture: str | None = None
    library: str | None = None
    options: dict[str, Scalar] = field(default_factory=dict)
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    head: State = field(default_factory=dict)
    """Of a package: its classifier (`weight`, `bias`), which in other files is a part of `state`."""


def open_weights(settings: BackboneSettings, root: Path) -> Weights:
    """What `backbone.weights` names; a relative path is below `root`. Raises MedtlError with what can be done instead."""
    if settings.weights == "none":
        return Weights(None, {"source": "none"})
    if settings.weights == "imagenet":
        return imagenet_weights(settings.name)
    path = root / Path(settings.weights).expanduser()
    if path.is_dir():
        return _package_weights(path)
    if not path.is_file():
        raise MedtlError(
            f"backbone.weights: there is no file or folder {path}; allowed: imagenet, none, a .safetensors or .pth file, "
            "or a medtl model package"
        )
    return _file_weights(path)


def open_structure(settings: BackboneSettings, root: Path) -> Weights:
    """What stands beside the weights about the network (options, statistics), without the weights; the hub is not asked."""
    if settings.weights in ("none", "imagenet"):
        return Weights(None, {"source": "none"})
    return replace(open_weights(settings, root), state=None, provenance={"source": "none"})


def imagenet_weights(name: str) -> Weights:
    """From the hub or its cache, for networks of any library."""
    library = library_of(name)
    source = family(library).hub_source(name)
    if source is None:
        raise MedtlError(
            f"backbone.weights: {library} has no pretrained weights for '{name}'; choose another network, a file, "
            "or none with transfer.strategy scratch"
        )
    file = fetch(source, name)
    origin = source.repository if isinstance(source, HubFile) else source.url
    return Weights(read_state(file), {"source": "imagenet", "origin": origin, **_named(file)}, name, library)


def _file_weights(path: Path) -> Weights:
    provenance = {"source": "file", **_named(path)}
    sidecar = read_sidecar(path)
    if sidecar is None:
        return Weights(read_state(path), {**provenance, "sidecar": False})
    about = (sidecar.architecture, sidecar.library, dict(sidecar.options), sidecar.mean, sidecar.std)
    return Weights(read_state(path), {**provenance, "sidecar": True}, *about)


def _package_weights(folder: Path) -> Weights:
    """The backbone of a medtl model package (its first member), or of a run folder that holds one."""
    package = next((place for place in (folder, folder / "model") if (place / "model.json").is_file()), None)
    if package is None:
        raise MedtlError(f"backbone.weights: the folder {folder} is no medtl model package (it has no model.json)")
    try:
        network = json.loads((package / "model.json").read_text(encoding="utf-8"))["network"]
    except (ValueError, KeyError, TypeError):
        raise MedtlError(f"{package / 'model.json'} does not describe a network") from None
    about = parse_description(network, str(package / "model.json"))
    file = package / "weights-0.safetensors"
    whole = read_state(file, unwrap=False)
    state, head = (
        {key.removeprefix(begin): value for key, value in whole.items() if key.startswith(begin)}
        for begin in ("network.backbone.", "head.")
    )
    provenance = {"source": "package", "package": folder.name, **_named(file)}
    return Weights(state, provenance, about.architecture, about.library, dict(about.options), about.mean, about.std, head)


def read_state(path: Path, unwrap: bool = True) -> State:
    """The tensors of a `.safetensors` or `.pth` file by name; nothing in the file is ever executed.

    `unwrap`: what a training script wraps around (a `state_dict` key, `module.` before every name) is taken off.
    Raises MedtlError for other files, damaged ones, pickles that hold more than tensors, and values that are not finite.
    """
    state = _load(path)
    if unwrap:
        state = _without_prefix(_nested(state))
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise MedtlError(f"{path} holds no tensors by name; it should be a state dict, as torch.save(model.state_dict(), file) writes it")
    broken = [key for key, value in tensors.items() if value.is_floating_point() and not bool(torch.isfinite(value).all())]
    if broken:
        raise MedtlError(
            f"{path} holds values that are not finite, in {listed(broken, most=5)}: the file is damaged or its training diverged"
        )
    return tensors


def _load(path: Path) -> dict[str, Any]:
    suffix = path.suffix.lower()
    try:
        if suffix == ".safetensors":
            return dict(load_file(path))
        if suffix in PICKLES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of unusual pickle protocols: they are either read or refused
                loaded = torch.load(path, map_location="cpu", weights_only=True)
            return loaded if isinstance(loaded, dict) else {}
    except pickle.UnpicklingError:
        raise MedtlError(
            f"{path} holds more than tensors, which could run code when opened, or is damaged, and is not opened. Ask its maker "
            "for a .safetensors file, or save the plain state dict where you trust it: torch.save(model.state_dict(), file)"
        ) from None
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as fault:
        raise MedtlError(f"{path} cannot be read as weights: it is missing, damaged or of another kind ({type(fault).__name__})") from None
    raise MedtlError(f"{path}: weights are .safetensors files, or PyTorch's ({', '.join(PICKLES)}), not '{suffix}'")


def _nested(state: dict[str, Any]) -> dict[str, Any]:
    inner = next((state[key] for key in _NESTED if isinstance(state.get(key), dict)), None)
    return state if inner is None else inner


def _without_prefix(state: dict[str, Any]) -> dict[str, Any]:
    """Take off what stands before every name, again and again (`module.model.conv.weight`)."""
    while state:
        prefix = next((prefix for prefix in _PREFIXES if all(str(key).startswith(prefix) for key in state)), None)
        if prefix is None:
            break
        state = {str(key).removeprefix(prefix): value for key, value in state.items()}
    return state


def _named(file: Path) -> dict[str, str]:
    with file.open("rb") as stream:
        return {"file": file.name, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}
