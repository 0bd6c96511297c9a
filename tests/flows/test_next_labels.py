"""`medtl next`: a table of images to label, which `medtl evaluate` takes once it is filled in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from medtl.errors import MedtlError
from medtl.flows.evaluate import evaluate
from medtl.flows.next_labels import choose_next

MakeRun = Callable[..., Path]


@pytest.fixture
def elsewhere(tmp_path: Path, write_image: Callable[[Path, int], None]) -> Path:
    """30 images of 15 patients, and a table that says so."""
    for number in range(30):
        write_image(tmp_path / "there" / "images" / f"{number}.png", 100 + number)
    table = pd.DataFrame({"file": [f"images/{n}.png" for n in range(30)], "patient_id": [f"x{n // 2}" for n in range(30)]})
    table.to_csv(tmp_path / "there" / "all.csv", index=False)
    return tmp_path / "there"


def test_the_table_is_a_manifest_to_be_filled_in(make_run: MakeRun, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = make_run(), elsewhere / "first" / "next.csv"
    out.parent.mkdir()
    choose_next(run, elsewhere / "all.csv", out, 9, {"image": "file"})
    assert "9 of 30 images, 3 of them at random" in capsys.readouterr().out
    table = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert table.columns.tolist() == ["image", "frame", "patient_id", "label", "chosen"]
    assert table["chosen"].tolist() == ["at random"] * 3 + ["for variety"] * 6
    assert (table["label"] == "").all()
    assert table["patient_id"].nunique() == 9, "a patient is asked once while others wait"
    table.assign(label=["NORMAL", "ILL", *["NORMAL"] * 7]).to_csv(out, index=False)
    assert evaluate(run / "model", manifest=out, out=elsewhere / "judged").metrics["n"] == 9


def test_a_folder_will_do_and_doubt_is_said(make_run: MakeRun, elsewhere: Path) -> None:
    found = choose_next(make_run(), elsewhere / "images", elsewhere / "next.csv", 6, unsure=True)
    assert found["chosen"].tolist() == ["at random"] * 2 + ["for variety and doubt"] * 4
    assert all((elsewhere / name).is_file() for name in found["image"])


def test_what_cannot_be_asked(make_run: MakeRun, elsewhere: Path) -> None:
    run, out = make_run(), elsewhere / "next.csv"
    with pytest.raises(MedtlError, match=r"--count 31: there are 30 images in .*; allowed: 1 to 30"):
        choose_next(run, elsewhere / "images", out, 31)
    out.write_text("image,label\n")
    with pytest.raises(MedtlError, match=r"next\.csv: exists; labels may have been filled in there"):
        choose_next(run, elsewhere / "images", out, 3)
