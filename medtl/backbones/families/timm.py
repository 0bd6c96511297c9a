"""The CNNs of timm (Wightman, https://github.com/huggingface/pytorch-image-models), by their names with or without a weights tag."""

from __future__ import annotations

import sys
from typing import Any

import timm
from timm.models import get_pretrained_cfg, group_parameters
from torch import Tensor, nn

from medtl.backbones import Scalar
from medtl.backbones.hub import HubFile, UrlFile
from medtl.errors import MedtlError

_TRANSLATIONS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")
"""How timm's files call their function that renames an original checkpoint's keys."""


def names() -> list[str]:
    """Every architecture of timm, then each with the tags of its weights."""
    return [*timm.list_models(), *timm.list_pretrained()]


def has(name: str) -> bool:
    """`resnet50`, or with the tag of certain weights: `resnet50.a1_in1k`."""
    return name in timm.list_models() if "." not in name else name in timm.list_pretrained()


def successor(name: str) -> str:
    """What timm calls a network now that it had under this name before, with the tag of its weights."""
    return getattr(timm.models._registry, "_deprecated_models", {}).get(name) or ""


def build(name: str, options: dict[str, Scalar]) -> nn.Module:
    """The network without classifier, random weights; MedtlError for networks bound to one image size (transformers)."""
    if get_pretrained_cfg(name).fixed_input_size:
        raise MedtlError(
            f"backbone.name: '{name}' is a transformer or hybrid bound to one image size; medtl takes CNNs, such as convnext_tiny"
        )
    body: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, **options)
    return body


def statistics(name: str, options: dict[str, Scalar]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of its training images; the average over colours where `in_chans: 1` is an option."""
    known = get_pretrained_cfg(name)
    if options.get("in_chans", 3) == 1:
        return (sum(known.mean) / len(known.mean),), (sum(known.std) / len(known.std),)
    return tuple(known.mean), tuple(known.std)


def hub_source(name: str) -> HubFile | UrlFile | None:
    """The repository on the hub; for few networks still an address."""
    known = get_pretrained_cfg(name)
    if known.hf_hub_id:
        own = (known.hf_hub_filename,) if known.hf_hub_filename else ()
        return HubFile(known.hf_hub_id, (*own, "model.safetensors", "pytorch_model.bin"))
    return UrlFile(known.url) if known.url else None


def heads(name: str) -> tuple[str, ...]:
    """The classifiers, and the auxiliary ones of training."""
    classifier: Any = get_pretrained_cfg(name).classifier or ()
    return (*((classifier,) if isinstance(classifier, str) else classifier), "AuxLogits", "aux_head")


def translate(body: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Timm's own renaming of the network's original checkpoint; the state as it is where that finds nothing it knows."""
    file = sys.modules[type(body).__module__]
    rename = next((getattr(file, function) for function in _TRANSLATIONS if hasattr(file, function)), None)
    if rename is None:
        return state
    try:
        renamed: dict[str, Tensor] = rename(dict(state), body) if rename.__code__.co_argcount > 1 else rename(dict(state))
    except (
        KeyError,
        IndexError,
        AttributeError,
        RuntimeError,
        ValueError,
    ):  # a checkpoint of another network: counting what fits will say so
        return state
    return renamed


def stages(body: nn.Module) -> list[list[str]]:
    """Timm's coarse groups; of the few networks that have none, their parts in order, and each part of a sequence."""
    if hasattr(body, "group_matcher"):
        groups: dict[int, list[str]] = group_parameters(body, body.group_matcher(coarse=True))
        return [groups[key] for key in sorted(groups)]
    parts: dict[tuple[str, ...], list[str]] = {}
    for name, _ in body.named_parameters():
        part, *inner = name.split(".")
        parts.setdefault((part, *inner[:1]) if inner and inner[0].isdigit() else (part,), []).append(name)
    return list(parts.values())
