"""The study file: what is varied around one config (arms, or a search), and how the trials are read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, model_validator

from medtl.experiment.load import load_settings
from medtl.registry import Chosen, Mistake, Settings, refuse
from medtl.study.space import SearchSettings

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


def _overrides(value: object) -> object:
    """`transfer.epochs=3` may stand without a list."""
    return (value,) if isinstance(value, str) else value


OF_THE_GRID = {"seed": "seeds", "split.fraction": "fractions"}
OF_THE_JUDGE = ("task", "cohorts", "scope", "keep", "split")
"""What decides which images are judged, and what is right: the same for all arms."""
OF_THE_MACHINE = ("name", "trainer", "tracking", "audit")
"""What does not change what is learned, so that there is nothing to search."""


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
    arms: dict[Annotated[str, Field(pattern=NAME)], Overrides] = Field(default_factory=dict)
    """What is compared: a name, and the settings that make it, such as `scratch: [transfer.strategy=scratch]`."""
    search: SearchSettings | None = None
    """In place of arms: settings that are searched for, by validation."""
    fractions: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (1.0,)
    """Shares of the labels (train and validation together) to train with, drawn by group; a smaller one is part of a larger one."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=2**31 - 1)], ...], Field(min_length=1)] = (0,)
    """Each draws other fractions, another initial head, another order of images."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """No trial is begun after so many minutes of this command; the same command goes on later. Default: no limit."""
    reading: Annotated[SerializeAsAny[Settings], Chosen("study.readings")]
    """How the trials are read: `ledger`: what transfer was worth; `bake-off`: which arm serves the worst class best; `folds`: every
    fold, their mean, and all of them pooled; `adaptation`: what each method brings on the target's patients; `search`: what was found, and
    what it is worth on test (the default of a search)."""

    @model_validator(mode="before")
    @classmethod
    def _read_as_search(cls, data: Any) -> Any:
        return {"reading": "search", **data} if isinstance(data, dict) and "search" in data else data

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
        refuse(list(self._unfit_search()))
        arms = list(self.arms)
        mistakes = getattr(self.reading, "unfit", lambda arms: [])(arms)
        refuse([Mistake(("reading", *mistake.path), mistake.value, mistake.sentence) for mistake in mistakes])
        return self

    def _unfit_search(self) -> Iterator[Mistake]:
        if (self.search is None) == (not self.arms):
            yield Mistake(
                ("search" if self.search else "arms",), None, "either `arms` are compared or a `search` is made: name one of them"
            )
        if (self.search is None) == (self.reading.name == "search"):  # type: ignore[attr-defined]
            readings = "`reading: search`" if self.search else "another one than `search`"
            yield Mistake(("reading",), None, f"does not read this kind of study; choose {readings}")
        if self.search is None:
            return
        if len(self.fractions) > 1:
            yield Mistake(("fractions",), self.fractions, "are several; a search is made with one")
        given = {key_of(text) for text in self.set}
        for key in self.search.space:
            sentence = _unsearchable(key, given)
            if sentence:
                yield Mistake(("search", "space", key), None, sentence)


def _unsearchable(key: str, given: set[str]) -> str:
    """Why a setting cannot be searched, whatever the base; empty where it can."""
    part = key.partition(".")[0]
    if key in OF_THE_GRID:
        return f"is varied by the study itself; name it under `{OF_THE_GRID[key]}`"
    if part in OF_THE_JUDGE:
        return "changes which images are judged, so trials could not be compared; put it under `set`"
    if part in OF_THE_MACHINE:
        return "does not change what is learned; put it under `set`"
    if key == "transfer.monitor":
        return "is what the search goes by; put it under `set`"
    return "also stands under `set`; keep one" if key in given else ""


def _repeats(values: tuple[float, ...]) -> bool:
    return len({*values}) < len(values)


def load_study(path: Path) -> StudySettings:
    """Read a study file; raises Mistakes with every mistake and its line."""
    return load_settings(path, StudySettings)
