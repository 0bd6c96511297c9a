"""Images to try the page with: made ones for models of made images alone, else those of a folder; each goes the road of an upload."""

from __future__ import annotations

import pytest

from medtl.app.desk import Desk
from medtl.app.page.examples import examples_for
from medtl.errors import MedtlError
from medtl.model import format as package_format
from medtl.phantom.settings import CHEST_CLASSES


@pytest.fixture
def place(tmp_path, monkeypatch):
    (tmp_path / "private").mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "private"))
    return tmp_path / "private"


def test_a_model_of_patients_has_no_made_examples(package, tmp_path):
    assert examples_for(Desk([package(tmp_path / "m", CHEST_CLASSES)]), None) == []


def test_a_model_of_made_images_has_made_ones_that_say_so(package, tmp_path, place, monkeypatch):
    desk = Desk([package(tmp_path / "m", CHEST_CLASSES)])
    made_up = package_format.read(tmp_path / "m").model_copy(update={"synthetic": True})
    monkeypatch.setattr(Desk, "package", lambda *_: made_up)
    offered = examples_for(desk, None)
    assert [each.title for each in offered] == ["Synthetic chest 1", "Synthetic chest 2"]
    held = offered[1].held()
    assert [path.parent for path in place.rglob("*") if path.is_file()] == [held.folder], "nothing but the one image is left"
    assert desk.answer(offered[1].label, held.uploads[0].file).reading.measurement["modality"] in ("CR", "DX")
    held.discard()
    assert not any(place.iterdir())


def test_a_folder_of_ones_own(package, files, tmp_path, place):
    desk = Desk([package(tmp_path / "m")])
    offered = examples_for(desk, files["png"].parent)
    assert 0 < len(offered) <= 6
    held = offered[0].held()
    assert held.uploads[0].name == offered[0].title
    held.discard()
    assert files["png"].is_file(), "the folder's own file stays"
    with pytest.raises(MedtlError, match="is no folder of example images"):
        examples_for(desk, tmp_path / "nowhere")
