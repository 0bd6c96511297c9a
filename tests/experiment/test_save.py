"""The snapshot: complete, and loading back to an equal experiment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from medtl.experiment.load import load_experiment
from medtl.experiment.save import save_experiment, to_yaml
from medtl.experiment.schema import Experiment
from medtl.registry import component, names

Write = Callable[..., Path]
SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("**/*.yaml"))


def reloaded(experiment: Experiment) -> Experiment:
    with TemporaryDirectory() as folder:
        save_experiment(experiment, Path(folder) / "experiment.yaml")
        return load_experiment(Path(folder) / "experiment.yaml")


def test_a_snapshot_loads_back_equal_and_twice_the_same(write: Write) -> None:
    experiment = load_experiment(write())
    assert reloaded(experiment) == experiment
    assert to_yaml(reloaded(experiment)) == to_yaml(experiment)


def test_a_snapshot_is_complete_and_in_the_order_of_the_schema(write: Write) -> None:
    text = to_yaml(load_experiment(write()))
    assert text.startswith("# medtl experiment, format 1\n")
    data = yaml.safe_load(text)
    assert list(data) == list(Experiment.model_fields)
    assert data["transfer"]["rate"] == 5e-4
    assert data["imbalance"]["loss"]["name"] == "focal"
    assert "gamma" in data["imbalance"]["loss"]
    assert data["cohorts"][0]["patient"]["from"] == "filename"


@pytest.mark.parametrize("config", SHIPPED, ids=lambda config: config.stem)
def test_every_shipped_config_is_right_and_loads_back_equal(config: Path) -> None:
    experiment = load_experiment(config)
    assert reloaded(experiment) == experiment


def every_model(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from every_model(field.annotation)


def test_unset_is_always_the_default_so_that_it_may_be_left_out() -> None:
    folders = ("cohorts.sources", "imbalance.losses", "imbalance.samplers")
    models = [*every_model(Experiment), *(component(folder, name).Settings for folder in folders for name in names(folder))]
    assert len(models) > 12
    for model in models:
        for name, field in model.model_fields.items():
            if type(None) in get_args(field.annotation):
                assert field.default is None, f"{model}: {name} may be null, but its default is {field.default!r}"


WORD = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
LABEL = st.text(min_size=1, max_size=12)
SCALAR = st.booleans() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False) | WORD
SHARE = st.floats(0.01, 0.49)


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    labels = draw(st.lists(LABEL, min_size=2, max_size=8, unique=True))
    classes = draw(st.lists(WORD, min_size=2, max_size=4, unique=True))
    spellings = {name: labels[position :: len(classes)] for position, name in enumerate(classes)}
    return {
        "name": draw(WORD),
        "task": {"classes": spellings, "positive": draw(st.sampled_from(classes)) if len(classes) == 2 else None},
        "cohorts": [
            {"name": "folders", "domain": domain, "folder": draw(st.text(min_size=1)), "patient": draw(st.none() | LABEL)}
            for domain in draw(st.lists(WORD, min_size=1, max_size=3, unique=True))
        ],
        "split": {"validation": draw(SHARE), "test": draw(SHARE), "seed": draw(st.integers(0, 2**63))},
        "backbone": {
            "name": draw(st.sampled_from(["resnet50", "no", "1e3", "007"])),
            "options": draw(st.dictionaries(WORD, SCALAR, max_size=4)),
        },
        "transfer": {
            "rate": draw(st.floats(1e-12, 1e3)),
            "head_rate": draw(st.none() | st.floats(1e-12, 1e3)),
            "epochs": draw(st.integers(1, 10**9)),
        },
        "imbalance": {"loss": {"name": "focal", "gamma": draw(st.floats(0, 5))}},
        "scope": {"modality": draw(st.lists(LABEL, max_size=3)), "age": draw(st.none() | st.just([0, 0.5]))},
        "seed": draw(st.integers(0, 2**31 - 1)),
    }


@given(configs())
def test_any_experiment_loads_back_equal(data: dict[str, Any]) -> None:
    experiment = Experiment.model_validate(data)
    assert reloaded(experiment) == experiment
