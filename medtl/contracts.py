"""The words that every room shares: splits, the task, the positions of classes. No torch, no files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from medtl.errors import did_you_mean
from medtl.registry import Settings

TRAIN, VALIDATION, TEST, EXTERNAL, EXCLUDED = "train", "validation", "test", "external", "excluded"
SPLITS = (TRAIN, VALIDATION, TEST, EXTERNAL, EXCLUDED)
FORMAT = 1
"""Version of every JSON file that medtl writes; a newer one is refused."""


def _spellings(value: Any) -> Any:
    """One spelling may stand without a list; `0` and `'0'` are the same spelling, for ids and labels are strings."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(str(item) for item in items)


class Task(Settings):
    """What is told apart: the classes in the order of the logits, and the source's spellings of each."""

    kind: Literal["single"] = "single"
    """`single`: one class per image (softmax over K logits; binary is K = 2)."""
    classes: dict[str, Annotated[tuple[str, ...], BeforeValidator(_spellings)]]
    """Class name → spellings in the source's labels. The order here is the order of logits everywhere."""
    positive: str | None = None
    """Binary tasks: the class whose probability the threshold judges. Default: the second."""
    ignore: Annotated[tuple[str, ...], BeforeValidator(_spellings)] = ()
    """Labels whose images are left out on purpose (counted in the report)."""

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if len(self.classes) < 2:
            raise ValueError("classes: at least two are needed")
        seen: dict[str, str] = {}
        for name, spellings in self.classes.items():
            if not name or name != name.strip() or "|" in name or "," in name:
                raise ValueError(f"classes: '{name}' is no class name (not empty, no '|' or ',', no spaces around)")
            for spelling in spellings:
                if spelling in seen:
                    raise ValueError(f"classes: the label '{spelling}' belongs to both '{seen[spelling]}' and '{name}'")
                if spelling in self.ignore:
                    raise ValueError(f"classes: the label '{spelling}' of '{name}' is also ignored")
                seen[spelling] = name
        if self.positive is not None and self.positive not in self.classes:
            raise ValueError(f"positive: '{self.positive}' is no class{did_you_mean(self.positive, self.classes)}; classes: {', '.join(self.classes)}")
        if self.positive is not None and len(self.classes) != 2:
            raise ValueError("positive: only a task of two classes has a positive class")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return tuple(self.classes)

    @property
    def positive_index(self) -> int | None:
        """Position of the positive class, None where there are more than two classes."""
        if len(self.classes) != 2:
            return None
        return self.names.index(self.positive) if self.positive else 1

    def class_of(self) -> dict[str, str]:
        """Spelling → class name; a class's own name is one of its spellings unless another class or `ignore` claims it."""
        claimed = {spelling: name for name, spellings in self.classes.items() for spelling in spellings}
        for name in self.classes:
            if name not in self.ignore:
                claimed.setdefault(name, name)
        return claimed


Fraction = Annotated[float, Field(ge=0, lt=1)]
