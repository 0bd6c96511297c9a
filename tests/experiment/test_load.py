"""Loading a config: every kind of mistake has its sentence, and all mistakes are told at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medtl.errors import MedtlError, Mistakes
from medtl.experiment.load import data_root, json_schema, load_experiment
from medtl.imbalance.losses import focal

Write = Callable[..., Path]


def mistakes(file: Path, *overrides: str) -> list[str]:
    """The sentences without the folder of the file."""
    with pytest.raises(Mistakes) as caught:
        load_experiment(file, overrides)
    return [sentence.replace(str(file), file.name) for sentence in caught.value.mistakes]


def test_a_right_config_loads(write: Write) -> None:
    experiment = load_experiment(write())
    assert experiment.name == "pneumonia"
    assert experiment.transfer.epochs == 3
    assert isinstance(experiment.imbalance.loss, focal.Settings)
    assert experiment.cohorts[0].patient is not None
    assert experiment.cohorts[0].patient.pattern == r"(person\d+)"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("epochs: 3", "epochs: ten", "config.yaml:11: transfer.epochs: 'ten' is no whole number; allowed: ≥ 1"),
        ("epochs: 3", "epochs: 0", "config.yaml:11: transfer.epochs: 0 is too small; allowed: ≥ 1"),
        ("epochs: 3", "epochs: 2.5", "config.yaml:11: transfer.epochs: 2.5 is no whole number; allowed: ≥ 1"),
        ("epochs: 3", "epochs: true", "config.yaml:11: transfer.epochs: true is no number"),
        ("epochs: 3", "epochs:", "config.yaml:11: transfer.epochs: has no value; allowed: ≥ 1"),
        ("epochs: 3", "epochs: [3]", "config.yaml:11: transfer.epochs: [3] is no whole number; allowed: ≥ 1"),
        ("epochs: 3", "rate: fast", "config.yaml:11: transfer.rate: 'fast' is no number; allowed: > 0"),
        ("epochs: 3", "rate: .inf", "config.yaml:11: transfer.rate: inf is no finite number; allowed: > 0"),
        ("epochs: 3", "warmup: 1", "config.yaml:11: transfer.warmup: 1 is too large; allowed: ≥ 0 and < 1"),
        ("epochs: 3", "patience: 0", "config.yaml:11: transfer.patience: 0 is too small; allowed: ≥ 1"),
        (
            "epochs: 3",
            "strategy: lpft",
            "config.yaml:11: transfer.strategy: 'lpft' is not allowed; did you mean 'lp-ft'?; allowed: scratch, linear-probe, partial, ",
        ),
        ("name: pneumonia\n", "name: 2024\n", "config.yaml:1: name: 2024 is no text; put it in quotes"),
        (
            "name: pneumonia\n",
            "name: a/b\n",
            "config.yaml:1: name: 'a/b' is not allowed; allowed: letters, digits, '.', '_' and '-'",
        ),
        (
            "positive: pneumonia",
            "positive: pneumona",
            "config.yaml:4: task.positive: 'pneumona' is no class; did you mean 'pneumonia'?; allowed: normal, pneumonia",
        ),
        (
            "[PNEUMONIA]",
            "[NORMAL]",
            "config.yaml:3: task.classes.pneumonia: 'NORMAL' is already a label of 'normal'; a label belongs to one class",
        ),
        (
            "[PNEUMONIA]",
            "true",
            "config.yaml:3: task.classes.pneumonia: true is no label; allowed: text or numbers, one or a list",
        ),
        (
            "  - name: folders",
            "  - name: folder",
            "config.yaml:6: cohorts[0].name: 'folder' is unknown; did you mean 'folders'?; allowed: ",
        ),
        ("{loss: focal}", "{loss: focl}", "config.yaml:12: imbalance.loss: 'focl' is unknown; did you mean 'focal'?; allowed: "),
        (
            "{loss: focal}",
            "{loss: 3}",
            "config.yaml:12: imbalance.loss: 3 is no choice; allowed: a name, or a mapping with `name`; names: ",
        ),
        (
            "{loss: focal}",
            "{loss: {name: focal, gama: 1}}",
            "config.yaml:12: imbalance.loss.gama: is unknown; did you mean 'gamma'?; allowed: name, gamma",
        ),
        (
            "{loss: focal}",
            "{retrain_classifier: blanced}",
            "config.yaml:12: imbalance.retrain_classifier: 'blanced' is unknown; did you mean 'balanced'?; allowed: balanced, effective",
        ),
        (
            "{loss: focal}",
            "{retrain_classifier: {name: balanced, power: 3}}",
            "config.yaml:12: imbalance.retrain_classifier.power: 3 is too large; allowed: ≥ 0 and ≤ 2",
        ),
        (
            "{loss: focal}",
            "{retrain_classifier: null}",
            "config.yaml:12: imbalance.retrain_classifier: has no value; allowed: false, balanced, effective-number, natural, square-root",
        ),
        ("{loss: focal}", "{loss: {name: focal, gamma: big}}", "config.yaml:12: imbalance.loss.gamma: 'big' is no number; allowed: ≥ 0"),
        (", pattern: '(person\\d+)'}", "}", "config.yaml:8: cohorts[0].patient: "),
        (
            "    domain: children",
            "    domian: children",
            "config.yaml:7: cohorts[0].domian: is unknown; did you mean 'domain'?; allowed: name, domain, folder",
        ),
        (
            "split: {by: patient}",
            "split: {by: patients}",
            "config.yaml:9: split.by: 'patients' is not allowed; did you mean 'patient'?; allowed: patient, lesion, study, image",
        ),
        (
            "split: {by: patient}",
            "split: patient",
            "config.yaml:9: split: 'patient' is no mapping; allowed: a mapping of by, validation, test",
        ),
    ],
)
def test_each_mistake_has_its_sentence(write: Write, old: str, new: str, sentence: str) -> None:
    (found,) = mistakes(write((old, new)))
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("epoch: 1\n", "config.yaml:13: epoch: is unknown; allowed: name, task, scope"),
        ("backbon: {}\n", "config.yaml:13: backbon: is unknown; did you mean 'backbone'?; allowed: name, task"),
        ("scope:\n  age: [5]\n", "config.yaml:14: scope.age: [5] is too short; allowed: a list of 2"),
        ("scope: {age: [9, 5]}\n", "config.yaml:13: scope.age: [9, 5] is no range of ages; allowed: [youngest, oldest] in years, 0 … 130"),
        ("tracking: {mlflow: maybe}\n", "config.yaml:13: tracking.mlflow: 'maybe' is neither true nor false; allowed: true or false"),
        (
            "backbone:\n  options:\n    a: [1]\n",
            "config.yaml:15: backbone.options.a: [1] is not allowed; allowed: text or a whole number or a number or true or false",
        ),
        (
            "backbone: {weights: none}\n",
            "config.yaml:10: transfer.strategy: 'lp-ft' needs pretrained weights, but backbone.weights is none; give",
        ),
        ("keep: [age, patient_name]\n", "config.yaml:13: keep: patient_name: names, birth dates and free text are not taken into records"),
        (
            "decision: {flips: horizontal}\n",
            "config.yaml:13: decision.flips: 'horizontal' asks for mirror images that training does not show (augmentation.flip is none)",
        ),
        (
            "decision: {adjust: 1}\n",
            "config.yaml:13: decision.adjust: 1.0 has no meaning for two classes: the threshold decides there",
        ),
        ("image: {size: 8}\n", "config.yaml:13: image.size: 8 is too small; allowed: ≥ 16 and ≤ 2048"),
    ],
)
def test_each_mistake_in_an_added_section_has_its_sentence(write: Write, more: str, sentence: str) -> None:
    (found,) = mistakes(write(more=more))
    assert found.startswith(sentence)


def test_two_cohorts_of_one_domain_are_refused_at_the_second(write: Write) -> None:
    file = write(("split:", "  - {name: folders, domain: children}\nsplit:"))
    assert mistakes(file) == ["config.yaml:9: cohorts[1].domain: 'children' is also the domain of another cohort; each needs its own"]


def test_missing_keys_are_told_where_they_are_missing(write: Write) -> None:
    file = write()
    file.write_text("# a comment\n\nname: x\ntask:\n  kind: single\n", encoding="utf-8")
    assert [sentence.split("; allowed")[0] for sentence in mistakes(file)] == [
        "config.yaml:3: cohorts: is missing",
        "config.yaml:4: task.classes: is missing",
    ]


def test_eight_mistakes_are_eight_sentences_in_the_order_of_lines(write: Write) -> None:
    file = write(
        ("positive: pneumonia", "positive: pneumona"),
        ("domain: children", "domain: 'two words'"),
        ("(person", "(person["),
        ("by: patient", "by: patients"),
        ("epochs: 3", "epochs: ten\n  epoch: 4"),
        ("focal}", "{name: focal, gama: 1}}"),
        ("name: pneumonia\n", "name: ''\n"),
    )
    found = mistakes(file)
    lines = [int(sentence.split(":")[1]) for sentence in found]
    assert lines in ([1, 4, 7, 9, 11, 12, 13], [1, 4, 7, 8, 9, 11, 12, 13])  # 8: where patterns are compiled
    with pytest.raises(Mistakes, match=rf"config\.yaml: {len(found)} mistakes:"):
        load_experiment(file)


def test_no_sentence_shows_the_machinery(write: Write) -> None:
    file = write(("positive: pneumonia", "positive: [1]"), ("epochs: 3", "epochs: {a: 1}"), ("focal", "{name: focal, gamma: {}}"))
    text = "\n".join(mistakes(file))
    for word in ("pydantic", "http", "Input should", "function-", "Settings", "Experiment"):
        assert word not in text


def test_a_config_runs_nothing(write: Write, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    file = write(
        ("{by: patient}", f"{{_target_: os.system, command: 'touch {trace}'}}"),
        ("{loss: focal}", f"{{loss: {{name: os, $expr: 'touch {trace}'}}}}"),
        ("  - name: folders", "  - name: ../../../evil"),
        ("epochs: 3", "epochs: ${oc.env:HOME}"),
    )
    text = "\n".join(mistakes(file))
    assert "split._target_: is unknown" in text
    assert "imbalance.loss.name: 'os' is unknown" in text
    assert "cohorts[0].name: '../../../evil' is unknown" in text
    assert "transfer.epochs: '${oc.env:HOME}' is no whole number" in text
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text; save the config as UTF-8"),
        (b"# medtl experiment, format 2\nname: x\n", "has format 2, written by a newer medtl; this one reads up to format 1"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(content)
    with pytest.raises(MedtlError) as caught:
        load_experiment(file)
    assert str(caught.value) == f"{file}: {sentence}"


def test_absent_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MedtlError, match="there is no such config file; `medtl init FOLDER` writes a first one"):
        load_experiment(tmp_path / "none.yaml")
    with pytest.raises(MedtlError, match="is a folder; give the config file itself"):
        load_experiment(tmp_path)


def test_a_byte_order_mark_is_no_mistake(write: Write) -> None:
    file = write()
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_experiment(file).name == "pneumonia"


def test_the_data_root_is_the_option_else_the_configs_folder(tmp_path: Path) -> None:
    assert data_root(tmp_path / "c.yaml", None) == tmp_path
    (tmp_path / "images").mkdir()
    assert data_root("elsewhere/c.yaml", tmp_path / "images") == tmp_path / "images"
    with pytest.raises(MedtlError, match=r"there is no such folder"):
        data_root(tmp_path / "c.yaml", tmp_path / "none")


def test_the_json_schema_holds_every_component() -> None:
    schema = json_schema()
    text = json.dumps(schema)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "task", "cohorts"}
    assert {"folders", "csv", "dicom", "medmnist"} <= set(schema["properties"]["cohorts"]["items"]["oneOf"][0]["enum"])
    assert '"gamma"' in text
    assert '"from"' in text
    assert '"from_run"' not in text
