"""The plots show what the tables say: areas, points, counts and curves against independent references."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import auc, confusion_matrix

from medtl import plots
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.evaluation.summary import summarize
from medtl.report.figures.agreement import reliability
from medtl.report.figures.learning import epochs, kept_epoch
from medtl.report.figures.style import svg
from medtl.report.judged import cases_of, judged

TASK = Task(classes={"well": (), "ill": ()})
THREE = Task(classes={"a": (), "b": (), "c": ()})


def curves_of(plot) -> list[np.ndarray]:
    """The drawn lines of many points."""
    return [line.get_xydata() for line in plot.axes[0].lines if len(line.get_xydata()) > 2]


def texts_of(plot) -> str:
    return re.sub(r"<[^>]+>", "\n", svg(plot, "x"))


@pytest.mark.parametrize("task", [TASK, THREE])
def test_the_area_under_the_drawn_roc_curves_is_the_auroc_of_the_metrics(make_table, task):
    table = make_table(task.names)
    areas = [auc(*curve.T) for curve in curves_of(plots.roc(table, task))]
    assert len(areas) == (1 if task is TASK else 3)
    assert np.mean(areas) == pytest.approx(summarize(table, task, resamples=20)["auroc"]["value"])


def test_the_average_precision_in_the_legend_is_the_auprc_of_the_metrics(make_table):
    table = make_table()
    value = summarize(table, TASK, resamples=20)["auprc"]["value"]
    prevalence = (table["truth"] == "ill").mean()
    assert f"{value:.3f} ill ({100 * prevalence:.1f} %)" in texts_of(plots.pr(table, TASK))


def test_the_dot_stands_where_the_stored_rule_works(make_table):
    table = make_table()
    table["predicted"] = np.where(table["p_ill"] >= 0.3, "ill", "well")
    dot = next(line for line in plots.roc(table, TASK).axes[0].lines if line.get_marker() == "o")
    matrix = confusion_matrix(table["truth"], table["predicted"], labels=["well", "ill"])
    expected = (matrix[0, 1] / matrix[0].sum(), matrix[1, 1] / matrix[1].sum())
    assert dot.get_xydata()[0] == pytest.approx(expected)


def test_reliability_is_scikit_learns_with_intervals_around(make_table):
    table = make_table(n=400)
    found = reliability(cases_of(table, TASK)[0])
    observed, predicted = calibration_curve(table["truth"] == "ill", table["p_ill"], n_bins=10)
    assert [each.observed for each in found] == pytest.approx(observed)
    assert [each.probability for each in found] == pytest.approx(predicted)
    assert sum(each.images for each in found) == 400
    assert all(each.low <= each.observed <= each.high for each in found)


def test_the_confusion_matrix_shows_every_count_and_what_could_not_be_read(make_table):
    table = make_table(THREE.names)
    unread = table.index[table["truth"] == "b"][:2]
    table.loc[unread, ["p_a", "p_b", "p_c"]] = np.nan
    table.loc[unread, "predicted"] = ""
    said = texts_of(plots.confusion(table, THREE))
    read = table.drop(unread)
    for count in confusion_matrix(read["truth"], read["predicted"]).ravel():
        assert re.search(rf"(?m)^{count}$", said)
    assert "not read" in said


def test_a_figure_is_of_one_split_and_says_which(make_table):
    table = pd.concat([make_table(n=40, split="validation"), make_table(n=20, split="test")])
    assert "ROC (test, 20 images)" in texts_of(plots.roc(table, TASK))
    assert "ROC (validation, 40 images)" in texts_of(plots.roc(table, TASK, "validation"))
    with pytest.raises(MedtlError, match="no judged image of the split 'external'; there are: test, validation"):
        plots.roc(table, TASK, "external")


def test_over_folds_the_out_of_fold_rows_are_drawn_together_and_repeats_stay_cases(make_table):
    folds = [make_table(n=30, split="validation", fold=str(k)) for k in range(3)]  # the same images in every fold
    rows = judged(pd.concat(folds, ignore_index=True))
    assert len(rows) == 90
    assert summarize(rows, TASK, resamples=20)["groups"] == 15


def test_stress_views_and_unknown_truths_are_left_out(make_table):
    table = make_table()
    other = table.assign(view="darker")
    unknown = table.assign(truth="", image="x" + table["image"])
    assert judged(pd.concat([table, other, unknown])).equals(judged(table))


def event(epoch: int, score: float) -> dict:
    return {"event": "epoch", "epoch": epoch, "loss": 1 / epoch, "validation_auroc": score, "rate": 1e-3, "seconds": 2.0}


def test_curves_have_a_line_per_fold_and_mark_the_best_epoch():
    logs = {
        "1": [{"event": "probe", "scores": {"1.0": 0.7, "0.1": 0.75}}, event(1, 0.8), event(2, 0.9), event(3, 0.85)],
        "2": [event(1, 0.6), event(2, 0.65)],
    }
    left, right = plots.curves(logs).axes
    assert [line.get_ydata().tolist() for line in left.lines] == [[1, 1 / 2, 1 / 3], [1, 1 / 2]]
    dots = [line.get_xydata().tolist() for line in right.lines if line.get_marker() == "o"]
    assert dots == [[[2, 0.9]], [[2, 0.65]]]
    assert 0.75 in [line.get_ydata()[0] for line in right.lines]  # the probe that was chosen
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["1", "2"]


def test_the_legend_of_many_trainings_stands_below_and_names_each_line():
    logs = {"adabn": [{"event": "probe", "scores": {"1.0": 0.7}}], **{f"m{i}": [event(1, 0.6), event(2, 0.6 + i / 100)] for i in range(6)}}
    plot = plots.curves(logs)
    left, _ = plot.axes
    assert left.get_legend() is None
    assert [text.get_text() for text in plot.legends[0].get_texts()] == [f"m{i}" for i in range(6)]


def test_an_epoch_that_could_not_be_kept_has_no_dot():
    """As where a method adapts features: its last epoch is kept, however good an earlier one was on the source."""
    log = [{**event(1, 0.9), "settled": False}, {**event(2, 0.95), "settled": False}, event(3, 0.7)]
    _, right = plots.curves(log).axes
    assert [line.get_xydata().tolist() for line in right.lines if line.get_marker() == "o"] == [[[3, 0.7]]]
    assert kept_epoch(epochs(log[:2])).empty


def test_an_epoch_done_again_after_a_resume_counts_once(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in (event(1, 0.5), event(2, 0.6), event(2, 0.7))) + '\n{"event": "ep')
    table = epochs(plots.read_log(path))
    assert table["epoch"].tolist() == [1, 2]
    assert table["score"].tolist() == [0.5, 0.7]


def test_a_log_without_training_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(MedtlError, match="neither epochs nor a linear probe"):
        plots.curves([{"event": "images"}])
    with pytest.raises(MedtlError, match="is not there"):
        plots.read_log(tmp_path / "log.jsonl")


def test_a_linear_probe_alone_has_no_epochs_and_its_score_is_drawn():
    left, right = plots.curves([{"event": "probe", "scores": {"1.0": 0.7}}]).axes
    assert not left.lines
    assert right.lines[0].get_ydata()[0] == 0.7


def test_names_are_drawn_letter_by_letter_and_escaped(make_table):
    names = (r"$\frac{1}$", "_hidden", "<b>&")
    table = make_table(names, n=90)
    task = Task(classes=dict.fromkeys(names, ()))
    drawn = svg(plots.roc(table, task), "roc") + svg(plots.confusion(table, task), "confusion")
    for shown in (r"$\frac{1}$", "_hidden", "&lt;b&gt;&amp;"):
        assert drawn.count(shown) >= 2
    assert "<b>" not in drawn


def test_svg_is_the_same_every_time_and_figures_share_a_page_without_sharing_ids(make_table):
    table = make_table()
    first, again = (svg(plots.roc(table, TASK), "a") for _ in range(2))
    assert first == again
    other = svg(plots.roc(table, TASK), "b")
    ids = [set(re.findall(r'\bid="([^"]+)"', each)) for each in (first, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", first)) <= ids[0]
    assert "<style" not in first
    assert "<metadata" not in first


def test_plots_leave_matplotlib_as_it_was_and_need_neither_pyplot_nor_torch(make_table, tmp_path):
    make_table().to_pickle(tmp_path / "t.pkl")
    program = """if True:
        import sys, pandas, matplotlib
        before = dict(matplotlib.rcParams)
        import medtl
        from medtl.contracts import Task
        figure = medtl.plots.roc(pandas.read_pickle(sys.argv[1]), Task(classes={"well": (), "ill": ()}))
        assert "<svg" in figure._repr_svg_()
        assert dict(matplotlib.rcParams) == before
        assert not {"torch", "monai", "matplotlib.pyplot"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "t.pkl")], check=True)


