"""A batch: streamed, the same answers as `medtl predict`, nothing left on disk, nobody else's."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from medtl.app.desk import Desk
from medtl.app.page import many, table
from medtl.app.page.held import Held, take
from medtl.app.page.many import answers, opened
from medtl.model.model import Model

COUNT = 40


@pytest.fixture(scope="module")
def model(package, tmp_path_factory):
    return package(tmp_path_factory.mktemp("models") / "lungs")


def picture(number: int) -> bytes:
    chance = np.random.default_rng(number)
    return cv2.imencode(".png", chance.integers(0, 256, (40, 60), dtype=np.uint8))[1].tobytes()


@pytest.fixture(scope="module")
def archive(tmp_path_factory, files) -> Path:
    """40 pictures in folders, a CT, a text, a zip bomb, a name that climbs, one that is a formula."""
    path = tmp_path_factory.mktemp("zips") / "many.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as whole:
        for k in range(COUNT):
            whole.writestr(f"series/{k:03d}.png", picture(k))
        whole.write(files["ct"], "ct.dcm")
        whole.writestr("notes.txt", "no image")
        whole.writestr("bomb.png", bytes(64 << 20))
        whole.writestr("../../evil.png", picture(0))
        whole.writestr("=cmd().png", picture(0))
    return path


def held(file: Path, place: Path) -> Held:
    """As it comes from Gradio: a copy in a folder of its own."""
    upload = place / "0123" / file.name
    upload.parent.mkdir(parents=True)
    upload.write_bytes(file.read_bytes())
    return take([upload])


def test_a_zip_is_answered_like_predict_and_never_lies_on_disk_as_a_whole(model, archive, tmp_path):
    upload = held(archive, tmp_path)
    most, batches = 0, []
    for batch in answers(Desk([model]), "lungs", upload, {}):
        most = max(most, sum(path.is_file() for path in upload.folder.rglob("*")))
        batches.append(batch)
    batch = batches[-1]
    assert most <= 1 + 2 * many.AT_ONCE, "the zip, what is answered and what is read ahead"
    upload.discard()
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    expected = Model.load(model).predict([archive]).set_index("image")
    assert len(batch.rows) == len(expected) == COUNT + 5
    for row in batch.rows:
        wanted = expected.loc[f"{archive.as_posix()}{row.name.removeprefix(archive.name)}"]
        assert (row.verdict.decision, row.verdict.reason) == (wanted["decision"], wanted["reason"])
        if row.answered:
            assert row.verdict.probabilities["ill"] == pytest.approx(wanted["p_ill"], abs=1e-6)
    reasons = {row.name.rpartition("/")[2]: row.verdict.reason for row in batch.rows if not row.answered}
    assert "unpacks to more than 200 times its size" in reasons["bomb.png"]
    assert "OUT_OF_SCOPE" in reasons["ct.dcm"]


def test_the_csv_has_every_row_and_no_formula(model, archive, tmp_path):
    *_, batch = answers(Desk([model]), "lungs", held(archive, tmp_path), {})
    rows = list(csv.DictReader(io.StringIO(batch.csv())))
    assert len(rows) == len(batch.rows)
    assert float(rows[0]["p_ill"]) == batch.rows[0].verdict.probabilities["ill"]
    batch.tables[0].loc[0, "image"] = "=cmd().png"
    assert "\n'=cmd().png," in "\n" + batch.csv()


def test_what_the_person_said_counts_for_every_silent_header(model, archive, tmp_path):
    *_, batch = answers(Desk([model]), "lungs", held(archive, tmp_path), {"modality": "CT"})
    assert not any(row.answered for row in batch.rows)
    assert "you said that it is a CT image" in batch.rows[0].verdict.reason


def test_a_row_is_opened_with_its_saliency_after_its_file_is_gone(model, archive, tmp_path):
    desk, upload = Desk([model]), held(archive, tmp_path)
    *_, batch = answers(desk, "lungs", upload, {})
    upload.discard()
    view, maps = opened(desk.model("lungs"), batch.rows[3])
    assert view is not None
    assert list(maps) == ["ill"]
    (tmp_path / "alone.png").write_bytes(picture(3))
    alone = desk.answer("lungs", tmp_path / "alone.png")
    assert maps["ill"].shape[0] / maps["ill"].shape[1] == pytest.approx(40 / 60, abs=0.02)
    small = cv2.resize(alone.maps["ill"], maps["ill"].shape[::-1])
    assert np.abs(small - maps["ill"]).max() < 0.02
    assert opened(desk.model("lungs"), batch.rows[-2])[0] is None, "a refused member"


def test_several_files_and_one_that_is_no_archive(model, files, tmp_path):
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 nothing")
    uploads = []
    for k, file in enumerate([files["png"], files["npz"], broken]):
        uploads.append(tmp_path / str(k) / file.name)
        uploads[-1].parent.mkdir()
        uploads[-1].write_bytes(file.read_bytes())
    upload = take(uploads)
    assert upload.several
    assert many.counted(upload.uploads) == 5
    *_, batch = answers(Desk([model]), "lungs", upload, {})
    assert [row.answered for row in batch.rows] == [True, True, True, True, False]
    assert "the archive cannot be opened" in batch.rows[-1].verdict.reason


def test_the_table_says_each_row_once_and_escapes_names(model, archive, tmp_path):
    *_, batch = answers(Desk([model]), "lungs", held(archive, tmp_path), {})
    object.__setattr__(batch.rows[0], "name", "<img src=x onerror=alert(1)>")
    html = table.table(batch)
    assert html.count("data-row=") == len(batch.rows)
    assert html.count("class=unanswered") == sum(not row.answered for row in batch.rows)
    assert "<img src=x" not in html
    said = re.sub(r"<[^>]+>", "", table.progress(batch))
    assert said.startswith(f"{COUNT + 5} of {COUNT + 5} images, all done.")
    assert f"no answer {sum(not row.answered for row in batch.rows)}." in said
