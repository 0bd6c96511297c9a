"""The space of a search: which settings are varied, between what, and how a proposal becomes overrides of the base."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError, model_validator

from medtl.errors import Mistakes, did_you_mean
from medtl.experiment import strict_yaml
from medtl.experiment.explain import Place, allowed, dotted, explain, field_names, locate, shown
from medtl.experiment.schema import Experiment
from medtl.registry import Mistake, Settings, refuse

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

DIGITS = 4
"""Significant ones of a proposed number: more would be noise in every table."""


class Range(Settings):
    """Numbers from `low` to `high`, both included; whole ones where the setting is a whole number."""

    low: float
    high: float
    log: bool = False
    """Even in logarithms: for rates and penalties."""
    step: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if not self.low < self.high:
            raise ValueError("`low` must be less than `high`")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("`log` needs a `low` above 0, and no `step`")
        if self.step is not None and not _whole((self.high - self.low) / self.step):
            raise ValueError("`high` must lie whole steps above `low`")
        return self


def _whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-8


Choices = tuple[Any, ...]


def _candidates(value: Any) -> Range | Choices:
    """A mapping is a range, a list holds the values themselves."""
    if isinstance(value, Range | tuple):
        return value
    if isinstance(value, dict):
        try:
            return Range.model_validate(value)
        except ValidationError as error:
            sentences = [f"{dotted(each.path)}: {each.sentence}".removeprefix(": ") for each in explain(error, Range, value)]
        refuse([Mistake((), None, "; ".join(sentences))])
    if not isinstance(value, list) or len({json.dumps(each) for each in value}) < max(2, len(value)):
        raise ValueError("is nothing to choose from; allowed: {low, high}, perhaps with log: true or step, or a list of different values")
    return tuple(value)


class SearchSettings(Settings):
    """Settings that are tried, so many times, each time where the trials before promise most (tree-structured Parzen estimator)."""

    space: Annotated[dict[str, Annotated[Any, BeforeValidator(_candidates)]], Field(min_length=1)]
    """`transfer.rate: {low: 1e-5, high: 1e-2, log: true}` or `imbalance.loss: [cross-entropy, focal]`."""
    trials: Annotated[int, Field(ge=2)] = 30
    """The base among them, which is the first."""
    pruner: Literal["median", "hyperband", "none"] = "median"
    """Ends trials that fall behind. `median`: below the median of the others at the same epoch, after a third of all epochs.
    `hyperband`: Li et al., JMLR 2018."""
    nested: Annotated[int, Field(ge=2, le=20)] | None = None
    """A search of its own in each of so many folds, without the fold's images, which then judge what it has found: what searching and
    training are worth together."""


@dataclass(frozen=True)
class Dimension:
    """One searched setting."""

    key: str
    candidates: Range | Choices
    whole: bool = False

    def distribution(self) -> BaseDistribution:
        """As Optuna knows it; choices are their JSON texts, for they may be mappings."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if not isinstance(self.candidates, Range):
            return CategoricalDistribution([json.dumps(each) for each in self.candidates])
        low, high, log, step = self.candidates.low, self.candidates.high, self.candidates.log, self.candidates.step
        if self.whole:
            return IntDistribution(int(low), int(high), log, int(step or 1))
        return FloatDistribution(low, high, log, step)

    def value(self, proposed: Any) -> Any:
        """The setting's value that a parameter of Optuna stands for."""
        if not isinstance(self.candidates, Range):
            return json.loads(proposed)
        if self.whole:
            return int(proposed)
        return min(self.candidates.high, max(self.candidates.low, float(f"{proposed:.{DIGITS}g}")))

    def parameter(self, value: Any) -> Any:
        """The parameter of Optuna that stands for a value: the reverse of :meth:`value`."""
        return value if isinstance(self.candidates, Range) else json.dumps(value)

    def ends(self) -> Choices:
        """The values between which, or out of which, all proposals are."""
        if not isinstance(self.candidates, Range):
            return self.candidates
        return tuple(int(end) if self.whole else end for end in (self.candidates.low, self.candidates.high))


