"""`split.exclude` and `split.groups`: what they name is left out or stays together, whatever the split; a wrong file is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from medtl import measurements
from medtl.cohorts.joining import Source, read_cohorts
from medtl.cohorts.splitting import make_records
from medtl.errors import MedtlError, Mistakes

NAMES = [f"{label}/{number}.png" for label in ("NORMAL", "PNEUMONIA") for number in range(40)]
PAIRS = [(f"NORMAL/{n}.png", f"PNEUMONIA/{n}.png") for n in range(40)]


@pytest.fixture
def split(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> Callable[..., tuple[pd.DataFrame, Source]]:
    """`split(groups="groups.csv", …)`: records of 80 images without ids, and the source that they are of."""
    touch(*NAMES)

    def make(as_given: bool = False, **settings: Any) -> tuple[pd.DataFrame, Source]:
        chosen = plan({"name": "folders"}, **settings)
        source = read_cohorts(chosen, tmp_path)
        rows = [measurements.row({"sha256": f"sha {image}", "pixel_hash": f"pixels {image}"}) for image in source.table["image"]]
        measured = measurements.table([{**row, "image": image, "frame": 0} for row, image in zip(rows, source.table["image"], strict=True)])
        return make_records(source.table, measured, chosen, tmp_path, as_given), source

    return make


def write(path: Path, rows: list[list[Any]], header: list[str]) -> str:
    pd.DataFrame(rows, columns=header).to_csv(path, index=False)
    return path.name


def test_excluded_images_are_excluded_and_the_others_stay_where_they_are(split: Any, tmp_path: Path) -> None:
    before, _ = split()
    file = write(tmp_path / "exclude.csv", [[name, 0, "BLANK"] for name in NAMES[:3]], ["image", "frame", "code"])
    after, source = split(exclude=file)
    gone = after["image"].isin(NAMES[:3])
    assert set(after[gone]["split"]) == {"excluded"}
    assert (after[gone]["label"] == "normal").all()
    assert after[~gone]["split"].tolist() == before[~gone]["split"].tolist()
    assert "split.exclude leaves 3 images out" in source.notes


def test_groups_stay_on_one_side_of_every_split(split: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "groups.csv", [[name, f"g{n}"] for n, pair in enumerate(PAIRS) for name in pair], ["image", "group"])
    rows, source = split(groups=file)
    place = rows.set_index("image")["split"]
    group = rows.set_index("image")["group_id"]
    assert all(place[first] == place[second] and group[first] == group[second] for first, second in PAIRS)
    assert rows["group_id"].nunique() == 40
    assert set(place) == {"train", "validation", "test"}
    assert "split.groups ties 80 images into 40 groups" in source.notes
    folded, _ = split(groups=file, folds=4)
    fold = folded.set_index("image")["fold"]
    assert all(fold[first] == fold[second] for first, second in PAIRS)


def test_rows_that_name_no_image_are_told_and_a_file_of_another_root_is_refused(split: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "exclude.csv", [[NAMES[0]], ["gone.png"]], ["image"])
    _, source = split(exclude=file)
    assert "split.exclude leaves 1 image out (1 row of 'exclude.csv' name no image of the cohorts)" in source.notes
    write(tmp_path / "exclude.csv", [[f"elsewhere/{name}"] for name in NAMES], ["image"])
    with pytest.raises(MedtlError, match=r"none of the 80 rows .* relative to the data root"):
        split(exclude=file)


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        ([[NAMES[0]]], ["image"], "has no column group"),
        ([[NAMES[0], "g1"], [NAMES[0], "g2"]], ["image", "group"], "names 1 image twice"),
        ([[NAMES[0], "first", "g1"]], ["image", "frame", "group"], "no whole number"),
    ],
)
def test_a_wrong_table_is_refused(split: Any, tmp_path: Path, rows: list[list[Any]], header: list[str], said: str) -> None:
    with pytest.raises(MedtlError, match=said):
        split(groups=write(tmp_path / "groups.csv", rows, header))


def test_a_missing_table_is_refused(split: Any) -> None:
    with pytest.raises(MedtlError, match=r"no table 'none\.csv' in the data root"):
        split(exclude="none.csv")


def test_records_as_given_keep_a_split_that_training_refuses(tmp_path: Path, plan: Callable[..., Any], touch: Callable[..., None]) -> None:
    touch("a.png", "b.png", "c.png", "d.png")
    table = [["a.png", "normal", "p1", "train"], ["b.png", "normal", "p1", "test"], ["c.png", "pneumonia", "p2", "train"],
             ["d.png", "pneumonia", "p3", "validation"]]  # fmt: skip
    write(tmp_path / "t.csv", table, ["image", "label", "patient_id", "part"])
    chosen = plan({"name": "csv", "table": "t.csv", "patient": "patient_id"}, column="part")
    source = read_cohorts(chosen, tmp_path)
    measured = measurements.table(
        [
            {**measurements.row({"sha256": name, "pixel_hash": name}), "image": name, "frame": 0}
            for name in ["a.png", "b.png", "c.png", "d.png"]
        ]
    )
    rows = make_records(source.table, measured, chosen, tmp_path, as_given=True)
    assert rows["split"].tolist() == ["train", "test", "train", "validation"]
    with pytest.raises(Mistakes, match=r"a\.png \(train\), b\.png \(test\)"):
        make_records(source.table, measured, chosen, tmp_path)
