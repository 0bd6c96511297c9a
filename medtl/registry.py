"""Components chosen by name: a new one is one new file in its folder.

Names come from file names (`class_balanced.py` is `class-balanced`), so listing them imports nothing; choosing one
imports that file alone. A component file holds `Settings` (a frozen pydantic model) and `build(...)`; what `build` takes
and gives is the contract of its folder, stated in the folder's `__init__`.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict

from medtl.errors import MedtlError, did_you_mean


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


@cache
def names(folder: str) -> tuple[str, ...]:
    """The components of a folder such as `"imbalance"`, sorted; nothing is imported."""
    spec = importlib.util.find_spec(f"medtl.{folder}")
    assert spec is not None and spec.submodule_search_locations, f"medtl.{folder} is not a package"
    files = (file for place in spec.submodule_search_locations for file in Path(place).glob("[!_]*.py"))
    return tuple(sorted(file.stem.replace("_", "-") for file in files))


def component(folder: str, name: str) -> ModuleType:
    """Import the one file that holds the component `name`."""
    if name not in names(folder):
        raise MedtlError(f"no {folder} component '{name}'{did_you_mean(name, names(folder))}; there are: {', '.join(names(folder))}")
    return importlib.import_module(f"medtl.{folder}.{name.replace('-', '_')}")


def parse_choice(folder: str, value: Any) -> Any:
    """`"focal"` or `{"name": "focal", "gamma": 2}` → the component's validated settings, for use in a pydantic validator.

    Raises ValueError (or pydantic's ValidationError) so that pydantic reports it at the right place of the config.
    """
    if isinstance(value, Settings):
        return value
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError(f"is a name or a mapping with `name`; names: {', '.join(names(folder))}")
    if value["name"] not in names(folder):
        raise ValueError(f"'{value['name']}' is unknown{did_you_mean(value['name'], names(folder))}; there are: {', '.join(names(folder))}")
    settings: Settings = component(folder, value["name"]).Settings.model_validate(value)
    return settings
