"""`medtl rank` on made images: who is compared, on what, and what comes of it."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn.modules.batchnorm import _BatchNorm

import medtl
from medtl.backbones import BackboneSettings
from medtl.backbones.network import build_network
from medtl.cli import main
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.splitting import make_records
from medtl.errors import MedtlError
from medtl.experiment.load import load_experiment
from medtl.flows import rank_evidence
from medtl.flows.rank import Ranked
from medtl.flows.rank_candidates import FIELD, Candidate, gather
from medtl.flows.rank_tuning import command, starting_from
from medtl.imaging.cache import cache_dir
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import Store, open_store
from medtl.ranking.distance import distance
from medtl.records import KEY

CONFIG = """
name: made
task: {classes: {bright: [bright], dark: [dark]}, positive: dark}
cohorts: [{name: folders, patient: {from: filename, pattern: '(p\\d+)_'}}]
split: {seed: 1, test: 0.3, validation: 0.3}
image: {size: 32}
backbone: {name: test_resnet, weights: a.safetensors}
transfer: {strategy: lp-ft, epochs: 9, batch: 8}
trainer: {threads: 1}
"""
TASK_BY_SPELLINGS = "{classes: {bright: [day], dark: [night, dusk]}, positive: dark, learn: spellings}"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 images of 30 patients, half of them darker; two weights files of a small network, one with its sidecar; the config."""
    place = tmp_path_factory.mktemp("rank")
    for i in range(60):
        kind = "dark" if i % 2 else "bright"
        pixels = np.random.default_rng(i).integers(0, 200, (36, 40), dtype=np.uint8) + np.uint8(0 if i % 2 else 50)
        (place / "images" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / "images" / kind / f"p{i // 2:02d}_{i}.png")
    for seed, name in enumerate("ab"):
        torch.manual_seed(seed)
        save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), place / "images" / f"{name}.safetensors")
    (place / "images" / "b.safetensors.json").write_text('{"architecture": "test_resnet", "library": "timm"}')
    (place / "made.yaml").write_text(CONFIG)
    return place


@pytest.fixture(scope="module")
def ranked(place: Path) -> tuple[Ranked, list[set[str]]]:
    """A ranking with the true one, and the images that features were asked of."""
    asked: list[set[str]] = []

    def noted(network: Any, store: Store, positions: Any, *rest: Any) -> Any:
        asked.append(set(store.measurements["image"].iloc[positions]))
        return real(network, store, positions, *rest)

    real = rank_evidence.features_of
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rank_evidence, "features_of", noted)
        found = medtl.rank(place / "made.yaml", place / "images", weights_folder=place / "images", epochs=1, out=place / "out")
    return found, asked


def test_candidates_are_scored_on_training_and_validation_images_only(ranked: tuple[Ranked, list[set[str]]]) -> None:
    found, asked = ranked
    records = pd.read_csv(found.folder / "records.csv")
    test = set(records.loc[records["split"] == "test", "image"])
    assert test
    assert len(asked) == 3
    assert all(images == set(records["image"]) - test for images in asked)
    groups, used = 30 - len(test) // 2, 60 - len(test)
    counts = {"images": used, "scored": used, "groups": groups, "groups of bright": groups, "groups of dark": groups}
    assert found.ranking.counts == counts


def test_every_score_is_there(ranked: tuple[Ranked, list[set[str]]]) -> None:
    candidates = {each.name: each for each in ranked[0].ranking.candidates}
    assert set(candidates) == {"test_resnet, a", "test_resnet, b", "test_resnet, random weights"}
    for name, each in candidates.items():
        lacking = {score for score, figure in each.figures.items() if figure["value"] is None}
        if name.endswith("random weights"):
            assert lacking >= {"leep", "distance", "gain"}
            assert not each.pretrained
        else:
            assert lacking <= {"behind"}
            assert 0 < each.figures["distance"]["value"] < 1
            assert each.figures["leep"]["value"] < 0
        assert each.figures["probe"]["value"] > 0.9, "brightness is easily told"
        assert each.forward_milliseconds > 0
        assert each.step_milliseconds > each.forward_milliseconds
    assert [name for name, _ in ranked[0].ranking.missing] == list(FIELD)