def overrides_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Values as the overrides that they stand for."""
    return tuple(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items())


def dimensions(space: Mapping[str, Range | Choices], base: Experiment, file: Path) -> list[Dimension]:
    """The space as it fits the base. Raises Mistakes, with the lines of `file`, where a setting does not exist or cannot take a value."""
    data = base.model_dump(mode="json", by_alias=True)
    found: list[Dimension] = []
    mistakes = []
    lines = strict_yaml.parse(file.read_text(encoding="utf-8-sig"), str(file)).lines
    for key, candidates in space.items():
        place = _place(key, data)
        dimension = Dimension(key, candidates, whole=place.kind is int)
        found.append(dimension)
        line = lines.get(("search", "space", key), 1)
        mistakes += [f"{file}:{line}: search.space.{key}: {sentence}" for sentence in _wrong(dimension, place, data)]
    if mistakes:
        raise Mistakes(f"{file}: {'1 mistake' if len(mistakes) == 1 else f'{len(mistakes)} mistakes'}:", mistakes)
    return found


def _place(key: str, data: Any) -> Place:
    return locate(Experiment, key.split("."), data)


def _wrong(dimension: Dimension, place: Place, data: Any) -> list[str]:
    """What is wrong with one setting's candidates, each alone: what they do together shows in the trials."""
    *above, last = dimension.key.split(".")
    if place.kind is None:
        parent = _place(".".join(above), data).kind if above else Experiment
        names = field_names(parent) if isinstance(parent, type) and issubclass(parent, BaseModel) else ()
        return [f"is unknown{did_you_mean(last, names)}; it is no setting of the base"]
    limits = dimension.candidates
    if isinstance(limits, Range):
        if place.kind not in (int, float):
            return [f"has no low and high; give a list of values; allowed: {allowed(place)}"]
        numbers = [limits.low, limits.high, limits.step or 1]
        if dimension.whole and any(not number.is_integer() for number in map(float, numbers)):
            return ["is a whole number; so are `low`, `high` and `step`"]
    return [
        f"{shown(value)} is not allowed; allowed: {allowed(place)}"
        for value in dimension.ends()
        if not (_possible(value, place) if value is not None else _may_be_unset(dimension.key, data))
    ]


def _may_be_unset(key: str, data: Any) -> bool:
    *above, last = key.split(".")
    parent = _place(".".join(above), data).kind if above else Experiment
    return field_names(parent)[last].default is None


def _possible(value: Any, place: Place) -> bool:
    try:
        _read(value, place)
    except ValidationError:
        return False
    return True


def _read(value: Any, place: Place) -> Any:
    """A value as it stands in an experiment that was written out. Raises ValidationError where it cannot stand there."""
    kind: Any = Annotated[(place.kind, *place.limits)] if place.limits else place.kind
    read = TypeAdapter(kind).validate_python(value)
    return json.loads(json.dumps(read.model_dump(mode="json", by_alias=True) if isinstance(read, BaseModel) else read))


def values_in(base: Experiment, space: Sequence[Dimension]) -> dict[str, Any] | None:
    """The searched settings of an experiment; None where one of them lies outside of the space."""
    data = base.model_dump(mode="json", by_alias=True)
    values = {}
    for dimension in space:
        inside: Any = data
        for step in dimension.key.split("."):
            inside = inside.get(step) if isinstance(inside, dict) else None
        limits, place = dimension.candidates, _place(dimension.key, data)
        if isinstance(limits, Range):
            fitting = [inside] if isinstance(inside, int | float) and _holds(limits, inside) else []
        else:
            fitting = [choice for choice in limits if (None if choice is None else _read(choice, place)) == inside]
        if not fitting:
            return None
        values[dimension.key] = fitting[0]
    return values


def _holds(limits: Range, value: float) -> bool:
    return limits.low <= value <= limits.high and (limits.step is None or _whole((value - limits.low) / limits.step))
