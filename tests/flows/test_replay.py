"""A replay is held against its run: the first difference is named, wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from medtl import predictions, records
from medtl.errors import GateRefusal, MedtlError
from medtl.files import write_json
from medtl.flows.replay import refuse_other_records, verify
from medtl.flows.run import load_run
from medtl.flows.train import train
from medtl.terminal import Line


@pytest.fixture
def two(make_run):
    """The same run twice."""
    return load_run(make_run("first")), load_run(make_run("second"))


def test_a_run_repeats_itself(two, capsys):
    run, expected = two
    refuse_other_records(run.records(), expected)
    verify(run, expected, Line())
    assert "to the last bit" in capsys.readouterr().err


@pytest.mark.parametrize(("column", "value"), [("label", "ill"), ("split", "test"), ("sha256", "0" * 64)])
def test_another_record_is_named(two, column, value):
    run, expected = two
    rows = run.records()
    place = rows.index[rows[column] != value][3]
    rows.loc[place, column] = value
    with pytest.raises(GateRefusal, match=rf"{rows['image'][place]} has the {column} '{value}'.*nothing was trained"):
        refuse_other_records(rows, expected)


def test_images_that_came_or_went_are_named(two):
    run, expected = two
    rows = run.records()
    with pytest.raises(GateRefusal, match=rf"39 images, expected 40; {rows['image'][7]} is not there"):
        refuse_other_records(rows.drop(index=7), expected)
    with pytest.raises(GateRefusal, match=r"ILL/new\.png is new"):
        refuse_other_records(pd.concat([rows, rows.tail(1).assign(image="ILL/new.png")]), expected)


def test_ids_of_another_installation_are_no_difference_but_other_groups_are(two):
    run, expected = two
    rows = run.records()
    renamed = rows.assign(group_id="x" + rows["group_id"], patient_id="x" + rows["patient_id"])
    refuse_other_records(renamed, expected)
    renamed.loc[0, "group_id"] = "alone"
    with pytest.raises(GateRefusal, match="grouped with other images"):
        refuse_other_records(renamed, expected)


def changed(run, change: Callable[[pd.DataFrame], None]) -> None:
    table = run.predictions()
    change(table)
    predictions.write(table, run.folder / "predictions.csv")


def test_noise_is_allowed_and_said_and_more_is_named(two, capsys):
    run, expected = two

    def shift(by: float) -> Callable[[pd.DataFrame], None]:
        def change(table: pd.DataFrame) -> None:
            table.loc[2, "p_ill"] += by

        return change

    changed(run, shift(5e-5))
    verify(run, expected, Line())
    assert "within 5e-05 of every probability" in capsys.readouterr().err
    changed(run, shift(1e-3))
    with pytest.raises(GateRefusal, match=rf"p_ill of {run.predictions()['image'][2]} is 0\.\d+, expected 0\.\d+"):
        verify(run, expected, Line())


def test_another_decision_is_named(two):
    run, expected = two
    before = run.predictions()["decision"][4]
    changed(run, lambda table: table.__setitem__("decision", table["decision"].where(table.index != 4, "no answer")))
    with pytest.raises(GateRefusal, match=f"called 'no answer', expected '{before}'"):
        verify(run, expected, Line())


def test_another_figure_is_named_and_a_new_one_is_none(two):
    run, expected = two
    metrics = run.metrics()
    metrics["splits"]["validation"]["figure of a later medtl"] = {"value": 1.0}
    write_json(run.folder / "metrics.json", metrics)
    verify(run, expected, Line())
    metrics["splits"]["validation"]["per_class"]["ill"]["recall"]["value"] = 0.123
    write_json(run.folder / "metrics.json", metrics)
    with pytest.raises(GateRefusal, match=r"metrics: validation\.per_class\.ill\.recall\.value is 0\.123000, expected"):
        verify(run, expected, Line())


def test_training_stops_before_it_begins_where_the_records_differ(make_run, data: Path, tmp_path: Path):
    run = make_run()
    rows = records.read(run / "records.csv")
    rows.loc[0, "label"] = "ill" if rows.loc[0, "label"] == "normal" else "normal"
    records.write(rows, run / "records.csv")
    with pytest.raises(GateRefusal, match="nothing was trained"):
        train(run / "experiment.yaml", data=data, out=tmp_path / "again", expect=run)
    assert not (tmp_path / "again").exists(), "a refused start leaves nothing"


def test_a_run_without_figures_cannot_be_expected(make_run, data: Path, tmp_path: Path):
    run = make_run()
    (run / "metrics.json").unlink()
    with pytest.raises(MedtlError, match="is not finished"):
        train(run / "experiment.yaml", data=data, out=tmp_path / "again", expect=run)
