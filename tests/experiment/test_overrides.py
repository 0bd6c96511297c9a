"""`--set`: single values replaced from the command line, with the same sentences as in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medtl.errors import Mistakes
from medtl.experiment.load import load_experiment
from medtl.experiment.overrides import weights_override
from medtl.imbalance.losses import focal

Write = Callable[..., Path]


def test_values_are_replaced_added_and_nested(write: Write) -> None:
    experiment = load_experiment(
        write(),
        [
            "transfer.epochs=5",
            "transfer.rate=1e-3",
            "cohorts.0.folder=images",
            "cohorts[0].domain=no",
            "scope.age=[1, 18]",
            "backbone.options.pad_type=same",
            "imbalance.loss.gamma=3",
            "split.seed=7",
        ],
    )
    assert experiment.transfer.epochs == 5
    assert experiment.transfer.rate == 1e-3
    assert experiment.cohorts[0].folder == "images"
    assert experiment.cohorts[0].domain == "no"
    assert experiment.scope.age == (1, 18)
    assert experiment.backbone.options == {"pad_type": "same"}
    assert isinstance(experiment.imbalance.loss, focal.Settings)
    assert experiment.imbalance.loss.gamma == 3
    assert experiment.split.seed == 7


def test_an_override_mends_a_mistake_of_the_file(write: Write) -> None:
    assert load_experiment(write(("epochs: 3", "epochs: ten")), ["transfer.epochs=4"]).transfer.epochs == 4


def test_a_cohort_without_a_list_can_be_overridden(write: Write) -> None:
    file = write(("  - name: folders\n    domain", "  name: folders\n  domain"), ("    patient", "  patient"))
    assert load_experiment(file, ["cohorts.0.folder=a"]).cohorts[0].folder == "a"
    assert load_experiment(file, ["cohorts.folder=a"]).cohorts[0].folder == "a"


def test_a_component_is_exchanged_as_a_whole(write: Write) -> None:
    file = write(("{loss: focal}", "{loss: {name: focal, gamma: 1}}"))
    assert load_experiment(file, ["imbalance.loss=cross-entropy"]).imbalance.loss.name == "cross-entropy"  # type: ignore[attr-defined]


def test_a_weights_file_may_have_any_name(write: Write, tmp_path: Path) -> None:
    for name in ("plain.pth", "a: b #1.pth", "[x], {y}.pth", "1e-3", "é'\".pth"):
        assert load_experiment(write(), [weights_override(tmp_path / name)]).backbone.weights == str(tmp_path / name)


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        (["transfer.epoch=3"], ["--set transfer.epoch=3: transfer.epoch: is unknown; did you mean 'epochs'?; allowed: strategy, stages"]),
        (["transfer.epochs=0"], ["--set transfer.epochs=0: transfer.epochs: 0 is too small; allowed: ≥ 1"]),
        (["transfr.epochs=3"], ["--set transfr.epochs=3: transfr: is unknown; did you mean 'transfer'?"]),
        (["imbalance.loss.gama=3"], ["--set imbalance.loss.gama=3: imbalance.loss.gama: is unknown; did you mean 'gamma'?"]),
        (["adaptation.name=corl"], ["--set adaptation.name=corl: adaptation.name: 'corl' is unknown; did you mean 'coral'?"]),
        (["seed=1", "seed=2"], ["--set seed=2: seed is set twice; keep one"]),
        (["transfer.epochs"], ["--set transfer.epochs: is no `key=value`, such as transfer.epochs=3 or cohorts.0.folder=images"]),
        (["=3"], ["--set =3: is no `key=value`"]),
        (["seed="], ["--set seed=: has no value after '='; write null for none, '' for an empty text"]),
        (["cohorts.1.folder=a"], ["--set cohorts.1.folder=a: cohorts is a list; allowed: a position from 0 to 0"]),
        (["cohorts.first.folder=a"], ["--set cohorts.first.folder=a: cohorts is a list; allowed: a position from 0 to 0"]),
        (["transfer.epochs.x=1"], ["--set transfer.epochs.x=1: transfer.epochs is no mapping; it holds 3"]),
        (["seed=[1"], ["--set seed=[1: expected ',' or ']', but got '<stream end>'"]),
        (["seed={a: 1, a: 2}"], ["--set seed={a: 1, a: 2}: a: given twice; keep one"]),
        (["seed=!!python/name:os.system"], ["--set seed=!!python/name:os.system: the tag 'python/name:os.system'"]),
        (
            ["seed=x", "transfer.epochs=y"],
            ["--set seed=x: seed: 'x' is no whole number", "--set transfer.epochs=y: transfer.epochs: 'y' is no"],
        ),
        (["a", "seed=1", "seed=2"], ["--set a: is no `key=value`", "--set seed=2: seed is set twice"]),
    ],
)
def test_each_mistake_names_the_override(write: Write, overrides: list[str], sentences: list[str]) -> None:
    with pytest.raises(Mistakes) as caught:
        load_experiment(write(), overrides)
    assert len(caught.value.mistakes) == len(sentences)
    for found, expected in zip(caught.value.mistakes, sentences, strict=True):
        assert found.startswith(expected)


def test_mistakes_of_file_and_overrides_stand_together(write: Write) -> None:
    with pytest.raises(Mistakes) as caught:
        load_experiment(write(("epochs: 3", "epochs: ten")), ["seed=x"])
    assert ["--set" in sentence for sentence in caught.value.mistakes] == [False, True]