def test_the_true_ranking(ranked: tuple[Ranked, list[set[str]]]) -> None:
    found = ranked[0]
    ranking = found.ranking
    assert ranking.tuned == "AUROC on validation after 1 epochs of lp-ft (random weights: scratch), one run each"
    runs = [medtl.load_run(found.folder / "tuned" / f"{i:02d}") for i in (1, 2, 3)]
    assert [run.experiment.transfer.strategy for run in runs] == ["lp-ft", "lp-ft", "scratch"]
    assert all(run.experiment.transfer.epochs == 1 for run in runs)
    own = {each.name: each.figures["tuned"] for each in ranking.candidates}
    assert own["test_resnet, b"] == runs[1].metrics()["splits"]["validation"]["auroc"]
    assert set(runs[0].metrics()["splits"]) == {"validation"}
    records = [pd.read_csv(folder / "records.csv") for folder in (found.folder, runs[0].folder)]
    pd.testing.assert_frame_equal(*records)


def test_what_is_written(ranked: tuple[Ranked, list[set[str]]], place: Path) -> None:
    found = ranked[0]
    content = json.loads((found.folder / "rank.json").read_text(), parse_constant=pytest.fail)
    assert content["format"] == 1
    assert len(pd.read_csv(found.folder / "rank.csv")) == 3
    assert (found.folder / "rank.html").stat().st_size > 10_000
    first = found.ranking.commands[0]
    assert first.startswith(f"medtl train {place / 'made.yaml'} --data {place / 'images'} --weights {place / 'images'}/")
    assert f"--set transfer.strategy={found.ranking.advice.strategy}" in first
    with pytest.raises(MedtlError, match="is not empty"):
        medtl.rank(place / "made.yaml", place / "images", out=found.folder)


def test_a_model_that_knows_these_images_is_not_compared(make_run: Callable[..., Path], data: Path, tmp_path: Path) -> None:
    run = make_run()
    config = shutil.copy(run / "experiment.yaml", tmp_path / "again.yaml")
    found = medtl.rank(config, data, overrides=["trainer.threads=1"], candidates=[str(run)], out=tmp_path / "out")
    ((name, reason),) = found.ranking.missing
    assert name == "test_resnet, made"
    assert "has learned from" in reason
    assert [each.name for each in found.ranking.candidates] == ["test_resnet, random weights"]
    assert found.ranking.advice.strategy == "scratch"
    assert len(found.ranking.commands) == 1


def test_folds_become_one_split_without_the_first_fold(place: Path, tmp_path: Path) -> None:
    data, folds = place / "images", ["split.folds=3"]
    medtl.rank(place / "made.yaml", data, overrides=folds, candidates=[f"test_resnet={data / 'b.safetensors'}"], out=tmp_path / "out")
    ours = pd.read_csv(tmp_path / "out" / "records.csv")
    experiment = load_experiment(place / "made.yaml", folds)
    table = read_cohorts(experiment, data).table
    records = make_records(table, open_store(table[KEY], data, experiment.image, cache_dir()).measurements, experiment, data)
    assert set(ours.loc[ours["split"] == "test", "image"]) == set(records.loc[records["fold"] == "0", "image"])


