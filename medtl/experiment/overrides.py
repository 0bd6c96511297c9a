"""`--set transfer.epochs=3`: single values of a config replaced from the command line."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from medtl.errors import Mistakes
from medtl.experiment import strict_yaml
from medtl.experiment.explain import dotted, locate, shown
from medtl.registry import Chosen


@dataclass(frozen=True)
class Override:
    """`text` as it was given, the path of keys it names and the value it brings."""

    text: str
    path: strict_yaml.Path
    value: Any


def weights_override(file: Path | str) -> str:
    """`--weights FILE` as the override it stands for; the path, made absolute, is quoted, for it may hold `#` or `: `."""
    return f"backbone.weights={json.dumps(str(Path(file).resolve()), ensure_ascii=False)}"


def apply_overrides(data: dict[str, Any], texts: Sequence[str], model: type[BaseModel]) -> tuple[dict[str, Any], list[Override]]:
    """A copy of `data` with every override in it; whether keys exist is left to the validation that follows.

    Raises :class:`Mistakes` with everything that cannot be applied.
    """
    result = copy.deepcopy(data)
    applied: list[Override] = []
    mistakes: list[str] = []
    for text in texts:
        try:
            override = _parse(text)
            if any(override.path == other.path for other in applied):
                raise ValueError(f"{dotted(override.path)} is set twice; keep one")
            _put(result, override, model)
            applied.append(override)
        except Mistakes as refusal:
            mistakes += refusal.mistakes
        except ValueError as refusal:
            mistakes.append(f"--set {text}: {refusal}")
    if mistakes:
        raise Mistakes("--set cannot be applied:", mistakes)
    return result, applied


def _parse(text: str) -> Override:
    key, equals, value = text.partition("=")
    steps = tuple(int(step) if step.isdecimal() else step for step in key.strip().replace("[", ".").replace("]", "").split("."))
    if not equals or "" in steps:
        raise ValueError("is no `key=value`, such as transfer.epochs=3 or cohorts.0.folder=images")
    if not value.strip():
        raise ValueError("has no value after '='; write null for none, '' for an empty text")
    return Override(text, steps, strict_yaml.parse_value(value, f"--set {text}"))


def _put(data: Any, override: Override, model: type[BaseModel]) -> None:
    """Set the value in place, making mappings on the way where the config left them out."""
    steps = override.path
    for depth, step in enumerate(steps):
        if depth == 1 and steps[:2] == ("cohorts", 0) and isinstance(data, dict):
            continue  # one cohort may stand without a list
        key = _key(data, step, steps[:depth])
        if depth == len(steps) - 1:
            data[key] = override.value
            return
        inside = data.get(key) if isinstance(data, dict) else data[key]
        if inside is None:
            inside = {}
        elif isinstance(inside, str) and any(isinstance(limit, Chosen) for limit in locate(model, steps[: depth + 1], None).limits):
            inside = {"name": inside}  # `loss: focal` becomes a mapping that can take `gamma`
        data[key] = inside
        data = inside


def _key(data: Any, step: str | int, above: strict_yaml.Path) -> Any:
    """`step` as the mapping or list at `above` takes it."""
    if isinstance(data, dict):
        return str(step)
    if not isinstance(data, list):
        raise ValueError(f"{dotted(above)} is no mapping; it holds {shown(data)}")
    if not isinstance(step, int) or step >= len(data):
        raise ValueError(f"{dotted(above)} is a list; allowed: a position from 0 to {len(data) - 1}")
    return step
