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
from types import ModuleType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo, field_validator
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from medtl.errors import MedtlError, did_you_mean


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, numbers finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Pydantic would take `epochs: true` for 1."""
        if isinstance(value, bool) and _is_number(cls.model_fields[info.field_name or ""].annotation):
            raise ValueError("is no number")
        return value


def _is_number(annotation: Any) -> bool:
    """Whether a field's type is int or float, maybe constrained, maybe optional."""
    inner = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) is Annotated or (inner and get_origin(annotation) in (Union, UnionType)):
        return all(_is_number(argument) for argument in (inner[:1] if get_origin(annotation) is Annotated else inner))
    return annotation in (int, float)


class Mistake(NamedTuple):
    """One thing wrong inside a model: the path of keys below it, the value given there (None: not shown), a sentence that follows it."""

    path: tuple[str | int, ...]
    value: Any
    sentence: str


def refuse(mistakes: list[Mistake]) -> None:
    """For validators that look at several fields: report every mistake at its own place of the config; nothing if there is none."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("mistake", "{sentence}", {"sentence": mistake.sentence}), loc=mistake.path, input=mistake.value
        )
        for mistake in mistakes
    ]
    if details:
        raise ValidationError.from_exception_data("settings", details)


@cache
def names(folder: str) -> tuple[str, ...]:
    """The components of a folder such as `"imbalance"`, sorted; nothing is imported."""
    spec = importlib.util.find_spec(f"medtl.{folder}")
    places = (spec and spec.submodule_search_locations) or []
    assert places, f"medtl.{folder} is not a package"
    files = (file for place in places for file in Path(place).glob("[!_]*.py"))
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
    mapping = isinstance(value, dict)
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise ValueError(f"is no choice; allowed: a name, or a mapping with `name`; names: {', '.join(names(folder))}")
    if value["name"] not in names(folder):
        sentence = f"is unknown{did_you_mean(value['name'], names(folder))}; allowed: {', '.join(names(folder))}"
        refuse([Mistake(("name",) if mapping else (), value["name"], sentence)])
    settings: Settings = component(folder, value["name"]).Settings.model_validate(value)
    return settings


_BEING_DESCRIBED: set[str] = set()
"""Folders whose components stand in the JSON schema that is being made."""


class Chosen:
    """Annotation of a field that holds a component of `folder` chosen by name.

    `loss: Annotated[SerializeAsAny[Settings], Chosen("imbalance.losses")]`. Validates with :func:`parse_choice`, and tells the JSON
    schema and the explanation of mistakes what may be chosen. With `or_false`, `false` may stand there too: none; with `or_none`, `none`.
    """

    def __init__(self, folder: str, or_false: bool = False, or_none: bool = False):
        self.folder = folder
        self.or_false = or_false
        self.or_none = or_none

    def listed(self) -> str:
        """What may stand there, in words."""
        return ", ".join([*(["false"] if self.or_false else []), *(["none"] if self.or_none else []), *names(self.folder)])

    def settings(self, value: Any) -> type[Settings] | None:
        """The settings class that `value` chooses, None where it chooses none."""
        name = value.get("name") if isinstance(value, dict) else value
        if name not in names(self.folder):
            return None
        chosen: type[Settings] = component(self.folder, name).Settings
        return chosen

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def parsed(value: Any) -> Any:
            off = (self.or_false and value is False) or (self.or_none and value == "none")
            return value if off else parse_choice(self.folder, value)

        return core_schema.no_info_before_validator_function(parsed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        off = [*([{"const": False}] if self.or_false else []), *([{"const": "none"}] if self.or_none else [])]
        named = {"enum": list(names(self.folder))}
        if self.folder in _BEING_DESCRIBED:  # a component that may name others of its kind
            return {"oneOf": [*off, named, {"type": "object", "required": ["name"], "properties": {"name": named}}]}
        _BEING_DESCRIBED.add(self.folder)
        try:
            every = [handler(component(self.folder, name).Settings.__pydantic_core_schema__) for name in names(self.folder)]
        finally:
            _BEING_DESCRIBED.discard(self.folder)
        return {"oneOf": [*off, named, *every]}
