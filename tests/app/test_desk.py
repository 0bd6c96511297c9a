"""The models behind the page answer as `medtl predict` does, and as their folders say now."""

from __future__ import annotations

import re

import numpy as np
import PIL.Image
import pytest

from medtl.app.desk import Desk
from medtl.app.page import markup
from medtl.backbones.network import Network
from medtl.decisions import outlyingness
from medtl.errors import MedtlError
from medtl.model.gate import Gate
from medtl.model.model import Model

WIDTH = 96
"""Features of the packages' network."""


def test_the_page_and_predict_give_the_same_answer(package, files, tmp_path):
    folder = package(tmp_path / "model", members=2)
    answer = Desk([folder]).answer("lungs", files["dicom"])
    row = Model.load(folder).predict(files["dicom"]).iloc[0]
    assert answer.probabilities == {"normal": row["p_normal"], "ill": row["p_ill"]}
    assert answer.decision == row["decision"]
    assert answer.reason == ""


def test_answer_and_saliency_are_of_one_pass(package, files, tmp_path, monkeypatch):
    desk = Desk([package(tmp_path / "model", members=2)])
    desk.model("lungs")
    passes, maps = [], Network.maps
    monkeypatch.setattr(Network, "maps", lambda network, x: (passes.append(len(x)), maps(network, x))[1])
    assert list(desk.answer("lungs", files["png"]).maps) == ["ill"]
    assert passes == [1, 1], "each member once"


def test_a_ct_slice_is_shown_but_not_answered_for(package, files, tmp_path):
    folder = package(tmp_path / "model")
    answer = Desk([folder]).answer("lungs", files["ct"])
    row = Model.load(folder).predict(files["ct"]).iloc[0]
    sentence = "its header says that it is a CT image, and the model is for DX [OUT_OF_SCOPE]"
    assert (answer.decision, answer.reason) == (row["decision"], row["reason"]) == ("no answer", sentence)
    assert answer.maps == {}
    assert all(np.isnan(each) for each in answer.probabilities.values())
    assert answer.reading.picture.size


def test_what_the_person_said_counts_for_the_scope_where_the_header_is_silent(package, files, tmp_path):
    desk = Desk([package(tmp_path / "model")])
    assert not desk.answer("lungs", files["png"], given={"modality": "DX"}).reason
    refused = desk.answer("lungs", files["png"], given={"modality": "CT"})
    assert refused.reason == "you said that it is a CT image, and the model is for DX [OUT_OF_SCOPE]"
    assert "its header says" in desk.answer("lungs", files["ct"], given={"modality": "DX"}).reason


def test_an_image_unlike_the_training_images_has_no_class_no_probability_and_no_map(package, files, tmp_path):
    folder = package(tmp_path / "model", gate=narrow_gate())
    answer = Desk([folder]).answer("lungs", files["png"])
    row = Model.load(folder).predict(files["png"]).iloc[0]
    sentence = "it looks unlike the images that the model learned from [UNLIKE_TRAINING]"
    assert (answer.decision, answer.reason) == (row["decision"], row["reason"]) == ("no answer", sentence)
    assert np.isfinite(row["p_ill"])  # the table keeps it, for evaluation; the page does not show it
    assert all(np.isnan(each) for each in answer.probabilities.values())
    assert answer.maps == {}
    shown = markup.answer(answer.package, answer.probabilities, answer.decision, answer.reason, [])
    assert "Because it looks unlike the images that the model learned from." in shown
    assert "ill" not in re.sub(r"<[^>]+>", " ", shown).split()
    about = markup.model(answer.package, None)
    assert "No answer for" in about
    assert "25.0 %" in about  # what three groups can promise


def narrow_gate() -> Gate:
    """Learned from three equal images: everything else is unlike them."""
    detector = outlyingness.fit(np.zeros((3, WIDTH)), "mahalanobis")
    return Gate(detector, outlyingness.limit([0.0, 0.0, 0.0], [1, 2, 3], 0.01), 0.01, {"mahalanobis": {"noise": 1.0}}, {})


def test_two_classes_have_the_map_of_the_positive_one_and_several_each_theirs(package, files, tmp_path):
    desk = Desk([package(tmp_path / "two"), package(tmp_path / "three", ("a", "b", "c"), name="skin")])
    assert list(desk.answer("lungs", files["png"]).maps) == ["ill"]
    answer = desk.answer("skin", files["png"])
    assert list(answer.maps) == ["a", "b", "c"]
    for each in answer.maps.values():
        assert each.shape[0] / each.shape[1] == pytest.approx(40 / 60, abs=0.02)
        assert 0 <= each.min() <= each.max() <= 1


def test_a_run_folder_stands_for_its_model_and_equal_names_are_told_apart(package, tmp_path):
    first, second = package(tmp_path / "run" / "model"), package(tmp_path / "b", seed=1)
    assert Desk([tmp_path / "run", first]).labels == ["lungs"]  # the same folder twice is one model
    labels = Desk([first, second]).labels
    assert len(set(labels)) == 2
    assert all(label.startswith("lungs · ") for label in labels)


def test_a_package_that_changed_is_loaded_again(package, files, tmp_path):
    folder = package(tmp_path / "model")
    desk = Desk([folder])
    before = desk.answer("lungs", files["png"]).probabilities["ill"]
    package(tmp_path / "model", seed=5)
    after = desk.answer("lungs", files["png"]).probabilities["ill"]
    assert before != after
    assert after == Model.load(folder).predict(files["png"]).iloc[0]["p_ill"]


def test_a_network_that_gives_no_number_gives_no_answer(package, files, tmp_path):
    desk = Desk([package(tmp_path / "model")])
    desk.model("lungs").members[0].head.bias.data[:] = np.nan
    answer = desk.answer("lungs", files["png"])
    assert answer.decision == "no answer"
    assert "no finite answer" in answer.reason
    assert answer.maps == {}


def test_what_is_no_model_is_refused(tmp_path, package):
    with pytest.raises(MedtlError, match="no model was given"):
        Desk([])
    with pytest.raises(MedtlError, match="there is no such folder"):
        Desk([tmp_path / "nowhere"])
    with pytest.raises(MedtlError, match="no model 'x' is open here; there are: lungs"):
        Desk([package(tmp_path / "model")]).answer("x", tmp_path)


def test_a_photograph_of_something_else_gets_no_class_here_and_from_predict(package, tmp_path):
    folder = package(tmp_path / "model")
    chance = np.random.default_rng(0)
    fur = np.clip(np.array([190, 130, 60]) + chance.normal(0, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
    PIL.Image.fromarray(fur).save(tmp_path / "cat.png")
    answer, row = Desk([folder]).answer("lungs", tmp_path / "cat.png"), Model.load(folder).predict(tmp_path / "cat.png").iloc[0]
    assert answer.reason == row["reason"] == "most of it is in colour, and the model is for DX, which are grey [OUT_OF_SCOPE]"
    assert answer.maps == {}
