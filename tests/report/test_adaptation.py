"""What a report says of a model that was adapted, or was not, to a place whose labels are hidden."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from medtl.experiment.schema import Experiment
from medtl.paper.of_model import training_text
from medtl.report import adaptation, population, summary, training

RELEASE: dict[str, Any] = {
    "released": "source-only", "candidate": "coral", "chosen_by": "named in the config as the primary method", "target": "there",
    "target_images": 64, "margin": 0.02, "veto": "it no longer finds ill among the target's images, which source-only does",
    "reason": "no labelled target patients", "oracle": None,
}  # fmt: skip


@pytest.mark.parametrize(("released", "said"), [("source-only", "not adapted (source-only)"), ("coral", "adapted by coral")])
def test_page_one_says_whose_figures_these_are(make_contents: Any, released: str, said: str) -> None:
    told = summary.basis(make_contents(release={**RELEASE, "released": released}))
    assert told.endswith(f"The model is meant for 'there', and is {said}; these figures are of the source, not of 'there'.")
    assert "meant for" not in summary.basis(make_contents())


def test_a_veto_is_told_once() -> None:
    told = " ".join(adaptation.sentences(RELEASE))
    assert told.count("no longer finds ill") == 1
    reason = f"vetoed without labels: {RELEASE['veto']}. AUROC adapted - source-only is 0.157"
    assert " ".join(adaptation.sentences({**RELEASE, "reason": reason})).count("no longer finds ill") == 1


def test_images_whose_class_is_hidden_have_a_row(make_contents: Any) -> None:
    contents = make_contents(splits=("test",))
    assert all(row[0] != "class: not known" for row in population.table_one(contents)[0].rows)
    rows = contents.records.assign(label=["", *contents.records["label"].iloc[1:]])
    table = population.table_one(dataclasses.replace(contents, records=rows))[0]
    named = {row[0]: row[1] for row in table.rows}
    assert named["class: not known"].startswith("1 (")
    counts = [int(named[name].split(" ")[0]) for name in ("class: well", "class: ill", "class: not known")]
    assert sum(counts) == len(rows)


def test_the_epoch_that_was_kept_is_named_not_the_best_one(make_contents: Any) -> None:
    def event(epoch: int, score: float, **more: bool) -> dict[str, Any]:
        return {"event": "epoch", "epoch": epoch, "loss": 1.0, "validation_auroc": score, "rate": 1e-3, "seconds": 2.0, **more}

    logs = {"source-only": [event(1, 0.9), event(2, 0.8)], "shot": [event(1, 0.9, settled=False), event(2, 0.6)]}
    table = training.trainings_table(make_contents(release=RELEASE, logs=logs))
    assert table is not None
    assert [row[2:] for row in table.rows] == [["1 of 2", "0.900"], ["2 of 2", "0.600"]]
    assert table.note.endswith("Of shot the last epoch is kept: source validation would choose the least adapted.")


@pytest.mark.parametrize(
    ("released", "said"), [("coral", "The last of 3 epochs was kept"), ("source-only", "best validation score (AUROC) was kept: epoch 3")]
)
def test_methods_of_a_manuscript_say_what_was_released(make_contents: Any, released: str, said: str) -> None:
    epoch = {"event": "epoch", "loss": 1.0, "validation_auroc": 0.9, "rate": 1e-3, "seconds": 2.0}
    logs = {
        "source-only": [{**epoch, "epoch": number} for number in (1, 2, 3)],
        "coral": [*({**epoch, "epoch": number, "settled": False} for number in (1, 2)), {**epoch, "epoch": 3}],
    }
    scores: dict[str, dict[str, float]] = {"source-only": {}, "coral": {}}
    contents = make_contents(logs=logs, release={**RELEASE, "released": released, "scores": scores}, experiment=resolved())
    contents.package["training"] = {"history": [{"tuned": {"epochs": 3, "best_epoch": 3}}]}
    told = " ".join(training_text(contents))
    assert said in told
    assert "(source-only), coral adapted to 64 training images of 'there' without their labels" in told
    assert told.endswith(f"Released was {released}: no labelled target patients. It ran on cpu in float32; random seed 0.")


def resolved() -> dict[str, Any]:
    config: dict[str, Any] = {
        "name": "x", "task": {"classes": {"well": ["w"], "ill": ["i"]}}, "cohorts": [{"name": "folders"}],
        "trainer": {"device": "cpu", "precision": "float32"},
        "backbone": {"name": "test_resnet", "weights": "none"}, "transfer": {"strategy": "scratch"},
    }  # fmt: skip
    return Experiment.model_validate(config).model_dump(mode="json")
