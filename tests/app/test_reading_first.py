"""Reading first, step by step: the model is not asked before, nothing is shown before, and what cannot be done is said."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from medtl.app.desk import Desk
from medtl.app.page.building import received_by
from medtl.app.page.held import Held, Upload
from medtl.app.page.reading_first import ReadingFirst
from medtl.app.page.study_folder import StudyFolder


class Spy(Desk):
    """Counts how often a model was asked."""

    asked = 0

    def answer_read(self, *given, **more):
        self.asked += 1
        return super().answer_read(*given, **more)


@pytest.fixture(scope="module")
def desk(package, tmp_path_factory) -> Spy:
    return Spy([package(tmp_path_factory.mktemp("models") / "lungs")])


@pytest.fixture
def first(desk, tmp_path) -> ReadingFirst:
    made = ReadingFirst(StudyFolder(tmp_path / "study"))
    made.form(desk)
    return made


def uploaded(files, tmp_path, *kinds: str) -> list[str]:
    place = tmp_path / "uploads"
    paths = []
    for kind in kinds:
        folder = place / kind
        folder.mkdir(parents=True)
        paths.append(str(shutil.copy(files[kind], folder / f"upload{files[kind].suffix}")))
    return paths


def begun(desk, first, paths) -> tuple:
    changes = received_by(desk, "lungs", paths, None, False, None, first=first)
    return changes["sitting"], changes["held"], changes


def texts(changes) -> str:
    return " ".join(value for value in changes.values() if isinstance(value, str))


def test_nothing_of_the_answer_is_there_before_the_reading_is_stored(desk, first, files, tmp_path):
    now, held, changes = begun(desk, first, uploaded(files, tmp_path, "png"))
    assert not changes["shown"]
    before = desk.asked
    changes |= first.begin(desk, now, held, "r1", [])
    assert 'class="medtl-viewer"' in changes["shown"]
    assert desk.asked == before
    assert "upload" not in changes["shown"].partition("<figcaption>")[2]
    wrong = first.show(desk, now, held, None, [], 50, None)
    assert "choose a class" in wrong["head"]
    assert (desk.asked, first.study.read_before("r1")) == (before, set())
    answer = first.show(desk, now, held, "ill", [], 80, 3.0)
    assert desk.asked == before + 1
    assert 'class="heat"' in answer["shown"]
    assert [row["treatment"] for row in now.table] == ["without model"]
    assert now.table[0]["model_decision"] == now.table[0]["model_probability"] == ""
    assert first.show(desk, now, held, "normal", [], 1, 3.0).keys() == {"clock"}, "a second click changes nothing"
    assert desk.asked == before + 1
    first.keep(desk, now, held, "normal", [], 10, 1e9)
    assert [row["rating"] for row in now.table] == ["80", "10"]
    assert float(now.table[1]["seconds"]) < 60, "a browser that says too much is not believed"
    assert now.table[1]["model_decision"] in ("normal", "ill")
    assert not held.folder.exists()


def test_a_zip_comes_in_random_order_goes_on_where_it_was_left_and_leaves_nothing(desk, first, files, tmp_path):
    def archive(name: str) -> list[str]:
        place = tmp_path / name
        place.mkdir()
        with zipfile.ZipFile(place / "upload.zip", "w") as whole:
            for kind in ("png", "tiff", "jpeg", "frames", "text"):
                whole.write(files[kind], kind)
        return [str(place / "upload.zip")]

    now, held, _ = begun(desk, first, archive("one"))
    assert len(now.cases) == 5
    assert not list(held.folder.rglob("*.zip"))
    first.begin(desk, now, held, "r1", [])
    shown = now.reading.measurement["sha256"]
    first.show(desk, now, held, "ill", [], 80, None)
    first.keep(desk, now, held, "ill", [], 90, None)
    assert len([path for path in held.folder.rglob("*") if path.is_file()]) < 5, "what was read is gone"
    held.discard()

    again, held, _ = begun(desk, first, archive("two"))
    assert again.seed != now.seed
    changes = first.begin(desk, again, held, "r1", [])
    for _ in range(3):
        assert again.reading.measurement["sha256"] != shown
        first.show(desk, again, held, "ill", [], 80, None)
        changes = first.keep(desk, again, held, "ill", [], 90, None)
    assert "Left out: 1 you had read before and 1 cannot be read." in texts(changes)
    assert len({row["case"] for row in again.table}) == 3
    assert not held.folder.exists()


def test_what_is_not_stored_is_not_answered(desk, first, files, tmp_path):
    now, held, _ = begun(desk, first, uploaded(files, tmp_path, "png"))
    first.begin(desk, now, held, "r1", [])
    first.study.file("r1").mkdir()
    before = desk.asked
    assert "could not be stored" in first.show(desk, now, held, "ill", [], 80, None)["head"]
    assert (desk.asked, now.first) == (before, None)


def test_what_is_no_image_or_gone_is_said(desk, first, files, tmp_path):
    changes = received_by(desk, "lungs", uploaded(files, tmp_path, "text"), None, False, None, first=first)
    assert "neither DICOM" in texts(changes)
    now, held, _ = begun(desk, first, uploaded(files, tmp_path, "png"))
    assert "reader code" in first.begin(desk, now, held, "no code!", [])["head"]
    held.discard()
    assert "not there any more" in first.begin(desk, now, held, "r1", [])["head"]


def test_what_the_scope_asks_is_asked_before_and_shows_no_image(desk, first, files, tmp_path):
    changes = received_by(desk, "lungs", uploaded(files, tmp_path, "png"), None, True, None, first=first)
    assert changes["ask"].visible
    assert not changes["shown"]
    assert changes["sitting"] is None
    changes["held"].discard()


def test_images_of_an_array_are_cases_of_their_own(desk, first, files, tmp_path):
    held = Held(
        tmp_path,
        (
            Upload("a.npz", Path(shutil.copy(files["npz"], tmp_path / "0.npz"))),
            Upload("b", Path(shutil.copy(files["png"], tmp_path / "1"))),
        ),
    )
    now = first.begun(desk, "lungs", held, {}, None)["sitting"]
    assert sorted(case.number or 0 for case in now.cases) == [0, 1, 2, 3]
    first.begin(desk, now, held, "r1", [])
    for _ in range(4):
        first.show(desk, now, held, "ill", [], 80, None)
        first.keep(desk, now, held, "ill", [], 90, None)
    assert len({row["case"] for row in now.table}) == 4