def test_statistics_are_those_of_what_reaches_the_batch_norms(place: Path) -> None:
    """By hand for the first; and where every batch norm is set to what it is given, nothing is far any more."""
    data, settings = place / "images", ImageSettings(size=32)
    network = build_network(BackboneSettings(name="test_resnet", weights="none"), settings, Path())
    images = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    store = open_store(pd.DataFrame({"image": images, "frame": 0}), data, settings, cache_dir())
    positions = np.arange(len(images))
    layers = rank_evidence.batch_norm_statistics(network, store, positions)
    with torch.no_grad():
        pixels = torch.from_numpy(store.read(positions)).permute(0, 3, 1, 2) / 255
        given = network.backbone.conv1[0]((pixels - network.mean) / network.std)
    np.testing.assert_allclose(layers[0].target_mean, given.mean((0, 2, 3)).numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(layers[0].target_variance, given.var((0, 2, 3), correction=0).numpy(), rtol=1e-3)
    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    far = distance(layers)
    for _ in norms:  # a layer's input changes once those below it are set right
        for layer, measured in zip(norms, rank_evidence.batch_norm_statistics(network, store, positions), strict=True):
            layer.running_mean = torch.tensor(measured.target_mean, dtype=torch.float32)
            layer.running_var = torch.tensor(measured.target_variance, dtype=torch.float32)
    near = distance(rank_evidence.batch_norm_statistics(network, store, positions))
    assert far is not None
    assert near is not None
    assert near < 1e-3 < 0.1 < far


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("resnet5", "no network 'resnet5' in timm or torchvision; did you mean"),
        ("some/where", "is neither a network's name"),
        ("resnet18=gone.safetensors", "there is no file or folder gone.safetensors"),
        ("gone.safetensors", "there is no such file"),
        ("{place}/images/a.safetensors", "nothing beside it .* tells its network; give it as --candidates NAME="),
        ("{place}/images", "neither a model package"),
    ],
)
def test_mistakes_are_said(place: Path, what: str, message: str) -> None:
    experiment = load_experiment(place / "made.yaml")
    with pytest.raises(MedtlError, match=message):
        gather(experiment, place / "images", [what.replace("{place}", str(place))], None)


def test_weights_that_are_not_there_are_listed(place: Path, tmp_path: Path) -> None:
    found = medtl.rank(
        place / "made.yaml", place / "images", overrides=["backbone.weights=gone.safetensors"],
        candidates=["test_resnet=" + str(place / "images" / "b.safetensors")], out=tmp_path / "out",
    )  # fmt: skip
    assert [name for name, _ in found.ranking.missing] == ["test_resnet, gone"]
    assert {each.name for each in found.ranking.candidates} == {"test_resnet, b", "test_resnet, random weights"}
    gone = ["backbone.weights=gone.safetensors"]
    for _ in range(2):  # nothing is left that would refuse the second
        with pytest.raises(MedtlError, match="no candidate could be scored"):
            medtl.rank(place / "made.yaml", place / "images", overrides=gone, out=tmp_path / "none")


