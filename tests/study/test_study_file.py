"""The study file: what it expands to, and what is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from medtl.errors import Mistakes
from medtl.experiment.load import load_experiment
from medtl.study.settings import load_study
from medtl.study.space import dimensions, values_in
from medtl.study.trials import name_of, trials_of

ROOT = Path(__file__).parents[2]
STUDY = """
name: a
base: base.yaml
set: [image.size=128]
arms: {scratch: transfer.strategy=scratch, tuned: [transfer.strategy=lp-ft, image.size=64]}
fractions: [0.1, 1]
seeds: [0, 1]
reading: ledger
"""


def _written(folder: Path, text: str) -> Path:
    file = folder / "study.yaml"
    file.write_text(text)
    return file


def test_every_arm_has_every_fraction_and_seed(tmp_path):
    trials = trials_of(load_study(_written(tmp_path, STUDY)))
    assert [(trial.arm, trial.fraction, trial.seed) for trial in trials] == [
        (arm, fraction, seed) for seed in (0, 1) for fraction in (1, 0.1) for arm in ("scratch", "tuned")
    ]
    assert trials[1].overrides == (
        *("image.size=128", "transfer.strategy=lp-ft", "image.size=64"),
        *("split.fraction=1.0", "seed=0"),
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("reading: {name: ledger, reference: scrach}", "did you mean 'scratch'"),
        ("reading: leger", "did you mean 'ledger'"),
        ("fractions: [0, 1]", "fractions[0]"),
        ("seeds: [1, 1]", "names one value twice"),
        ("arms: {}", "arms"),
        ("arms: {scratch: seed=3}", "name it under `seeds`"),
        ("set: [split.fraction=0.1]", "name it under `fractions`"),
        ("arms: {scratch: split.seed=3}", "changes which images are judged"),
        ("arms: {scratch: transfer.strategy}", "is no `key=value`"),
        ("minutes: 0", "minutes"),
        ("seed: 1", "is unknown; did you mean 'seeds'"),
    ],
)
def test_a_mistake_has_its_sentence(tmp_path, wrong, sentence):
    key = wrong.partition(":")[0]
    lines = [line for line in STUDY.splitlines() if not line.startswith(f"{key}:")]
    with pytest.raises(Mistakes) as caught:
        load_study(_written(tmp_path, "\n".join([*lines, wrong])))
    assert sentence in str(caught.value)


def test_a_trial_is_named_by_what_it_learns_not_by_the_machine(tmp_path):
    config = ROOT / "configs" / "smoke.yaml"
    plain = load_experiment(config)
    assert name_of(plain) == name_of(load_experiment(config, ["trainer.threads=3"]))
    assert name_of(plain) != name_of(load_experiment(config, ["seed=3"]))


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_studies_are_right(path):
    study = load_study(path)
    if study.search is not None:
        base = load_experiment(path.parent / study.base, study.set)
        assert values_in(base, dimensions(study.search.space, base, path)), "the sampler learns from the base as well"
        return
    for trial in trials_of(study):
        own = {text.partition("=")[0]: text for text in trial.overrides}
        load_experiment(path.parent / study.base, [*own.values()])
