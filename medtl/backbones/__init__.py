"""Networks by their plain names, and the ways their pretrained weights arrive."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_validator

from medtl.registry import Settings

Scalar = str | int | float | bool


def _plain(name: str) -> str:
    if not name.replace("_", "").replace(".", "").replace("-", "").isalnum():
        raise ValueError("is the plain name of a network, such as mobilenetv2_100 or resnet50 (no paths, hubs or addresses)")
    return name


class BackboneSettings(Settings):
    name: Annotated[str, AfterValidator(_plain)] = "mobilenetv2_100"
    """A CNN of timm by its plain name; torchvision's where timm has none (alexnet, squeezenet1_0, googlenet …)."""
    weights: str = "imagenet"
    """`imagenet` (from the hub), `none`, or a path: a `.safetensors` or `.pth` file, or a medtl model package."""
    options: dict[str, Scalar] = Field(default_factory=dict)
    """Scalar options of the network's constructor, such as `pad_type: same`; a sidecar `<file>.json` brings its own."""

    @field_validator("options")
    @classmethod
    def _scalar(cls, options: dict[str, Any]) -> dict[str, Any]:
        for key, value in options.items():
            if isinstance(value, str) and ("/" in value or "\\" in value or ":" in value):
                raise ValueError(f"{key}: '{value}' looks like a path or an address, which options may not hold")
        return options
