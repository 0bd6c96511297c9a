"""Runs made to order, as the report's tests make them, with the settings of a training."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medtl.experiment.schema import Experiment

_SPEC = importlib.util.spec_from_file_location("report_fixtures", Path(__file__).parents[1] / "report" / "conftest.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_REPORT = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_REPORT)
make_table, make_contents = _REPORT.make_table, _REPORT.make_contents

MakeSettings = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def make_settings() -> MakeSettings:
    """`make_settings(transfer={…}, imbalance={…})`: a resolved experiment as a report gets it."""

    def make(**parts: Any) -> dict[str, Any]:
        given = {"name": "x", "task": {"classes": {"well": [], "ill": []}}, "cohorts": [{"name": "folders", "domain": "north"}], **parts}
        return Experiment.model_validate(given).model_dump(mode="json")

    return make


@pytest.fixture(scope="session")
def package_of() -> Callable[..., dict[str, Any]]:
    """`package_of(names)`: what is read of model.json."""
    return _REPORT.package_of