def test_of_many_images_whole_groups_are_drawn(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medtl.flows.rank.MOST_IMAGES", 25)
    found = medtl.rank(place / "made.yaml", place / "images", candidates=[], out=tmp_path / "out")
    counts = found.ranking.counts
    assert counts["scored"] == 24, "two images each"
    assert counts["images"] > 24
    assert found.ranking.notes == [f"Scored on 24 of {counts['images']} images, whole groups drawn at random."]


def test_the_command_trains_from_the_candidate(place: Path) -> None:
    experiment = load_experiment(place / "made.yaml", ["backbone.options={pad_type: same}"])
    other = Candidate("x", BackboneSettings(name="resnet18", weights="/w eights/r.safetensors"))
    text = command(Path("made.yaml"), "images", ["transfer.strategy=full", "seed=3", "backbone.weights=x"], experiment, other, "lp-ft")
    assert text == (
        "medtl train made.yaml --data images --weights '/w eights/r.safetensors' --set seed=3 --set transfer.strategy=lp-ft "
        "--set backbone.name=resnet18 --set 'backbone.options={}'"
    )
    hub = Candidate("x", BackboneSettings(name="test_resnet", weights="imagenet"), pretrained=False)
    assert command(Path("made.yaml"), None, [], experiment, hub, "scratch").endswith("backbone.weights=imagenet")


def test_candidates_are_shown_as_the_config_shows_its_own(place: Path) -> None:
    """`features: stages` and `last` are not compared with each other, and the command trains what was scored."""
    experiment = load_experiment(place / "made.yaml", ["backbone.features=stages"])
    asked = [f"test_resnet={place / 'images' / 'b.safetensors'}"]
    found = gather(experiment, place / "images", asked, None).found
    assert len(found) == 2
    assert {each.backbone.features for each in found} == {"stages"}
    assert {starting_from(experiment, each, "lp-ft").backbone.features for each in found} == {"stages"}


def test_an_auxiliary_classifier_is_one_networks_own(place: Path) -> None:
    given = ["backbone.name=inception_v3", "backbone.weights=imagenet", "image.size=299", "transfer.strategy=full"]
    experiment = load_experiment(place / "made.yaml", [*given, "transfer.auxiliary=0.4"])
    own, other = gather(experiment, place / "images", [f"test_resnet={place / 'images' / 'b.safetensors'}"], None).found
    assert starting_from(experiment, own, "full").transfer.auxiliary == 0.4
    assert starting_from(experiment, other, "full").transfer.auxiliary == 0
    assert "transfer.auxiliary=0.0" in command(place / "made.yaml", None, [], experiment, other, "full")


def test_the_command_line_hands_everything_over(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    given: list[Any] = []
    monkeypatch.setattr(importlib.import_module("medtl.flows.rank"), "rank", lambda *arguments: given.extend(arguments))
    options = "--data d --weights w --set seed=2 --candidates resnet18 --candidates p --weights-folder f --tune 3 --minutes 5 --out o"
    monkeypatch.setattr("sys.argv", ["medtl", "rank", str(place / "made.yaml"), *options.split()])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert given == [place / "made.yaml", Path("d"), Path("w"), ["seed=2"], ["resnet18", "p"], Path("f"), 3, 5.0, Path("o")]


def test_a_package_of_another_task_is_a_candidate(make_run: Callable[..., Path], place: Path, tmp_path: Path) -> None:
    run = make_run()
    found = medtl.rank(place / "made.yaml", place / "images", candidates=[str(run)], out=tmp_path / "out")
    of_package = next(each for each in found.ranking.candidates if each.name == "test_resnet, made")
    assert of_package.figures["leep"]["value"] is not None, "its own head answers"


def test_labels_finer_than_the_question_are_scored_by_the_question(place: Path, tmp_path: Path) -> None:
    """What a network learns are the spellings; weights are ranked by how well they tell the classes."""
    records = pd.DataFrame(
        [(path.relative_to(place / "images").as_posix(), path.parent.name) for path in (place / "images").rglob("*.png")]
    )
    finer = np.where(records[1] == "dark", np.where(np.arange(len(records)) % 3 == 0, "night", "dusk"), "day")
    pd.DataFrame({"file": records[0], "label": finer, "who": records[0].str.extract(r"(p\d+)_")[0]}).to_csv(
        place / "images" / "finer.csv", index=False
    )
    config = CONFIG.replace("{classes: {bright: [bright], dark: [dark]}, positive: dark}", TASK_BY_SPELLINGS)
    cohort = "[{name: csv, table: finer.csv, image: file, label: label, patient: who}]"
    (tmp_path / "finer.yaml").write_text(config.replace("[{name: folders, patient: {from: filename, pattern: '(p\\d+)_'}}]", cohort))
    found = medtl.rank(tmp_path / "finer.yaml", place / "images", out=tmp_path / "out")
    assert found.ranking.counts["groups of dark"] > 0
    assert all(each.figures["probe"]["value"] > 0.9 for each in found.ranking.candidates)
    assert all(each.figures["logme"]["value"] is not None for each in found.ranking.candidates)
