"""A ranking of three candidates, made without images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from medtl.ranking.advice import Advice, Figure, Situation
from medtl.ranking.agreement import Agreement
from medtl.ranking.kept import Ranking, Scored, ordered


@pytest.fixture
def situation() -> Callable[..., Situation]:
    """Two classes with enough groups, clearly better than random weights, a source as far as ImageNet; `(changes)`."""
    usual = Situation(
        measure="AUROC", images=2000, groups=1000, rarest=("ill", 300), classes=2, pretrained=True,
        probe={"value": 0.85, "low": 0.8, "high": 0.9}, gain={"value": 0.1, "low": 0.05, "high": 0.15},
        distance=0.2, tune_minutes=10.0, most_minutes=60.0,
    )  # fmt: skip
    return lambda **changes: replace(usual, **changes)


def _scored(name: str, probe: float | None, pretrained: bool = True, **figures: Figure) -> Scored:
    empty: dict[str, Figure] = {
        score: {"value": None, "reason": "not there"} for score in ("knn", "leep", "h_score", "distance", "gain", "behind")
    }
    of_probe: Figure = {"value": probe, "low": 0.5, "high": 0.99} if probe is not None else {"value": None, "reason": "too few groups"}
    logme: Figure = {"value": -0.4, "low": None, "high": None, "reason": "no interval"}
    return Scored(
        name=name, network="resnet50", weights="a file", pretrained=pretrained,
        figures={**empty, "logme": logme, "probe": of_probe, **figures},
        features=2048, parameters=100, forward_milliseconds=10.0, step_milliseconds=40.0,
    )  # fmt: skip


@pytest.fixture
def scored() -> Callable[..., Scored]:
    """`(name, probe, pretrained=True, **figures)`: a candidate with that probe and a LogME of -0.4."""
    return _scored


@pytest.fixture
def ranking() -> Callable[..., Ranking]:
    """`(changes)`: two pretrained candidates and the reference."""

    def make(**changes: Any) -> Ranking:
        tuned = [{"tuned": {"value": value, "low": value - 0.1, "high": value + 0.1}} for value in (0.9, 0.8, 0.7)]
        parts = [("resnet50, <b>ImageNet</b>", 0.9, True), ("resnet50, lungs", 0.85, True), ("resnet50, random weights", 0.6, False)]
        candidates = [_scored(name, probe, pretrained, **own) for (name, probe, pretrained), own in zip(parts, tuned, strict=True)]
        made = Ranking(
            name="made", measure="auroc", counts={"images": 100, "scored": 100, "groups": 50}, unit="patient",
            candidates=ordered(candidates), missing=[("vgg16", "not on this machine")], best="resnet50, <b>ImageNet</b>",
            advice=Advice("linear-probe", "lp-ft", ("Few images.",)), commands=["medtl train a.yaml", "medtl train b.yaml"],
            expected_minutes=[0.5, 12.0], agreements={"probe": Agreement(1.0, 1 / 3, 3, 1 / 3)}, tuned="AUROC after 3 epochs",
            notes=["A note."],
            minutes=2.0,
        )  # fmt: skip
        return replace(made, **changes)

    return make
