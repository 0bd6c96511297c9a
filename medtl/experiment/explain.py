"""Pydantic's complaints as sentences for people: where in the config, what was given, what is allowed, what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from medtl.errors import did_you_mean, listed
from medtl.experiment.strict_yaml import Path
from medtl.registry import Chosen


@dataclass(frozen=True)
class Explained:
    """One mistake: the path of keys, and the sentence that follows `dotted(path): `."""

    path: Path
    sentence: str
    missing: bool = False
    """The key itself is absent, so that only the mapping around it has a line."""


@dataclass(frozen=True)
class Place:
    """What the schema says about one path of a config."""

    path: Path
    """As far as it names keys; pydantic's own steps (members of a union) are cut off."""
    kind: Any
    """The type there, without `Annotated` and `| None`; None where the schema knows no such key."""
    limits: tuple[Any, ...] = ()
    description: str = ""


def dotted(path: Iterable[str | int]) -> str:
    """`("cohorts", 0, "folder")` → `cohorts[0].folder`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def explain(error: ValidationError, model: type[BaseModel], data: Any) -> list[Explained]:
    """Every mistake in `error`, which arose from validating `data` as `model`; one per path and sentence."""
    found: dict[tuple[Path, str], Explained] = {}
    for detail in error.errors(include_url=False):
        place = locate(model, detail["loc"], data)
        if detail["type"] == "missing" and detail["loc"] and isinstance(detail["loc"][-1], int):
            parent = locate(model, detail["loc"][:-1], data)
            explained = Explained(parent.path, f"{shown(detail['input'])} is too short; allowed: {allowed(parent)}")
        elif detail["type"] == "missing":
            explained = Explained(place.path, f"is missing; allowed: {allowed(place)}", missing=True)
        elif detail["type"] == "extra_forbidden":
            explained = Explained(tuple(detail["loc"]), f"is unknown{_instead(model, detail['loc'], data)}")
        else:
            explained = Explained(place.path, _sentence(detail, place))
        found.setdefault((explained.path, explained.sentence), explained)
    return list(found.values())


def shown(value: Any) -> str:
    """A given value as in YAML, cut to a glance."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | BaseModel):
        return "a mapping"
    if isinstance(value, list | tuple):
        text = f"[{', '.join(shown(item) for item in value)}]"
    else:
        text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def locate(model: type[BaseModel], steps: Iterable[Any], data: Any) -> Place:
    """Follow `steps` through the schema; `data` says which components were chosen by name on the way."""
    place = Place((), model)
    for step in steps:
        place, inner = _step(place, step, data)
        if place.kind is None or not inner:
            break
        data = _child(data, step)
        place = _unwrap(place, data)
    return place


def field_names(model: type[BaseModel]) -> dict[str, Any]:
    """A model's keys as a config spells them → its fields."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def allowed(place: Place) -> str:
    """What may stand at a place, in words."""
    kind, origin = place.kind, get_origin(place.kind)
    for limit in place.limits:
        if isinstance(limit, Chosen):
            return limit.listed()
    if origin is Literal:
        return listed(get_args(kind))
    if origin in (Union, UnionType):
        return " or ".join(allowed(Place((), member)) for member in get_args(kind))
    if kind in (int, float):
        return _range(place.limits) or ("a whole number" if kind is int else "a number")
    if kind is bool:
        return "true or false"
    if kind is str:
        return place.description or "text"
    if origin is tuple:
        members = get_args(kind)
        return "a list" if members[-1] is Ellipsis else f"a list of {len(members)}"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"a mapping of {listed(field_names(kind))}"
    return "a mapping" if origin is dict else "another value"


def _step(place: Place, step: Any, data: Any) -> tuple[Place, bool]:
    """One step down; False where `step` is pydantic's own and not a key."""
    kind, path = place.kind, (*place.path, step)
    for limit in place.limits:
        if isinstance(limit, Chosen):
            if step == "name":  # also of a component that there is not
                return Place(path, str, (limit,)), True
            kind = limit.settings(data) or kind
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = field_names(kind).get(step) or kind.model_fields.get(step)
        if field is None:
            return Place(path, None), True
        return Place(path, field.annotation, tuple(field.metadata), field.description or ""), True
    if get_origin(kind) is tuple and isinstance(step, int):
        members = [member for member in get_args(kind) if member is not Ellipsis]
        return Place(path, members[min(step, len(members) - 1)]), True
    if get_origin(kind) is dict and step != "[key]":
        return Place(path, get_args(kind)[1]), True
    return place, False


