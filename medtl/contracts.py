"""The words that every room shares: splits, the task, the positions of classes. No torch, no files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from medtl.errors import did_you_mean
from medtl.registry import Mistake, Settings, refuse

TRAIN, VALIDATION, CALIBRATION, TEST, EXTERNAL, EXCLUDED = "train", "validation", "calibration", "test", "external", "excluded"
SPLITS = (TRAIN, VALIDATION, CALIBRATION, TEST, EXTERNAL, EXCLUDED)
"""`calibration`: of `split.held_out`: no network has learned from it or was chosen by it; an ensemble is calibrated on it, and guarantees
are fitted on it."""
NONE = "none"
"""How it is written that an image of a task of several findings has none of them."""
FORMAT = 1
"""Version of every JSON file that medtl writes; a newer one is refused."""


def _spellings(value: Any) -> Any:
    """One spelling may stand without a list; `0` and `'0'` are the same spelling, for ids and labels are strings."""
    items = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(item, bool | dict | list | None) for item in items):
        raise ValueError("is no label; allowed: text or numbers, one or a list (true, false and null in quotes)")
    return tuple(str(item) for item in items)


Threshold = float | tuple[float, ...]
"""From which probability on it is the positive class; or of several findings per image, that each is there, in the order of the classes."""


class Task(Settings):
    """What is told apart: the classes in the order of the logits, and the source's spellings of each."""

    kind: Literal["single", "multi"] = "single"
    """`single`: one class per image (softmax over K logits; binary is K = 2). `multi`: any number of findings per image, each by itself
    (sigmoid of each logit); whether an image has one may be unknown, which then neither teaches nor judges."""
    classes: dict[str, Annotated[tuple[str, ...], BeforeValidator(_spellings)]]
    """Class name → spellings in the source's labels. The order here is the order of logits everywhere."""
    positive: str | None = None
    """Binary tasks: the class whose probability the threshold judges. Default: the second."""
    ignore: Annotated[tuple[str, ...], BeforeValidator(_spellings)] = ()
    """Labels whose images are left out on purpose (counted in the report). With `multi`, where a column joins findings by `|`: what is
    none of the task's (`No Finding`, other findings); the image stays, without it."""
    learn: Literal["classes", "spellings"] = "classes"
    """What the network learns to tell apart. `spellings`, where these are finer than the question (seven diagnoses, of which three are
    malignant): each spelling is an output of its own, and the answer of a class is the sum of its spellings' probabilities. Needs one class
    per image, and loss and sampler that leave the classes' shares as they are."""

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        refuse([*self._classes_at_fault(), *self._positive_at_fault(), *self._learn_at_fault()])
        return self

    def _classes_at_fault(self) -> Iterator[Mistake]:
        if len(self.classes) < 2:
            yield Mistake(("classes",), len(self.classes), "is too few; at least two classes are needed")
        owner: dict[str, str] = {}
        for name, spellings in self.classes.items():
            if not name or name != name.strip() or "|" in name or "," in name:
                yield Mistake(("classes", name), name, "is no class name; allowed: no '|', no ',', no spaces around")
            if self.kind == "multi" and name.startswith("no ") and name.removeprefix("no ") in self.classes:
                yield Mistake(
                    ("classes", name), name, f"is what images without '{name.removeprefix('no ')}' are called; choose another name"
                )
            if self.kind == "multi" and name == NONE:
                yield Mistake(("classes", name), name, "is what an image without any finding is called; leave it out: it is no finding")
            for spelling in spellings:
                if owner.setdefault(spelling, name) != name:
                    yield Mistake(("classes", name), spelling, f"is already a label of '{owner[spelling]}'; a label belongs to one class")
                if spelling in self.ignore:
                    yield Mistake(("classes", name), spelling, "is also under `ignore`; keep one")

    def _positive_at_fault(self) -> Iterator[Mistake]:
        if self.positive is None:
            return
        if self.kind == "multi":
            sentence = "has no meaning with several findings per image: each is judged by itself, by a threshold of its own"
            yield Mistake(("positive",), self.positive, sentence)
            return
        if self.positive not in self.classes:
            yield Mistake(
                ("positive",), self.positive, f"is no class{did_you_mean(self.positive, self.classes)}; allowed: {', '.join(self.classes)}"
            )
        if len(self.classes) > 2:
            yield Mistake(("positive",), self.positive, "has no meaning here; only a task of two classes has a positive class")

    def _learn_at_fault(self) -> Iterator[Mistake]:
        if self.learn == "spellings" and self.kind == "multi":
            yield Mistake(("learn",), self.learn, "is for one class per image; findings are learned each by itself")
        elif self.learn == "spellings" and len(self.learned) == len(self.classes):
            yield Mistake(("learn",), self.learn, "changes nothing where no class has several spellings; list them under `classes`")

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in the order of the logits."""
        return tuple(self.classes)

    @property
    def learned(self) -> tuple[str, ...]:
        """What the network's outputs stand for: the classes, or, class after class, their spellings (`learn`)."""
        return self.names if self.learn == "classes" else tuple(one for name, all_ in self.classes.items() for one in all_ or (name,))

    @property
    def outputs(self) -> tuple[int, ...]:
        """How many of :attr:`learned` belong to each class."""
        return tuple(1 if self.learn == "classes" else max(1, len(spellings)) for spellings in self.classes.values())

    @property
    def positive_index(self) -> int | None:
        """Position of the positive class, None where there are more than two classes, or several findings per image."""
        if self.kind == "multi" or len(self.classes) != 2:
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
