"""What rebuilds a network without its weights: stored in model packages, read from the sidecars of weights files. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator

from medtl.backbones import Features, Scalar, check_options, check_plain_name
from medtl.errors import MedtlError
from medtl.registry import Settings

Library = Literal["timm", "torchvision"]
Options = Annotated[dict[str, Scalar], AfterValidator(check_options)]
PerChannel = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]


class Description(Settings):
    """A network without head and weights."""

    architecture: Annotated[str, AfterValidator(check_plain_name)]
    library: Library
    options: Options = Field(default_factory=dict)
    mean: PerChannel
    """Of the network's own input channels, subtracted from pixels in [0, 1]; its length says how many channels the network has."""
    std: PerChannel
    features: Features = "last"
    """See `BackboneSettings`."""
    dim: Annotated[int, Field(ge=1)] | None = None
    """Number of features; measured where it is not given."""

    @model_validator(mode="after")
    def _usable(self) -> Description:
        if len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError("mean and std have one number per channel each, and std is above 0")
        return self


class Sidecar(Settings):
    """`<weights file>.json`: what the file itself does not say. Every key may be absent, unknown keys are left alone."""

    model_config = ConfigDict(extra="ignore")

    architecture: Annotated[str, AfterValidator(check_plain_name)] | None = None
    library: Library | None = None
    options: Options = Field(default_factory=dict)
    mean: PerChannel | None = None
    std: PerChannel | None = None


def read_sidecar(weights: Path) -> Sidecar | None:
    """The sidecar `<file>.json` beside a weights file, None where there is none; MedtlError where it cannot be understood."""
    path = weights.with_name(weights.name + ".json")
    if not path.is_file():
        return None
    try:
        return Sidecar.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError) as fault:
        raise MedtlError(f"the sidecar {path} of the weights cannot be used: {_first_fault(fault)}") from None


def parse_description(value: Any, where: str) -> Description:
    """A `Description` out of JSON; MedtlError names `where` it stood."""
    try:
        return Description.model_validate(value)
    except ValidationError as fault:
        raise MedtlError(f"{where}: the network's description cannot be used: {_first_fault(fault)}") from None


def _first_fault(fault: Exception) -> str:
    if isinstance(fault, ValidationError):
        first = fault.errors()[0]
        return f"{'.'.join(str(key) for key in first['loc']) or 'it'}: {first['msg']}"
    return str(fault)
