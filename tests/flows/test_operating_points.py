"""Rules fitted on validation and judged elsewhere: thresholds and shares against a table worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from medtl import predictions
from medtl.errors import MedtlError
from medtl.flows.operating_points import operating_points
from medtl.flows.run import load_run


@pytest.fixture
def run(make_run):
    """Validation and test images with probabilities of our own."""
    folder = make_run()
    table = load_run(folder).predictions().head(8).copy()
    table["group_id"] = [f"{place:016d}" for place in range(8)]
    table["truth"] = ["normal"] * 4 + ["ill"] * 4
    table = with_probabilities(table, [0.1, 0.2, 0.3, 0.6, 0.4, 0.5, 0.8, 0.9])
    test = with_probabilities(table.assign(split="test"), [0.1, 0.2, 0.36, 0.6, 0.3, 0.5, 0.8, 0.9])
    predictions.write(pd.concat([table, test]), folder / "predictions.csv")
    return folder


def with_probabilities(table: pd.DataFrame, ill: list[float]) -> pd.DataFrame:
    return table.assign(p_ill=ill, p_normal=1 - np.array(ill))


def test_by_hand(run):
    """On validation no ill image lies below 0.4, and of the normal ones only 0.6 above: all are found from 0.35 on. On test 0.36 is then a
    false alarm too, and 0.3 is missed."""
    found = operating_points(run, [{"name": "sensitivity", "at_least": 1.0}, {"name": "specificity", "at_least": 1.0}])
    all_found = found.loc["sensitivity >= 1"]
    assert all_found["threshold"] == pytest.approx(0.35)
    assert all_found[["sensitivity", "specificity", "ppv", "npv"]].tolist() == pytest.approx([3 / 4, 2 / 4, 3 / 5, 2 / 3])
    assert all_found["sensitivity_low"] < 0.75 < all_found["sensitivity_high"]
    no_false_alarm = found.loc["specificity >= 1"]
    assert no_false_alarm["threshold"] == pytest.approx(0.7)
    assert no_false_alarm[["sensitivity", "specificity", "ppv"]].tolist() == pytest.approx([2 / 4, 1, 1])
    assert found["reached"].all()


def test_on_validation_if_asked(run):
    found = operating_points(run, [{"name": "sensitivity", "at_least": 1.0}], split="validation")
    assert found.loc["sensitivity >= 1", ["sensitivity", "specificity"]].tolist() == [1, 0.75]


def test_what_is_out_of_reach_says_so(run):
    table = load_run(run).predictions()
    table.loc[table["split"] == "validation", "p_ill"] = [0.1, 0.2, 0.3, 0.95, 0.4, 0.5, 0.8, 0.9]
    predictions.write(table, run / "predictions.csv")
    found = operating_points(run, [{"name": "ppv", "at_least": 1.0}])
    assert not found["reached"].any()


@pytest.mark.parametrize(
    ("rule", "words"),
    [("youdn", "did you mean 'youden'"), ({"name": "sensitivity"}, "at_least"), ({"name": "sensitivity", "at_least": 2}, "at_least")],
)
def test_a_rule_that_there_is_not(run, rule, words):
    with pytest.raises(MedtlError, match=words):
        operating_points(run, [rule])


def test_folds_have_a_threshold_each(make_run):
    with pytest.raises(MedtlError, match="give one of them"):
        operating_points(make_run("folded", folds=2))


def test_a_report_table_by_its_name(make_run):
    run = load_run(make_run())
    with pytest.raises(MedtlError, match="none yet: medtl report"):
        run.table("validation_figures")
    (run.folder / "report").mkdir()
    (run.folder / "report" / "validation_figures.csv").write_text("figure,value\nauroc,0.5\n")
    assert run.table("validation_figures")["value"].tolist() == [0.5]
    with pytest.raises(MedtlError, match="did you mean 'validation_figures'"):
        run.table("validation_figure")
