"""Answers out of fold: no group is answered for by a probe that has seen it, and test images take no part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from medtl.contracts import Task
from medtl.flows.out_of_fold import out_of_fold
from medtl.predictions import columns

TASK = Task(classes={"no": (), "yes": ()})
GROUPS, EACH = 60, 3


@pytest.fixture
def rows() -> pd.DataFrame:
    """180 images of 60 groups; the label is the group's."""
    groups = np.repeat(np.arange(GROUPS), EACH)
    table = pd.DataFrame({"image": [f"{n}.png" for n in range(len(groups))], "frame": 0, "label": np.where(groups % 2, "yes", "no")})
    return table.assign(group_id=groups.astype(str), domain="here", split="train", fold="")


def features(rows: pd.DataFrame, of_label: float = 0.0, of_group: float = 0.0) -> Any:
    """Noise, with as much of the label and of the group in it as asked."""
    chance = np.random.default_rng(0)
    made = chance.normal(size=(len(rows), 40))
    made[:, 0] += of_label * (rows["label"] == "yes")
    made += of_group * chance.normal(size=(GROUPS, 40))[rows["group_id"].astype(int)]
    return made.astype(np.float32)


def test_wrong_labels_are_contradicted(rows: pd.DataFrame) -> None:
    given = features(rows, of_label=6)
    turned = rows["group_id"].isin([str(group) for group in range(0, GROUPS, 10)])
    rows.loc[turned, "label"] = "yes"
    table = out_of_fold(rows, given, TASK)
    assert table is not None
    assert list(table.columns) == columns(TASK.names)
    assert np.allclose(table[["p_no", "p_yes"]].sum(axis=1), 1)
    contradicted = (table["predicted"] != table["truth"]).to_numpy()
    assert contradicted[turned].mean() > 0.8
    assert contradicted[~turned].mean() < 0.1


def test_what_is_only_known_of_the_group_does_not_help(rows: pd.DataFrame) -> None:
    table = out_of_fold(rows, features(rows, of_group=5), TASK)
    assert table is not None
    assert 0.3 < roc_auc_score(table["truth"] == "yes", table["p_yes"]) < 0.7


def test_test_images_unread_and_excluded_ones_take_no_part(rows: pd.DataFrame) -> None:
    given = features(rows, of_label=6)
    rows.loc[rows["group_id"].astype(int) < 6, "split"] = "test"
    rows.loc[rows["group_id"].astype(int) == 7, "split"] = "excluded"
    given[30] = np.nan
    table = out_of_fold(rows, given, TASK)
    assert table is not None
    expected = rows[(rows["split"] == "train") & (rows.index != 30)]
    assert table["image"].tolist() == expected["image"].tolist()
    changed = given.copy()
    changed[(rows["split"] == "test").to_numpy()] = 99
    pd.testing.assert_frame_equal(out_of_fold(rows, changed, TASK), table)


def test_a_class_of_few_groups_is_not_judged(rows: pd.DataFrame) -> None:
    three = Task(classes={"no": (), "yes": (), "rare": ()})
    rows.loc[rows["group_id"].isin(["0", "2", "4"]), "label"] = "rare"
    table = out_of_fold(rows, features(rows, of_label=6), three)
    assert table is not None
    assert set(table["truth"]) == {"no", "yes"}
    assert (table["p_rare"] < 1e-3).all()
    assert out_of_fold(rows[rows["label"] != "yes"].reset_index(drop=True), features(rows)[: (rows["label"] != "yes").sum()], three) is None