def test_the_decision_curve_is_net_benefit_with_the_threshold_in_use(make_table):
    table = make_table(n=200)
    plot = plots.decision_curve(table, TASK, threshold=0.35)
    model, everyone = curves_of(plot)
    ill, p = (table["truth"] == "ill").to_numpy(), table["p_ill"].to_numpy()
    by_hand = [((p >= t) & ill).mean() - ((p >= t) & ~ill).mean() * t / (1 - t) for t in model[:, 0]]
    assert model[:, 1] == pytest.approx(by_hand)
    assert everyone[:, 1] == pytest.approx([ill.mean() - (~ill).mean() * t / (1 - t) for t in everyone[:, 0]])
    [dot] = [line for line in plot.axes[0].lines if line.get_marker() == "o"]
    expected = ((p >= 0.35) & ill).mean() - ((p >= 0.35) & ~ill).mean() * 0.35 / 0.65
    assert dot.get_xydata()[0] == pytest.approx((0.35, expected))
    assert "the threshold in use, 0.350" in texts_of(plot)
    assert not [line for line in plots.decision_curve(table, TASK).axes[0].lines if line.get_marker() == "o"]
    costly = plots.decision_curve(table.assign(p_ill=0.9999, p_well=0.0001), TASK, threshold=0.999)  # every well patient is a false alarm
    [edge] = [line for line in costly.axes[0].lines if line.get_marker() == "v"]
    assert edge.get_xydata()[0] == pytest.approx((0.999, costly.axes[0].get_ylim()[0]))
    assert ", below)" in texts_of(costly)
    assert "<svg" in costly._repr_svg_()
    with pytest.raises(MedtlError, match="two classes"):
        plots.decision_curve(make_table(THREE.names), THREE)


def test_risk_over_coverage_is_drawn_with_the_point_in_use(make_table):
    table = make_table(n=200)
    held = table["p_ill"].between(0.4, 0.6)
    table.loc[held, "decision"] = "no answer"
    plot = plots.risk_coverage(table, TASK, threshold=0.5)
    curve = curves_of(plot)[0]
    wrong = (table["predicted"] != table["truth"]).to_numpy()
    order = np.argsort(-np.abs(table["p_ill"] - 0.5))
    for coverage in (0.25, 0.5, 1.0):
        most = round(coverage * 200)
        assert np.interp(coverage, *curve.T) == pytest.approx(wrong[order][:most].mean(), abs=1e-9)
    dot = next(line for line in plot.axes[0].lines if line.get_marker() == "o").get_xydata()
    assert dot[0] == pytest.approx([(~held).mean(), wrong[~held].mean()])
    unread = table.assign(p_ill=np.nan, p_well=np.nan, predicted="")
    with pytest.raises(MedtlError, match="no image was read"):
        plots.risk_coverage(unread, TASK)
