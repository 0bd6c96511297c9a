"""The configs that medtl ships: beside the package in a checkout, inside it when installed from a wheel."""

from __future__ import annotations

from pathlib import Path

from medtl.errors import MedtlError

PLACES = (Path(__file__).parents[1] / "configs", Path(__file__).parents[2] / "configs")


def shipped_config(name: str) -> Path:
    """The config file of this name, without its ending. Raises MedtlError where there is none."""
    found = next((place / f"{name}.yaml" for place in PLACES if (place / f"{name}.yaml").is_file()), None)
    if found is None:
        raise MedtlError(f"medtl was installed without its config '{name}'; install it again, from a release or a whole checkout")
    return found
