"""The demo's decisions: what it starts from, where it writes, and that its configs are at hand. (It is run whole by `make demo`.)"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medtl.errors import MedtlError
from medtl.experiment.load import load_experiment
from medtl.experiment.shipped import shipped_config
from medtl.flows import demo


@pytest.mark.parametrize("name", demo.CONFIGS.values())
def test_its_configs_are_shipped_and_need_no_weights(name: str) -> None:
    experiment = load_experiment(shipped_config(name))
    assert (experiment.backbone.weights, experiment.transfer.strategy) == ("none", "scratch")


@pytest.mark.parametrize("name", demo.CONFIGS.values())
def test_with_weights_it_is_transfer(name: str, tmp_path: Path) -> None:
    """The network that the weights are of takes the place of the small one."""
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"")
    weights.with_name("w.safetensors.json").write_text(json.dumps({"architecture": "resnet18"}))
    start = demo.start_from(weights)
    assert "resnet18 starts from w.safetensors" in start.sentence
    changed = load_experiment(shipped_config(name), [*start.overrides, f"backbone.weights={weights}"])
    assert (changed.backbone.name, changed.transfer.strategy) == ("resnet18", "lp-ft")


def test_without_any_weights_it_says_that_this_is_no_transfer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    start = demo.start_from(None)
    assert start.overrides == ()
    assert start.sentence.startswith("No ImageNet weights (HF_HUB_OFFLINE forbids asking the hub), so both networks learn from scratch")


def test_missing_weights_and_an_occupied_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match="there is no such file"):
        demo.start_from(tmp_path / "none.safetensors")
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(MedtlError, match="the demo overwrites nothing"):
        demo.demo(out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