def _unwrap(place: Place, data: Any) -> Place:
    """Strip `Annotated` (keeping its limits) and `| None`."""
    kind, limits = place.kind, list(place.limits)
    while True:
        if get_origin(kind) is Annotated:
            kind, *more = get_args(kind)
            limits += [limit for item in more for limit in (item.metadata if isinstance(item, FieldInfo) else [item])]
        elif get_origin(kind) in (Union, UnionType) and len(rest := [member for member in get_args(kind) if member is not type(None)]) == 1:
            kind = rest[0]
        else:
            return Place(place.path, kind, tuple(limits), place.description)


def _child(data: Any, step: Any) -> Any:
    try:
        return data[step]
    except (KeyError, IndexError, TypeError):
        return data if step == 0 and isinstance(data, dict) else None  # one cohort may stand without a list


def _instead(model: type[BaseModel], steps: tuple[Any, ...], data: Any) -> str:
    """For an unknown key: the near one and all there are, of the very model that refused it."""
    parent = locate(model, steps[:-1], data)
    kind = parent.kind
    for limit in parent.limits:
        if isinstance(limit, Chosen):
            inside = data
            for step in steps[:-1]:
                inside = _child(inside, step)
            kind = limit.settings(inside) or kind
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return ""
    names = field_names(kind)
    return f"{did_you_mean(str(steps[-1]), names)}; allowed: {listed(names, most=30)}"


def _range(limits: Iterable[Any]) -> str:
    """`≥ 1`, `> 0 and < 1`."""
    signs = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
    return " and ".join(
        f"{sign} {getattr(limit, name)}" for limit in limits for name, sign in signs if getattr(limit, name, None) is not None
    )


_NO = {
    "int_type": "is no whole number",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "int_parsing_size": "is too long a number",
    "float_type": "is no number",
    "float_parsing": "is no number",
    "finite_number": "is no finite number",
    "bool_type": "is neither true nor false",
    "bool_parsing": "is neither true nor false",
    "string_type": "is no text",
    "tuple_type": "is no list",
    "list_type": "is no list",
    "dict_type": "is no mapping",
    "model_type": "is no mapping",
    "model_attributes_type": "is no mapping",
    "greater_than": "is too small",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
    "less_than_equal": "is too large",
    "too_long": "is too long",
    "too_short": "is too short",
    "literal_error": "is not allowed",
    "string_pattern_mismatch": "is not allowed",
}


def _sentence(detail: Any, place: Place) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "mistake":
        sentence = str(detail["ctx"]["sentence"])
        return sentence if value is None else f"{shown(value)} {sentence}"
    if value is None:
        return f"has no value; allowed: {allowed(place)}"
    if kind in ("value_error", "assertion_error"):
        sentence = str(detail["ctx"]["error"])
        sentence = sentence.removeprefix(f"{place.path[-1]}: ") if place.path else sentence
        return sentence if isinstance(value, Mapping | BaseModel) else f"{shown(value)} {sentence}"
    if get_origin(place.kind) in (Union, UnionType):
        return f"{shown(value)} is not allowed; allowed: {allowed(place)}"
    if kind == "string_type" and isinstance(value, int | float):
        return f"{shown(value)} is no text; put it in quotes"
    guess = did_you_mean(str(value), map(str, get_args(place.kind))) if kind == "literal_error" else ""
    return f"{shown(value)} {_NO.get(kind, 'is not allowed')}{guess}; allowed: {allowed(place)}"
