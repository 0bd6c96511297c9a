"""The study file: what is varied around one config, and how the trials are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, model_validator

from medtl.experiment.load import load_settings
from medtl.registry import Chosen, Mistake, Settings, refuse

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _overrides(value: object) -> object:
    """`transfer.epochs=3` may stand without a list."""
    return (value,) if isinstance(value, str) else value


OF_THE_GRID = {"seed": "seeds", "split.fraction": "fractions"}
OF_THE_JUDGE = ("task", "cohorts", "scope", "keep", "split")
"""What decides which images are judged, and what is right: the same for all arms."""


def _assignments(texts: tuple[str, ...]) -> tuple[str, ...]:
    refuse([Mistake((place,), text, "is no `key=value`") for place, text in enumerate(texts) if "=" not in text])
    refuse(
        [
            Mistake((place,), text, f"is varied by the study itself; name it under `{OF_THE_GRID[key_of(text)]}`")
            for place, text in enumerate(texts)
            if key_of(text) in OF_THE_GRID
        ]
    )
    return texts


def key_of(override: str) -> str:
    """`split.fraction` of `split.fraction=0.5`."""
    return override.partition("=")[0].strip()


Overrides = Annotated[tuple[str, ...], BeforeValidator(_overrides), AfterValidator(_assignments)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class StudySettings(Settings):
    """Every arm is trained with every fraction of the labels and every seed: equal trials for all."""

    name: Annotated[str, Field(pattern=NAME)]
    """letters, digits, '.', '_' and '-', at most 100, for it names the study's folder"""
    base: str
    """The config that is varied; relative to the study file."""
    set: Overrides = ()
    """Settings that differ from the base in all trials: [image.size=128, transfer.epochs=8]."""
    arms: Annotated[dict[Annotated[str, Field(pattern=NAME)], Overrides], Field(min_length=1)]
    """What is compared: a name, and the settings that make it, such as `scratch: [transfer.strategy=scratch]`."""
    fractions: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (1.0,)
    """Shares of the labels (train and validation together) to train with, drawn by group; a smaller one is part of a larger one."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...], Field(min_length=1)] = (0,)
    """Each draws other fractions, another initial head, another order of images."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """No trial is begun after so many minutes of this command; the same command goes on later. Default: no limit."""
    reading: Annotated[SerializeAsAny[Settings], Chosen("study.readings")]
    """How the trials are read: `ledger`: what transfer was worth; `bake-off`: which arm serves the worst class best;
    `folds`: every fold, their mean, and all of them pooled."""

    @model_validator(mode="after")
    def _once(self) -> StudySettings:
        refuse([Mistake((key,), None, "names one value twice; keep one") for key in ("fractions", "seeds") if _repeats(getattr(self, key))])
        refuse(
            [
                Mistake(("arms", arm, place), text, "changes which images are judged, so arms could not be compared; put it under `set`")
                for arm, texts in self.arms.items()
                for place, text in enumerate(texts)
                if key_of(text).partition(".")[0] in OF_THE_JUDGE
            ]
        )
        arms = list(self.arms)
        mistakes = getattr(self.reading, "unfit", lambda arms: [])(arms)
        refuse([Mistake(("reading", *mistake.path), mistake.value, mistake.sentence) for mistake in mistakes])
        return self


def _repeats(values: tuple[float, ...]) -> bool:
    return len({*values}) < len(values)


def load_study(path: Path) -> StudySettings:
    """Read a study file; raises Mistakes with every mistake and its line."""
    return load_settings(path, StudySettings)
