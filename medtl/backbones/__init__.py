"""Networks by their plain names, and the ways their pretrained weights arrive."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from medtl.registry import Settings

Scalar = str | int | float | bool
Features = Literal["last", "stages"]


def check_plain_name(name: str) -> str:
    """The name itself; ValueError where it could be a path, a hub or an address."""
    if not name.replace("_", "").replace(".", "").replace("-", "").isalnum():
        raise ValueError("is no plain name of a network, such as mobilenetv2_100 or resnet50 (no paths, hubs or addresses)")
    return name


def check_options(options: dict[str, Scalar]) -> dict[str, Scalar]:
    """The options themselves; ValueError where one decides what medtl decides, or could name a path or an address."""
    for key, value in options.items():
        if key in RESERVED_OPTIONS:
            raise ValueError(f"{key} is decided by medtl and is no option")
        if isinstance(value, str) and ("/" in value or "\\" in value or ":" in value):
            raise ValueError(f"{key}: '{value}' looks like a path or an address, which options may not hold")
    return options


_OF_TIMM = (
    "pretrained",
    "pretrained_cfg",
    "pretrained_cfg_overlay",
    "checkpoint_path",
    "cache_dir",
    "num_classes",
    "features_only",
    "model_name",
)
_OF_TORCHVISION = ("name", "weights", "weights_backbone", "progress")
RESERVED_OPTIONS = frozenset({*_OF_TIMM, *_OF_TORCHVISION, "scriptable", "exportable", "no_jit"})
"""Arguments of the constructors that decide what medtl decides: weights and head."""


class BackboneSettings(Settings):
    """Which network, with which weights."""

    name: Annotated[str, AfterValidator(check_plain_name)] = "mobilenetv2_100"
    """A CNN of timm by its plain name; torchvision's where timm has none (alexnet, squeezenet1_0, googlenet …)."""
    weights: str = "imagenet"
    """`imagenet` (from the hub), `none`, or a path: a `.safetensors` or `.pth` file, or a medtl model package."""
    features: Features = "last"
    """What the head sees: `last`: the pooled last maps. `stages`: beside them the mean of every earlier stage's maps, which know of edges,
    texture and colour what a network of photographs drops later (Head2Toe: Evci et al., ICML 2022)."""
    options: Annotated[dict[str, Scalar], AfterValidator(check_options)] = Field(default_factory=dict)
    """Scalar options of the network's constructor, such as `pad_type: same`; a sidecar `<file>.json` brings its own."""
