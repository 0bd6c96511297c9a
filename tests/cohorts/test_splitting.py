"""Groups and splits: nothing stands on both sides, nothing moves when other rows come or go, labels have no say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medtl import records
from medtl.cohorts import CohortSettings
from medtl.cohorts.chance import draw
from medtl.cohorts.grouping import add_groups, components
from medtl.cohorts.settings import SplitSettings
from medtl.cohorts.splitting import external_records, fold_records, make_records, split_notes
from medtl.contracts import Task
from medtl.errors import MedtlError, Mistakes

TASK = Task(classes={"no": (), "yes": ()})


@dataclass(frozen=True)
class Plan:
    split: SplitSettings
    task: Task = TASK
    keep: tuple[str, ...] = ()
    cohorts: tuple[CohortSettings, ...] = field(default=())
    seed: int = 0


def table(
    patients: Sequence[str], pixels: Sequence[str] | None = None, lesions: Sequence[str] | None = None, **columns: Any
) -> pd.DataFrame:
    """A cohort table and its measurements in one: row i is the image `<i>.png`; empty pixels = unread."""
    number = len(patients)
    made = pd.DataFrame({"image": [f"{row}.png" for row in range(number)], "frame": 0})
    for kind, ids in (("patient", patients), ("lesion", lesions or [""] * number), ("study", [""] * number)):
        made[f"{kind}_id"] = [f"keyed {name}" if name else "" for name in ids]
        made[f"{kind}_unit"] = [f"{kind} {name}" if name else "" for name in ids]
    made["pixel_hash"] = list(pixels) if pixels is not None else [f"pixels {row}" for row in range(number)]
    made["label"], made["domain"], made["given_split"] = [("no", "yes")[row % 2] for row in range(number)], "here", ""
    return made.assign(**columns)


def records_of(made: pd.DataFrame, root: Path = Path(), **split: Any) -> pd.DataFrame:
    measurements = made[["image", "frame", "pixel_hash"]].assign(sha256="sha " + made["image"], quarantine="")
    measurements.loc[made["pixel_hash"] == "", "quarantine"] = "DECODE_FAILED"
    return make_records(made.drop(columns="pixel_hash"), measurements, Plan(SplitSettings.model_validate(split)), root)


MANY = table([f"p{row // 3}" for row in range(600)])


# Groups


def flooded(columns: Sequence[Sequence[str]]) -> list[set[int]]:
    """Connected components the slow way: spread from each row until nothing is added."""
    left, found = set(range(len(columns[0]))), []
    while left:
        reached, frontier = set(), {min(left)}
        while frontier:
            reached |= frontier
            values = [{column[row] for row in reached if column[row]} for column in columns]
            frontier = {row for row in left - reached if any(column[row] in known for column, known in zip(columns, values, strict=True))}
        found.append(reached)
        left -= reached
    return found


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c", "d"]), st.sampled_from(["", "x", "y", "z"])), min_size=1, max_size=25))
def test_components_are_those_of_a_flood(rows: list[tuple[str, str]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    component = components([pd.Series(column, dtype=object) for column in columns])
    assert [{int(row) for row in range(len(rows)) if component[row] == component[min(group)]} for group in flooded(columns)] == flooded(
        columns
    )


def test_groups_by_hand() -> None:
    #        0     1     2     3     4     5 (unread)
    made = table(["p1", "p1", "p2", "", "", ""], pixels=["a", "b", "b", "c", "a", ""]).assign(sha256=list("123456"))
    grouped = add_groups(made, "patient")
    assert grouped["component"].nunique() == 3
    assert grouped["group_id"].tolist()[:3] == ["keyed p1"] * 3, "p1 and p2 show the same picture; the smaller id stands for both"
    assert grouped["group_kind"].tolist() == ["patient", "patient", "patient", "image", "patient", "image"]
    assert grouped["group_id"][4] == "keyed p1"
    assert grouped["group_id"][3] == "c"
    assert grouped["group_id"][5] not in ("", "c")


def test_patients_tie_lesions_together_and_images_alone_do_not() -> None:
    made = table(["p1", "p1", "", ""], lesions=["l1", "l2", "l2", "l3"]).assign(sha256=list("1234"))
    assert add_groups(made, "lesion")["component"].nunique() == 2
    assert add_groups(made, "lesion")["group_kind"].tolist() == ["patient"] * 3 + ["lesion"]
    assert add_groups(made, "patient")["group_kind"].tolist() == ["patient"] * 3 + ["lesion"]
    assert add_groups(made, "image")["component"].nunique() == 4
    assert set(add_groups(made, "image")["group_kind"]) == {"image"}


# Splits by hash


def test_draw_is_the_documented_hash() -> None:
    import hashlib

    assert draw(3, "unit") == int(hashlib.sha256(b"3:unit").hexdigest()[:16], 16) / 16**16


def test_shares_are_met_and_seeds_differ() -> None:
    large = table([f"p{row // 2}" for row in range(20_000)])
    share = records_of(large, validation=0.15, test=0.2)["split"].value_counts(normalize=True)
    # 10,000 groups: a share of 0.2 has a standard deviation of 0.004
    assert share["test"] == pytest.approx(0.20, abs=0.016)
    assert share["validation"] == pytest.approx(0.15, abs=0.016)
    agreeing = (records_of(large, seed=1)["split"] == records_of(large, seed=2)["split"]).mean()
    assert agreeing == pytest.approx(0.65**2 + 0.2**2 + 0.15**2, abs=0.03), "two seeds agree as often as chance"


IDS = st.lists(st.sampled_from(["", *"abcdefgh"]), min_size=30, max_size=60)


@settings(max_examples=20, deadline=None)
@given(IDS, st.data(), st.sampled_from(["patient", "lesion", "image"]), st.sampled_from([None, 3]))
def test_no_group_and_no_pixels_stand_on_both_sides(patients: list[str], data: st.DataObject, by: str, folds: int | None) -> None:
    pixels = data.draw(st.lists(st.sampled_from([str(n) for n in range(40)]), min_size=len(patients), max_size=len(patients)))
    made = table(patients, pixels=pixels, lesions=patients if by == "lesion" else None)
    try:
        split = records_of(made, by=by, folds=folds)
        parts = [split] if folds is None else [fold_records(split, fold, SplitSettings(folds=folds)) for fold in range(folds)]
    except Mistakes:  # a class fell into one part only
        return
    for part in parts:
        assert set(part["split"]) <= {"train", "validation", "test"}
        joined = part.merge(made[["image", "pixel_hash"]], on="image")
        assert (joined.groupby("group_id")["split"].nunique() == 1).all()
        assert (joined.groupby("pixel_hash")["split"].nunique() == 1).all()
        if by == "patient":
            assert (joined[joined["patient_id"] != ""].groupby("patient_id")["split"].nunique() == 1).all()
    if folds is not None:
        tested = pd.concat(part.loc[part["split"] == "test", "image"] for part in parts)
        assert sorted(tested) == sorted(made["image"]), "every image is tested once"


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 599), max_size=400), st.sampled_from([None, 5]))
def test_rows_stay_where_they_are_when_others_go(gone: set[int], folds: int | None) -> None:
    column = "fold" if folds else "split"
    all_of_them = records_of(MANY, folds=folds).set_index("image")[column]
    fewer = records_of(MANY.drop(index=list(gone)), folds=folds).set_index("image")[column]
    assert (all_of_them[fewer.index] == fewer).all()


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_labels_have_no_say(random: Any) -> None:
    shuffled = MANY["label"].tolist()
    random.shuffle(shuffled)
    again = records_of(MANY.assign(label=shuffled))
    assert again.drop(columns="label").equals(records_of(MANY).drop(columns="label"))


def test_row_order_and_keyed_ids_have_no_say() -> None:
    other = MANY.assign(patient_id="another installation " + MANY["patient_id"]).sample(frac=1, random_state=0)
    assert records_of(other)["split"].tolist() == records_of(MANY)["split"].tolist()


def test_a_split_is_the_same_next_year() -> None:
    """Golden: changing the hash would move patients between splits of studies that are under way."""
    split = records_of(MANY, seed=0).set_index("image")["split"]
    assert [split[f"{3 * group}.png"] for group in range(12)] == GOLDEN


# int(hashlib.sha256(b"0:patient p<group>").hexdigest()[:16], 16) / 2**64, below 0.2 and below 0.35
GOLDEN = [*["train"] * 3, "test", "train", "train", "validation", "test", "train", "train", "test", "train"]


def test_unread_and_unlabelled_images_are_excluded() -> None:
    made = MANY.copy()
    made.loc[0, "pixel_hash"] = ""
    made.loc[1, "label"] = ""
    for folds in (None, 5):
        split = records_of(made, folds=folds).set_index("image")
        assert split.loc[["0.png", "1.png"], "split"].tolist() == ["excluded", "excluded"]
        assert split.loc[["0.png", "1.png"], "fold"].tolist() == ["", ""]
        assert (split["split"] == "excluded").sum() == 2


def test_records_are_complete_and_sorted(tmp_path: Path) -> None:
    made = records_of(MANY)
    records.write(made, tmp_path / "records.csv")
    pd.testing.assert_frame_equal(records.read(tmp_path / "records.csv"), made, check_dtype=False)
    assert list(made.columns) == records.COLUMNS


def test_header_facts_fill_kept_columns() -> None:
    made = table(["a", "b"], view=["", "LL"])
    measurements = made[["image", "frame", "pixel_hash"]].assign(sha256="sha " + made["image"], quarantine="", view="PA", modality="DX")
    plan = Plan(SplitSettings(), keep=("view", "modality", "laterality"))
    external = external_records(made.drop(columns="pixel_hash"), measurements, plan)
    assert external[["view", "modality", "laterality", "split"]].to_numpy().tolist() == [
        ["PA", "DX", "", "external"],
        ["LL", "DX", "", "external"],
    ]


def test_images_without_measurements_are_refused() -> None:
    made = table(["a", "b"])
    measurements = made[["image", "frame", "pixel_hash"]].assign(sha256="sha " + made["image"], quarantine="")
    with pytest.raises(MedtlError, match=r"1 images have not been measured: 1.png"):
        make_records(made.drop(columns="pixel_hash"), measurements.head(1), Plan(SplitSettings()), Path())


def test_an_absent_class_is_refused_with_counts() -> None:
    made = table([f"p{row}" for row in range(200)])
    made["label"] = ["yes" if row == 7 else "no" for row in range(200)]
    with pytest.raises(Mistakes) as refusal:
        records_of(made)
    assert len(refusal.value.mistakes) == 2
    assert "the class 'yes' is absent from" in str(refusal.value)
    assert "1 groups have it" in str(refusal.value)
    with pytest.raises(Mistakes, match="absent from validation"):
        records_of(made, folds=5)
    assert (records_of(MANY, test=0)["split"] != "test").all(), "without a test share none is needed"


def test_notes_on_ties_and_balance() -> None:
    made = records_of(MANY)
    assert split_notes(made, TASK) == []
    made.loc[made["split"] == "test", "label"] = "no"
    assert any("the class 'yes' is 0.0% of test but" in note for note in split_notes(made, TASK))
    tied = table(["a", "b", "c"] * 100, pixels=["same", "same", *(str(row) for row in range(298))])
    assert split_notes(records_of_external(tied), TASK)[0].startswith("1 groups hold several patient ids")


def records_of_external(made: pd.DataFrame) -> pd.DataFrame:
    measurements = made[["image", "frame", "pixel_hash"]].assign(sha256="sha " + made["image"], quarantine="")
    return external_records(made.drop(columns="pixel_hash"), measurements, Plan(SplitSettings()))


def test_shuffled_labels_are_those_of_the_split_not_of_a_training() -> None:
    """Trainings of several seeds are judged together, so their truths must be the same."""
    measurements = MANY[["image", "frame", "pixel_hash"]].assign(sha256="sha " + MANY["image"], quarantine="")
    split = SplitSettings(labels="shuffled", seed=4)
    dealt = [make_records(MANY.drop(columns="pixel_hash"), measurements, Plan(split, seed=seed), Path()) for seed in (0, 1)]
    pd.testing.assert_frame_equal(*dealt)
    other = records_of(MANY, labels="shuffled", seed=5)
    assert (other["label"] != dealt[0]["label"]).any()
    assert (dealt[0]["label"] != records_of(MANY, seed=4)["label"]).any()


# Folds


def test_folds_take_validation_out_of_the_rest() -> None:
    made = records_of(MANY, folds=5, validation=0.25)
    plan = SplitSettings(folds=5, validation=0.25)
    parts = [fold_records(made, fold, plan) for fold in range(5)]
    for fold, part in enumerate(parts):
        assert (part.loc[part["split"] == "test", "fold"] == str(fold)).all()
        rest = part[part["split"] != "test"]
        assert (rest["split"] == "validation").mean() == pytest.approx(0.25, abs=0.12)  # 160 groups: a standard deviation of 0.035
    validations = [frozenset(part.loc[part["split"] == "validation", "image"]) for part in parts]
    assert len(set(validations)) == 5, "each fold draws its own"


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(0, 599), max_size=200), st.integers(0, 5))
def test_held_out_groups_stand_in_no_fold_and_stay_there(gone: set[int], seed: int) -> None:
    plan = SplitSettings(folds=4, held_out=0.3, seed=seed)
    whole = records_of(MANY, folds=4, held_out=0.3, seed=seed).set_index("image")
    fewer = records_of(MANY.drop(index=list(gone)), folds=4, held_out=0.3, seed=seed).set_index("image")
    columns = ["split", "fold"]
    assert (whole.loc[fewer.index, columns] == fewer[columns]).all(axis=None)
    held = whole["split"] == "calibration"
    assert held.mean() == pytest.approx(0.3, abs=0.14)  # 200 groups: a standard deviation of 0.032
    assert ((whole["fold"] == "") == held).all()
    assert not set(whole.loc[held, "group_id"]) & set(whole.loc[~held, "group_id"])
    loose = records_of(MANY, folds=4, seed=seed).set_index("image")
    assert (loose.loc[~held, "fold"] == whole.loc[~held, "fold"]).all(), "the others stay in their folds"
    for fold in range(4):
        part = fold_records(whole.reset_index(), fold, plan).set_index("image")
        assert ((part["split"] == "calibration") == held[part.index]).all()
    assert split_notes(whole.reset_index(), TASK) == []


@settings(max_examples=4, deadline=None)
@given(st.sets(st.integers(0, 599), max_size=200), st.integers(0, 5))
def test_a_single_run_keeps_groups_of_train_apart(gone: set[int], seed: int) -> None:
    whole = records_of(MANY, held_out=0.3, seed=seed).set_index("image")
    loose = records_of(MANY, seed=seed).set_index("image")
    held = whole["split"] == "calibration"
    assert held.mean() == pytest.approx(0.3, abs=0.14)  # 200 groups: a standard deviation of 0.032
    assert (loose.loc[held, "split"] == "train").all()
    assert (loose.loc[~held, "split"] == whole.loc[~held, "split"]).all()
    assert not set(whole.loc[held, "group_id"]) & set(whole.loc[~held, "group_id"])
    fewer = records_of(MANY.drop(index=list(gone)), held_out=0.3, seed=seed).set_index("image")
    assert (whole.loc[fewer.index, "split"] == fewer["split"]).all()
    part = records_of(MANY, held_out=0.3, seed=seed, fraction=0.3).set_index("image")
    assert ((part["split"] == "calibration") == held).all(), "a learning curve's small trainings are judged by the same images"


def test_held_out_of_a_given_split(tmp_path: Path) -> None:
    given_split = ["train" if row // 3 % 2 else "test" for row in range(600)]
    made = records_of(MANY.assign(given_split=given_split), column="split", validation=0.2, held_out=0.3)
    sizes = made.groupby("split").size() / 600
    assert sizes["test"] == 0.5
    assert sizes["calibration"] == pytest.approx(0.15, abs=0.1)
    assert sizes["validation"] > 0.03
    (tmp_path / "run").mkdir()
    records.write(made, tmp_path / "run" / "records.csv")
    taken = records_of(MANY, root=tmp_path, **{"from": "run"}, held_out=0.1)
    assert (taken["split"] == made["split"]).all(), "the run's own held-out part is taken over"
    records.write(records_of(MANY), tmp_path / "run" / "records.csv")
    later = records_of(MANY, root=tmp_path, **{"from": "run"}, held_out=0.3)
    assert (later["split"] == records_of(MANY, held_out=0.3)["split"]).all(), "of a run without one, it comes out of train"


def test_too_little_held_out_is_refused() -> None:
    made = table([f"p{row}" for row in range(200)])
    made["label"] = ["yes" if row % 8 == 0 else "no" for row in range(200)]
    with pytest.raises(Mistakes, match=r"fewer than 10 groups of a class(.|\n)*leave it out(.|\n)*\d groups of 'yes'"):
        records_of(made, folds=2, held_out=0.2)
    several = made.assign(label="a", y_a=["10"[row % 2] for row in range(200)], y_b=["0" if row % 8 == 0 else "1" for row in range(200)])
    measurements = several[["image", "frame", "pixel_hash"]].assign(sha256="sha " + several["image"], quarantine="")
    plan = Plan(SplitSettings(folds=2, held_out=0.2), Task(kind="multi", classes={"a": (), "b": ()}))
    with pytest.raises(Mistakes, match=r"with or without a finding, too few to choose its threshold by(.|\n)*\d groups of 'no b'"):
        make_records(several.drop(columns="pixel_hash"), measurements, plan, Path())
    with pytest.raises(Mistakes, match="of a class, too few to choose a threshold by; take a larger share, or leave it out:"):
        records_of(made, held_out=0.2)
    three = Plan(SplitSettings(folds=2, held_out=0.2), Task(classes={"yes": (), "no": (), "perhaps": ()}))
    rarer = made.assign(label=["yes" if row % 8 == 0 else ("no", "perhaps")[row % 2] for row in range(200)]).drop(columns="pixel_hash")
    with pytest.raises(Mistakes, match="of a class, too few to calibrate by"):
        make_records(rarer, measurements, three, Path())
    with pytest.raises(ValueError, match=r"validation \+ test \+ held_out leave nothing to train on"):
        SplitSettings(validation=0.3, test=0.3, held_out=0.4)
    with pytest.raises(ValueError, match=r"validation \+ held_out leave nothing to train on"):
        SplitSettings(column="split", validation=0.3, test=0.3, held_out=0.7)
    kept = records_of(MANY, folds=2, held_out=0.3)
    kept.loc[kept["split"] == "calibration", "label"] = "no"
    assert any("the class 'yes' is 0.0% of calibration but" in note for note in split_notes(kept, TASK))


@pytest.mark.parametrize("fraction", [1.0, 0.3])
def test_one_fold_alone_is_that_fold_of_all(fraction: float) -> None:
    every = records_of(MANY, folds=4, fraction=fraction)
    for fold in range(4):
        alone = records_of(MANY, folds=4, fold=fold, fraction=fraction)
        pd.testing.assert_frame_equal(alone, fold_records(every, fold, SplitSettings(folds=4, fraction=fraction)))
        assert set(alone.loc[alone["split"] == "test", "image"]) == set(every.loc[every["fold"] == str(fold), "image"])


@pytest.mark.parametrize(("split", "sentence"), [({"folds": 3, "fold": 3}, "0 to 2"), ({"fold": 0}, "none without `folds`")])
def test_a_fold_that_there_is_not_is_refused(split: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        SplitSettings.model_validate(split)


# Given splits


def given_split(rows: dict[int, str], rest: str = "train") -> pd.DataFrame:
    return MANY.assign(given_split=[rows.get(row // 3, rest) for row in range(600)])


def test_a_given_split_is_taken() -> None:
    made = records_of(given_split({0: "test", 1: "test", 2: "validation", 3: "external", 4: ""}), column="split")
    split = made.set_index("image")["split"]
    assert split[["0.png", "6.png", "9.png", "12.png", "15.png"]].tolist() == ["test", "validation", "external", "excluded", "train"]


def test_without_validation_rows_a_share_of_train_becomes_them() -> None:
    made = records_of(given_split(dict.fromkeys(range(50), "test")), column="split", validation=0.2)
    assert (made["split"] == "test").sum() == 150
    rest = made[made["split"] != "test"]
    assert (rest["split"] == "validation").mean() == pytest.approx(0.2, abs=0.1)
    assert (rest.groupby("group_id")["split"].nunique() == 1).all()
    other = records_of(given_split(dict.fromkeys(range(50), "test")), column="split", validation=0.2, seed=9)
    assert set(other.loc[other["split"] == "validation", "image"]) != set(made.loc[made["split"] == "validation", "image"])


def test_a_group_in_two_given_splits_is_refused_with_its_rows_or_leaves_training() -> None:
    made = given_split({0: "test", 1: "validation", 5: "test", 6: "validation"})
    made.loc[1, "given_split"] = "train"
    made.loc[4, "given_split"] = "train"
    with pytest.raises(Mistakes) as refusal:
        records_of(made, column="split")
    assert refusal.value.mistakes == ["0.png (test), 1.png (train), 2.png (test)", "3.png (validation), 4.png (train), 5.png (validation)"]
    split = records_of(made, column="split", overlap="exclude").set_index("image")["split"]
    assert split[["0.png", "1.png", "2.png"]].tolist() == ["test", "excluded", "test"]
    assert split[["3.png", "4.png", "5.png"]].tolist() == ["validation", "excluded", "validation"]


# From a run


def run_folder(made: pd.DataFrame, folder: Path) -> None:
    folder.mkdir(parents=True)
    records.write(made, folder / "records.csv")


def test_the_split_of_a_run_is_taken_over(tmp_path: Path) -> None:
    first = records_of(MANY.head(300), seed=5)
    run_folder(first, tmp_path / "runs" / "a")
    made = records_of(MANY, tmp_path, **{"from": "runs/a", "seed": 77})
    old = made[made["image"].isin(first["image"])]
    assert old["split"].tolist() == first["split"].tolist()
    new = made[~made["image"].isin(first["image"])]
    by_hash = records_of(MANY, seed=77).set_index("image")["split"]
    assert new["split"].tolist() == by_hash[new["image"]].tolist(), "groups that the run does not know fall by the hash"


def test_a_new_image_of_a_known_patient_goes_with_him(tmp_path: Path) -> None:
    run_folder(records_of(MANY[MANY.index % 3 == 0], seed=5), tmp_path / "a")
    made = records_of(MANY, tmp_path, **{"from": "a", "seed": 77})
    assert (made.groupby("group_id")["split"].nunique() == 1).all()
    known = records.read(tmp_path / "a" / "records.csv").set_index("group_id")["split"]
    assert (made.set_index("group_id")["split"] == known[made["group_id"]].to_numpy()).all()


def test_new_images_that_tie_two_splits_are_refused(tmp_path: Path) -> None:
    first = records_of(MANY, seed=5)
    run_folder(first, tmp_path / "a")
    trained, tested = (int(first.loc[first["split"] == split, "image"].iloc[0].removesuffix(".png")) for split in ("train", "test"))
    pixels = MANY["pixel_hash"].tolist()
    pixels[trained] = pixels[tested]
    with pytest.raises(Mistakes, match=rf"{trained}\.png \(train\)"):
        records_of(MANY.assign(pixel_hash=pixels), tmp_path, **{"from": "a"})


def test_runs_without_a_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match="is no run folder"):
        records_of(MANY, tmp_path, **{"from": "a"})
    run_folder(records_of(MANY, folds=5), tmp_path / "a")
    with pytest.raises(MedtlError, match="has folds and no split of its own"):
        records_of(MANY, tmp_path, **{"from": "a"})
