"""`medtl predict`: a row for everything asked, an answer or a reason, and no harm from hostile files or names."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from PIL import Image

from medtl import predictions
from medtl.errors import MedtlError
from medtl.flows.predict import harmless, predict
from medtl.model.model import Model
from medtl.predictions import NO_ANSWER

CODES = {"empty.png": "NOT_AN_IMAGE", "text.png": "NOT_AN_IMAGE", "cut.png": "DECODE_FAILED", "constant.png": "CONSTANT"}


@pytest.fixture
def folder(tmp_path, data):
    """Two good images, and one of each kind of bad file, also inside a zip."""
    place = tmp_path / "asked"
    place.mkdir()
    good = sorted((data / "ILL").iterdir())[0].read_bytes()
    (place / "good.png").write_bytes(good)
    (place / "=cmd().png").write_bytes(good)
    (place / "empty.png").write_bytes(b"")
    (place / "text.png").write_bytes(b"ZZCANARY is no picture")
    (place / "cut.png").write_bytes(good[: len(good) // 2])
    Image.new("L", (40, 40), 7).save(place / "constant.png")
    with zipfile.ZipFile(place / "more.zip", "w") as archive:
        archive.writestr("a/good.png", good)
        archive.writestr("../evil.png", good)
        archive.writestr("text.png", b"ZZCANARY is no picture")
        archive.writestr("inner.zip", b"PK\x03\x04")
    return place


def test_everything_has_a_row(make_run, folder, tmp_path, capsys):
    run = make_run()
    predict(run, [folder], tmp_path / "out.csv")
    table = predictions.read(tmp_path / "out.csv").set_index("image")
    bad = {*CODES, "more.zip/(member 1)", "more.zip/text.png", "more.zip/inner.zip"}
    assert set(table.index) == {"good.png", "'=cmd().png", "more.zip/a/good.png", *bad}
    assert set(table.index[table["decision"] == NO_ANSWER]) == bad
    assert table.loc[list(bad), "reason"].str.len().min() > 10
    assert (table.loc[list(bad), "predicted"] == "").all()
    for name, code in CODES.items():
        assert f"[{code}]" in table.loc[name, "reason"]
    answers = predictions.probabilities(table.loc[["good.png", "'=cmd().png", "more.zip/a/good.png"]])
    assert np.abs(answers - answers[0]).max() < 1e-5
    assert answers[0].sum() == pytest.approx(1)
    said = capsys.readouterr().out
    assert "10 images" in said
    assert "no answer 7" in said
    assert "ZZCANARY" not in said + (tmp_path / "out.csv").read_text()


def test_the_order_of_paths_does_not_matter(make_run, data):
    model = Model.load(make_run() / "model", "cpu")
    paths = sorted((data / "ILL").iterdir())
    forward = model.predict(paths)
    backward = model.predict(paths[::-1])
    assert list(forward["image"]) == [path.as_posix() for path in paths]
    assert np.allclose(predictions.logits(forward), predictions.logits(backward)[::-1], atol=1e-5)


def test_rows_of_an_npz_are_images(make_run, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", test_images=images, test_labels=np.zeros((3, 1)))
    table = predict(make_run(), tmp_path / "set.npz", tmp_path / "out.csv")
    assert list(table["frame"]) == [0, 1, 2]
    assert (table["decision"] != NO_ANSWER).all()


def test_progress_reaches_the_end(make_run, data):
    seen = []
    Model.load(make_run() / "model", "cpu").predict(data / "ILL", lambda done, total: seen.append((done, total)))
    assert seen == [(i, 20) for i in range(1, 21)]


def test_only_a_predictions_table_is_replaced(make_run, data, tmp_path):
    run, out = make_run(), tmp_path / "out.csv"
    predict(run, data / "ILL", out)
    first = out.read_bytes()
    predict(run, data / "ILL", out)
    assert out.read_bytes() == first
    for other in (tmp_path / "labels.csv", tmp_path / "thesis.doc"):
        other.write_bytes(b"image,label\n\xff\xfe")
        with pytest.raises(MedtlError, match="left alone"):
            predict(run, data / "ILL", other)
        assert other.read_bytes() == b"image,label\n\xff\xfe"
    with pytest.raises(MedtlError, match="is a folder"):
        predict(run, data / "ILL", data)
    with pytest.raises(MedtlError, match=r"out\.csv is a file, so nothing can be written below it"):
        predict(run, data / "ILL", out / "x.csv")


def test_a_wrong_path_writes_nothing(make_run, tmp_path):
    with pytest.raises(MedtlError, match="no such file or folder"):
        predict(make_run(), tmp_path / "typo", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a/b.png", "a/b.png"),
        ("ümlaut é.png", "ümlaut é.png"),
        ("=1+1.png", "'=1+1.png"),
        ("@sum.png", "'@sum.png"),
        ("-a.png", "'-a.png"),
        ("+a.png", "'+a.png"),
        ("\t=a.png", "'\\t=a.png"),
        ("a\nb,c.png", "a\\nb,c.png"),
        ("bad\udcff.png", "bad\\udcff.png"),
    ],
)
def test_names_are_harmless(name, shown):
    assert harmless(name) == shown
    harmless(name).encode("utf-8")


def test_a_package_that_does_not_know_its_prevalence_cannot_be_moved(make_run, data, tmp_path):
    with pytest.raises(MedtlError, match="does not say at which prevalence of ill its probabilities hold"):
        predict(make_run(), data / "ILL", tmp_path / "out.csv", prevalence=0.1)
