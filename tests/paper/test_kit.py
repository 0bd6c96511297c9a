"""The kit says what the results hold: counts by hand, citations of what was used, pointers that lead somewhere."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from PIL import Image

from medtl.audit.findings import Finding
from medtl.audit.kept import Audit
from medtl.paper import checklist, kit, methods, of_data, of_evaluation, of_model, tables
from medtl.paper.answers import answers
from medtl.paper.figures import write_figure
from medtl.paper.flow import flow_figure, flow_text
from medtl.paper.of_model import training_text
from medtl.report import answered

TRIPOD_AI = re.findall(
    r"\S+",
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c 18d 18e 18f 19 "
    "20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c",
)
TABLES = ("table_1",)
THREE = ("rare", "common", "other")
AUDIT = Audit(
    "x", {}, ("well", "ill"), ("north",), ["Looked."], [Finding("TELLTALE_BYTES", "grave", "The label can be told from bytes", "mend")]
)


@pytest.fixture(scope="module")
def contents(make_contents, make_settings, package_of) -> Any:
    """Two classes, kept columns, two domains, the settings of a training."""
    settings = make_settings(imbalance={"loss": {"name": "focal", "gamma": 2}, "sampler": "balanced"}, transfer={"label_smoothing": 0})
    package = {**package_of(("well", "ill")), "task": settings["task"]}
    return make_contents(
        kept=True,
        package=package,
        experiment=settings,
        experiment_yaml="name: x\n",
        environment={"libraries": {"torch": "2.9"}, "python": "3.11"},
    )


@pytest.fixture(scope="module")
def folder(contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("kit")
    metrics = {**contents.metrics, "splits": {"test": contents.metrics["splits"]["test"]}}  # half the figures take half the time
    kit.write_kit(dataclasses.replace(contents, metrics=metrics), AUDIT, place)
    return place


def cited(text: str) -> set[str]:
    return set(re.findall(r"@([a-z]+\d{4})", text))


def test_the_methods_cite_what_was_used_and_nothing_else(contents, make_settings) -> None:
    text = methods.methods(contents, AUDIT)
    assert {"lin2017", "he2009", "kumar2022", "loshchilov2019", "guo2017", "youden1950", "he2016", "paszke2019", "zech2018"} <= cited(text)
    assert not {"szegedy2016", "zhang2018", "howard2018", "cui2019", "cardoso2022"} & cited(text)
    changed = dataclasses.replace(
        contents, experiment=make_settings(transfer={"strategy": "gradual", "mixup": 0.2, "label_smoothing": 0.1})
    )
    text = methods.methods(changed, None)
    assert {"howard2018", "zhang2018", "szegedy2016"} <= cited(text)
    assert not {"lin2017", "he2009", "kumar2022", "zech2018"} & cited(text)
    assert "No audit of the images is kept" in text


def test_the_bibliography_of_a_kit_is_that_of_its_texts(folder: Path) -> None:
    texts = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.md"))
    there = set(re.findall(r"^@\w+\{(\w+),", (folder / "references.bib").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert there == cited(texts)


def test_what_is_not_known_is_said(contents) -> None:
    package_alone = dataclasses.replace(
        contents, experiment={}, experiment_yaml="", environment={}, package={**contents.package, "scope": {}}
    )
    text = methods.methods(package_alone, None)
    for sentence in ("How the model was trained is not in this folder", "Loss and sampler are not in this folder", "states no scope"):
        assert sentence in text
    assert "AdamW" not in text
    unopened = dataclasses.replace(contents, metrics={**contents.metrics, "looks": 0})
    assert "the test images were not opened" in methods.methods(unopened, None)
    assert "\n- How the model does elsewhere" in methods.methods(contents, None)


def test_a_control_with_shuffled_labels_says_so(contents, make_settings) -> None:
    control = dataclasses.replace(contents, experiment=make_settings(split={"labels": "shuffled"}))
    assert "control in which nothing can be learned" in methods.methods(control, None)


def test_a_setting_of_the_decision_without_words_is_told_as_it_is(contents) -> None:
    decision = {**contents.experiment["decision"], "gate": {"refuse": 0.05}, "prior": {"share": 0.1, "other": None}, "unset": None}
    text = methods.methods(dataclasses.replace(contents, experiment={**contents.experiment, "decision": decision}), None)
    assert "Further settings of the decision: gate (refuse 0.05); prior (share 0.1) [@saerens2002]." in text
    assert "unset" not in text


def test_a_linear_probe_has_no_fine_tuning(contents, make_settings) -> None:
    probe = dataclasses.replace(contents, experiment=make_settings(transfer={"strategy": "linear-probe"}))
    text = " ".join(training_text(probe))
    assert "logistic regression" in text
    assert "AdamW" not in text
    assert "turned by" not in text


def test_a_head_that_was_fitted_twice_is_told(contents) -> None:
    begun = dataclasses.replace(contents, logs={**contents.logs, "0": [{"event": "probe"}, {"event": "begun"}]})
    assert "to which the head was fitted anew" not in " ".join(training_text(contents))
    assert "to which the head was fitted anew" in " ".join(training_text(begun))


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("claim_2024", [str(number) for number in range(1, 45)]),
        ("tripod_ai", TRIPOD_AI),
    ],
)
def test_a_checklist_has_every_item_and_knows_its_answers(name: str, ids: list[str], contents) -> None:
    filled = checklist.filled(name, answers(contents, AUDIT, TABLES))
    assert filled.rows["item"].tolist() == ids
    assert set(filled.rows["state"]) <= set(checklist.STATES)
    assert checklist.AUTHOR in set(filled.rows["state"])


def test_no_answer_is_there_in_vain(contents) -> None:
    place = Path(checklist.__file__).parent / "checklists"
    asked = {item.get("answer") for name in checklist.NAMES for item in yaml.safe_load((place / f"{name}.yaml").read_text())["items"]}
    assert asked - {None} == set(answers(contents, AUDIT, TABLES))


def test_every_pointer_leads_somewhere(folder: Path) -> None:
    headings = re.findall(r"^## (.*)$", (folder / "methods.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for name in checklist.NAMES:
        rows = pd.read_csv(folder / f"checklist_{name}.csv", dtype=str, keep_default_na=False)
        for pointer in {pointer for where in rows["where"] for pointer in where.split("; ") if pointer}:
            file, _, heading = pointer.partition("#")
            assert (folder / file).is_file(), pointer
            assert not heading or heading in headings, pointer


def test_ethics_and_funding_are_never_answered(contents) -> None:
    for name, items in (("claim_2024", ["2", "4", "5", "44"]), ("tripod_ai", ["17", "18a", "18b", "19"])):
        rows = checklist.filled(name, answers(contents, AUDIT, TABLES)).rows.set_index("item")
        assert (rows.loc[items, "state"] == checklist.AUTHOR).all()
        assert (rows.loc[items, "answer"] == "").all()


def test_a_torn_group_is_counted(contents) -> None:
    assert "no patient stands in two parts" in answers(whole(contents), None, TABLES)["unit"].text
    rows = whole(contents).records.copy()
    rows.loc[rows.index[0], "group_id"] = rows.loc[rows.index[-1], "group_id"]
    torn = dataclasses.replace(contents, records=rows)
    assert "1 groups stand in several parts" in answers(torn, None, TABLES)["unit"].text


def whole(contents) -> Any:
    """The made contents use the same groups in test and validation; here each part has its own."""
    rows = contents.records.copy()
    rows["group_id"] = rows["split"] + rows["group_id"]
    return dataclasses.replace(contents, records=rows)


def test_the_flow_counts(contents) -> None:
    said = flow_text(whole(contents)).splitlines()
    entry = contents.metrics["splits"]["test"]
    (well, ill), (missed, found) = entry["confusion"]
    assert said[0] == "120 images in the tables"
    assert said[2:5] == ["Used: 120 images, of 60 patients", "  validation: 60 images, 30 patients", "  test: 60 images, 30 patients"]
    assert said[5:] == [
        "Judged: test, 60 images of 30 patients",
        f"  called well: {well + missed} images, {well} well, {missed} ill",
        f"  called ill: {ill + found} images, {ill} well, {found} ill",
    ]


def test_who_got_no_answer_is_not_called(contents) -> None:
    rows = contents.predictions.copy()
    rows.loc[(rows["split"] == "test") & (rows["truth"] == "ill"), ["decision", "reason"]] = ["no answer", "too dark [QUALITY]"]
    silent = answered.completed(dataclasses.replace(contents, predictions=rows))
    entry = silent.metrics["splits"]["test"]
    (well, ill), (missed, found) = entry["confusion"]
    assert flow_text(whole(silent)).splitlines()[6:] == [
        f"  called well: {well} images, {well} well, 0 ill",
        f"  called ill: {ill} images, {ill} well, 0 ill",
        f"  no answer: {missed + found} images, {missed + found} QUALITY",
    ]
    said = " ".join(of_evaluation.evaluation_text(silent))
    assert f"0 found, 0 missed, {missed + found} unanswered. Figures are of every image read, had its answer been given" in said


def test_a_guarantee_is_not_said_to_be_chosen_on_validation(contents) -> None:
    promise = {
        "measure": "recall", "at_least": 0.9, "confidence": 0.9, "needed": 22, "groups": [30], "wrong": [0], "unit": "patient",
        "domains": [],
    }  # fmt: skip
    package = {**contents.package, "operating_point": {**contents.package["operating_point"], "guarantee": promise}}
    said = " ".join(of_model.decision_text(dataclasses.replace(contents, package=package)))
    assert "chosen on held-out images that chose nothing else by the rule" in said
    assert "Guaranteed with 90 % confidence" in said


def test_what_was_held_out_of_a_single_training_calibrated_no_ensemble(contents, make_settings) -> None:
    rows = contents.records.copy()
    rows.loc[rows.index[:6], "split"] = "calibration"
    decision = {"conformal": {"alpha": 0.2}}
    held = dataclasses.replace(contents, records=rows, experiment={**contents.experiment, "decision": decision})
    said = " ".join(of_data.partition_text(held, None))
    assert "nothing was trained on or chosen by them; only prediction sets were fitted on them" in said
    assert "ensemble" not in said


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ({}, "target shares of 15 % for validation, 20 % for test. "),
        ({"held_out": 0.1}, "target shares of 15 % for validation, 20 % for test, 10 % for calibration. "),
        ({"held_out": 0.1, "folds": 5}, "set aside for validation; 10 % of all groups stood in no fold. "),
        ({"held_out": 0.1, "column": "split"}, "of the source's table, and of the training groups 10 % were held out by a hash. "),
    ],
)
def test_the_shares_of_the_parts_name_what_is_held_out(contents, make_settings, split: dict[str, Any], said: str) -> None:
    assert said in " ".join(of_data.partition_text(dataclasses.replace(contents, experiment=make_settings(split=split)), None))


def test_an_image_out_of_scope_is_not_called_broken(contents) -> None:
    rows = contents.records.copy()
    rows.loc[rows.index[:3], "split"] = "excluded"
    measured = rows[["image", "frame"]].assign(quarantine="", reason="", format="PNG")
    measured.loc[measured.index[:2], "quarantine"], measured.loc[measured.index[2], "quarantine"] = "OUT_OF_SCOPE", "DECODE_FAILED"
    left = dataclasses.replace(contents, records=rows, measurements=measured)
    assert flow_text(left).splitlines()[1:3] == ["  left out: quarantined: DECODE_FAILED, 1", "  left out: outside the stated scope, 2"]


def test_who_was_left_out_stands_in_the_flow(contents) -> None:
    rows = contents.records.copy()
    rows.loc[rows.index[:5], "split"], rows.loc[rows.index[:2], "label"] = "excluded", ""
    left = dataclasses.replace(contents, records=rows)
    assert flow_text(left).splitlines()[1:3] == ["  left out: no label, 2", "  left out: left out by the split, 3"]
    assert "2 no label\n3 left out by the split" in {text.get_text().removeprefix("Left out\n") for text in flow_figure(left).axes[0].texts}


def test_the_flow_of_many_classes_stays_inside_its_page(make_contents) -> None:
    names = [f"a-very-long-class-name-{index}" for index in range(6)]
    figure = flow_figure(make_contents(names=names))
    figure.canvas.draw()
    width = figure.get_figwidth() * figure.dpi
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert 0 <= box.x0 < box.x1 <= width, text.get_text()


def test_many_folds_are_told_in_one_box(make_table, make_contents) -> None:
    folds = pd.concat([make_table(n=10 + fold, seed=fold, fold=str(fold)) for fold in range(12)], ignore_index=True)
    folds["image"] = folds["fold"] + folds["image"]
    contents = make_contents(predictions=folds, splits=("test",))
    contents = dataclasses.replace(contents, records=contents.records.assign(split=""))
    said = {text.get_text() for text in flow_figure(contents).axes[0].texts}
    assert "12 parts\n10 to 21 images each" in said
    assert "  fold 12: 21 images, 11 patients" in flow_text(contents).splitlines()


def test_figures_for_print(make_contents, tmp_path: Path) -> None:
    write_figure(flow_figure(make_contents(names=THREE)), "flow", tmp_path)
    with Image.open(tmp_path / "figures" / "flow.tiff") as picture:
        assert picture.mode == "RGB"
        assert [round(float(dots)) for dots in picture.info["dpi"]] == [300, 300]
        assert picture.width == pytest.approx(7.1 * 300, abs=1)
    assert ">Judged: test" in (tmp_path / "figures" / "flow.svg").read_text(encoding="utf-8"), "text stays text"


def test_without_python_docx_all_else_is_written(contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "word_is_there", lambda: False)
    monkeypatch.setattr("medtl.paper.figures.figures", lambda _: iter(()))
    lacking = kit.write_kit(contents, None, tmp_path)
    assert lacking == ["tables.docx needs python-docx, which is not installed: pip install 'medtl[paper]'"]
    assert not (tmp_path / "tables.docx").exists()
    assert lacking[0] in (tmp_path / "README.md").read_text(encoding="utf-8")
