"""The gate of a package: stored and checked like weights, asked in one order, and absent from packages that have none."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from medtl import measurements, predictions
from medtl.decisions import outlyingness, quality
from medtl.decisions.conformal import Conformal
from medtl.decisions.precedence import Reasons
from medtl.errors import MedtlError
from medtl.model import format as package_format
from medtl.model.gate import Gate
from medtl.model.model import Model
from medtl.predictions import NO_ANSWER


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    grey = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), dtype=np.uint8)
    return np.repeat(grey, 3, axis=3)  # in colour they were out of a radiograph's scope


@pytest.fixture
def gate(classifier, images) -> Gate:
    """Of the first network, learned from noise; half of such images are refused."""
    with torch.inference_mode():
        features = classifier(0).with_features(torch.from_numpy(images))[1].numpy()
    detector = outlyingness.fit(features, "mahalanobis")
    limit = outlyingness.limit(detector.scores(features), np.arange(40), 0.5)
    limits = quality.limits(measurements.table([{**measurements.row({}), "image": "a", "frame": 0}]), 32)
    return Gate(detector, limit, 0.5, {"mahalanobis": {"noise": 0.5}, "knn": {"noise": 0.5}}, limits)


def written(folder: Path, images: np.ndarray) -> list[Path]:
    paths = []
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
        paths.append(folder / f"{number}.png")
    return paths


def test_a_gate_comes_back_and_scores_are_of_the_pass_that_gives_the_logits(package, gate, images) -> None:
    loaded = Model.load(package(members=2, gate=gate), "cpu")
    logits, scores = loaded.look(images)
    assert np.array_equal(logits, loaded.predict_arrays(images))
    with torch.inference_mode():
        features = loaded.members[0].network.features(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255).numpy()
    assert np.allclose(scores, gate.detector.scores(features), rtol=1e-3)  # of the first member, whatever the others see
    assert loaded.package.gate is not None
    assert (loaded.package.gate.groups, loaded.package.gate.limit) == (40, gate.limit.value)


def test_a_refused_image_keeps_its_probabilities_and_what_the_rule_says(package, gate, images, tmp_path) -> None:
    table = Model.load(package(gate=gate), "cpu").predict(written(tmp_path, images))
    plain = Model.load(package(folder="other"), "cpu").predict(sorted(tmp_path.glob("*.png")))
    given, expected = (predictions.probabilities(each.sort_values("image")) for each in (table, plain))
    assert np.allclose(given, expected, atol=1e-6)
    refused = table["decision"] == NO_ANSWER
    assert 0.3 < refused.mean() < 0.7
    assert set(table.loc[refused, "reason"]) == {"it looks unlike the images that the model learned from [UNLIKE_TRAINING]"}
    assert (table["predicted"] != "").all()
    assert (plain["decision"] == plain["predicted"]).all()


def test_scope_goes_before_looks_and_looks_before_quality(package, gate) -> None:
    model = Model.load(package(gate=gate), "cpu")
    reasons = Reasons.none(4)
    rows = [measurements.row({"modality": kind, "contrast": 0.001}) for kind in ("CT", "CR", "CR", "CR")]
    rows[3]["contrast"] = 0.2
    for place, row in enumerate(rows):
        model.note(reasons, place, row)
    model.note_looks(reasons, range(4), np.array([1e9, 1e9, 0.0, 0.0]))
    keys = pd.DataFrame({"image": list("abcd"), "frame": 0})
    table = model.answer(keys, np.zeros((1, 4, 2)), reasons)
    assert [reason.rpartition("[")[2] for reason in table["reason"]] == ["OUT_OF_SCOPE]", "UNLIKE_TRAINING]", "QUALITY]", ""]
    assert np.isfinite(predictions.probabilities(table)).all()
    model.note(reasons, 0, {**rows[0], "quarantine": "DECODE_FAILED", "reason": "crashed"})
    unread = model.answer(keys, np.zeros((1, 4, 2)), reasons)
    assert unread["reason"][0] == "crashed [DECODE_FAILED]"
    assert np.isnan(predictions.probabilities(unread)[0]).all()


def test_sets_that_are_no_single_class_are_unsure(package) -> None:
    model = Model.load(package(conformal=Conformal(0.1, (0.3, 0.3), (50, 50))), "cpu")
    keys = pd.DataFrame({"image": ["a", "b"], "frame": 0})
    table = model.answer(keys, np.array([[[0.0, 0.5], [-9.0, 9.0]]]))
    assert table["reason"].tolist() == ["it may as well be normal or ill [UNSURE]", ""]
    assert table["decision"].tolist() == [NO_ANSWER, "ill"]
    assert (table["predicted"] != "").all()


def test_what_is_cut_changed_or_missing_is_refused(package, gate) -> None:
    folder = package(gate=gate)
    file = folder / "gate.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-4] + b"\0\0\0\1")
    with pytest.raises(MedtlError, match="was cut or changed"):
        Model.load(folder, "cpu")
    file.unlink()
    with pytest.raises(MedtlError, match="is missing; a package is only whole with its gate"):
        Model.load(folder, "cpu")
    file.write_bytes(whole)
    fields = json.loads((folder / "model.json").read_text())
    fields["gate"]["limit"] += 1
    (folder / "model.json").write_text(json.dumps(fields))
    with pytest.raises(MedtlError, match="fingerprint does not fit"):
        Model.load(folder, "cpu")


def test_the_same_gate_is_the_same_bytes_and_another_is_another_model(package, gate) -> None:
    one, two = package(folder="one", gate=gate), package(folder="two", gate=gate)
    assert (one / "gate.safetensors").read_bytes() == (two / "gate.safetensors").read_bytes()
    prints = [package_format.read(folder).fingerprint for folder in (one, two, package(folder="none"))]
    assert prints[0] == prints[1] != prints[2]


def test_a_package_without_gate_keeps_the_fingerprint_that_it_had(package) -> None:
    """Hashed here as packages were before there was a gate."""
    read = package_format.read(package()).model_copy(update={"fingerprint_covers": 1})
    fields = read.model_dump(mode="json", include={"task", "image", "network", "prior_shift", "calibration", "operating_point"})
    fields["operating_point"] = {name: value for name, value in fields["operating_point"].items() if value is not None}
    del fields["image"]["volume"], fields["task"]["learn"]
    text = json.dumps(
        {"weights": [each.sha256 for each in read.weights], "order": list(fields["task"]["classes"]), **fields}, sort_keys=True
    )
    assert read.computed_fingerprint() == hashlib.sha256(text.encode()).hexdigest()
    model = Model.load(package(), "cpu")
    assert model.gate is None
    assert np.isnan(model.look(np.zeros((2, 32, 32, 3), np.uint8))[1]).all()
