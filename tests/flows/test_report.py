"""`medtl report`, and the reports that training and evaluation leave: gathered from a run's folder, pictures read from the data."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from medtl import measurements
from medtl.audit import kept
from medtl.audit.findings import Finding
from medtl.errors import MedtlError
from medtl.files import write_json
from medtl.flows.audit import audit_run
from medtl.flows.evaluate import evaluate
from medtl.flows.report import report, said
from medtl.flows.run import load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import open_store
from medtl.records import KEY
from medtl.terminal import Line


@pytest.fixture(autouse=True)
def own_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDTL_STATE", str(tmp_path / "state"))


def text_of(path: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")))


def test_before_and_after_the_test_images_were_opened(make_run):
    run = make_run()
    path = report(run)
    assert path == run / "report.html"
    assert "The test images were not opened." in text_of(path)
    evaluate(run)
    text = text_of(path)
    assert "images, by 1 model, as this installation counts. For this model the test images were opened once." in text
    metrics = json.loads((run / "metrics.json").read_text())
    assert f"{metrics['splits']['test']['auroc']['value']:.3f}" in text
    assert "normal , called ill with" in text
    assert {"test_classes.csv", "validation_classes.csv", "table_1.csv"} <= {file.name for file in (run / "report").iterdir()}


def test_pictures_are_the_images_themselves_and_their_absence_is_said(make_run, data):
    run = make_run()
    path = report(run)
    pictures = len(re.findall("data:image/jpeg", path.read_text()))
    assert pictures > 0
    assert "PNG, 40 × 36 pixels, 8 bit, as stored" in text_of(path)
    shown = re.findall(r"<code>([^<]+\.png)</code>", path.read_text())
    assert len(shown) == pictures
    (data / shown[0]).write_bytes((data / next(name for name in shown if name != shown[0])).read_bytes())
    (data / shown[1]).unlink()
    text = text_of(report(run))
    assert "no picture: the file is no longer the one that was judged" in text
    assert "no picture: does not exist [NOT_FOUND]" in text
    data.rename(data.parent / "elsewhere")
    assert "no picture: the folder of the images is not there" in text_of(report(run))
    assert "data:image/jpeg" in report(run, data.parent / "elsewhere").read_text()


def test_over_folds_curves_and_out_of_fold_results_stand_in_the_report_above(make_run):
    run = make_run(folds=2)
    for fold in range(2):
        epoch = {"event": "epoch", "epoch": 1, "loss": 0.5, "validation_auroc": 0.6125 + fold / 10, "rate": 1e-3, "seconds": 1.0}
        (run / "folds" / str(fold) / "log.jsonl").write_text(json.dumps(epoch) + "\n")
    evaluate(run)
    text = text_of(run / "report.html")
    assert "judged by the one of the 2 networks that did not learn from it (out-of-fold)" in text
    assert "1 - 1 of 1 0.613" in text or "1 - 1 of 1 0.612" in text
    assert "2 - 1 of 1 0.713" in text or "2 - 1 of 1 0.712" in text


def test_an_evaluation_into_another_folder_has_its_report_there(make_run, tmp_path):
    run = make_run()
    evaluate(run, out=tmp_path / "out")
    assert "Test images: the model neither learned from them" in text_of(tmp_path / "out" / "report.html")
    assert not (run / "report.html").exists()


def test_an_outside_evaluation_has_a_report(make_run, write_image: Callable[[Path, int], None], tmp_path):
    place = tmp_path / "outside"
    for i in range(12):
        write_image(place / f"{i}.png", 1000 + i)
    (place / "broken.png").write_bytes(b"no image")
    lines = [f"{i}.png,{'ill' if i % 3 else 'normal'},{i // 2},h{i // 6}" for i in range(12)]
    (place / "m.csv").write_text("\n".join(["image,label,patient_id,domain", *lines, "broken.png,ill,77,h1"]) + "\n")
    evaluate(make_run(), place / "m.csv", out=tmp_path / "out")
    text = text_of(tmp_path / "out" / "report.html")
    assert "External validation: outside images" in text
    assert "Here and where it was made" in text
    assert "Threshold: too few to re-fit" in text
    assert "broken.png NOT_AN_IMAGE" in text
    assert "of the images got an answer; the others: 1 " in text
    assert "No answer is no hit. Of " in text
    assert "By subgroup (95 % interval)" in text
    assert "2 of 2 subgroups have too few cases of a class to be compared." in text
    assert "1 of 13 images cannot be used" in text[text.index("Audit of the images") :]


def test_training_leaves_an_audit_that_stands_in_the_report(make_run, data):
    run = load_run(make_run())
    store = open_store(run.records()[KEY], data, run.experiment.image, cache_dir())
    done = audit_run(run, store, data, Line())
    assert kept.read(run.folder).findings[0].title == done.findings[0].title
    assert any("images are compared with the answers of models that had not learned from them" in sentence for sentence in done.looked)
    torn = Finding("PATIENT_ACROSS_SPLITS", "grave", "2 patients stand in several splits", images=[tuple(run.records().loc[0, KEY])])
    kept.write(dataclasses.replace(done, findings=[torn]), run.folder)
    html = report(run.folder).read_text()
    section = html[html.index('<section class="fresh" id="audit">') : html.index('<section id="training">')]
    assert "2 patients stand in several splits" in section
    assert section.count("data:image/jpeg") == 1
    assert "Audit of the images: 1 grave" in text_of(run.folder / "report.html")


def test_a_run_from_before_there_were_audits_has_one_from_its_tables(make_run, data):
    run = load_run(make_run())
    assert "Audit of the images" not in text_of(report(run.folder))
    store = open_store(run.records()[KEY], data, run.experiment.image, cache_dir())
    measurements.write(store.measurements, run.folder / "measurements.csv")
    text = text_of(report(run.folder))
    assert "From the tables of the run, without features of a network." in text
    assert "labelled images in use" in text


def test_no_folder_of_the_machine_stands_in_a_report(make_run, tmp_path):
    run = make_run()
    settings = (run / "experiment.yaml").read_text()
    (run / "experiment.yaml").write_text(
        settings.replace("weights: none", f"weights: {tmp_path}/some weights.safetensors").replace("strategy: scratch", "strategy: full")
    )
    report(run)
    for file in (run / "report.html", *(run / "report").iterdir()):
        assert str(tmp_path) not in file.read_text()
    assert "some weights.safetensors" in text_of(run / "report.html")


def test_what_goes_wrong_with_a_report_costs_no_run(make_run, capsys, monkeypatch):
    run = make_run()
    write_json(run / "environment.json", {"format": 1, "data_root": 7, "libraries": 5})
    done = evaluate(run, data=make_run("other").parent / "data")
    assert done.metrics["n"] > 0
    assert json.loads((run / "metrics.json").read_text())["looks"] == 1
    message = capsys.readouterr().err
    assert "the report could not be written (" in message
    assert f"all else is complete; to try again: medtl report {run}" in message


def test_a_refusal_is_said_in_its_own_words(capsys):
    def refused() -> Path:
        raise MedtlError("the disk is on holiday")

    said(refused, Line(), "medtl report RUN")
    assert "the report could not be written (the disk is on holiday); all else is complete" in capsys.readouterr().err


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path, make_run):
    with pytest.raises(MedtlError, match=r"holds no experiment\.yaml"):
        report(tmp_path)
    run = make_run()
    (run / "metrics.json").unlink()
    with pytest.raises(MedtlError, match="metrics"):
        report(run)
