"""`medtl study` with a search: proposals, pruning, resuming, sharing, test opened for two. Training is played by a formula, but for the
last test, which trains."""

from __future__ import annotations

import json
import math
import runpy
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from medtl import predictions, records
from medtl.errors import MedtlError
from medtl.evaluation import metrics_file
from medtl.experiment.load import load_experiment
from medtl.experiment.save import save_experiment
from medtl.experiment.schema import Experiment
from medtl.files import claimed
from medtl.flows import search, searching
from medtl.flows.run import Run
from medtl.flows.study import _site, study
from medtl.study import journal
from medtl.study.trials import name_of
from medtl.training.job import Watch

ROOT = Path(__file__).parents[2]
BASE = """
name: played
task: {classes: {disc: [disc], square: [square]}, positive: square}
cohorts: [{name: folders}]
split: {by: image}
image: {size: 32, channels: 1}
backbone: {name: mobilenetv3_small_050, weights: none}
transfer: {strategy: scratch, epochs: 8, rate: 0.03}
trainer: {device: cpu, threads: 1, precision: float32}
"""
STUDY = """
name: played-search
base: base.yaml
search:
  space: {transfer.rate: {low: 1e-5, high: 1e-1, log: true}, transfer.dropout: {low: 0, high: 0.5}}
  trials: 12
seeds: [0, 1, 2]
"""
IMAGES = 120


class Played:
    """A training whose validation score is best at a rate of 0.001 and falls off by decades."""

    def __init__(self) -> None:
        self.epochs: Counter[str] = Counter()
        self.begun: list[str] = []
        self.opened: list[str] = []
        self.die_after: int | None = None
        self.seconds = 0.0

    def train(self, base: Path, root: Path, *, overrides: Sequence[str], out: Path, resume: bool, watch: Watch, **_: Any) -> None:
        experiment = load_experiment(base, overrides)
        out.mkdir(parents=True, exist_ok=True)
        save_experiment(experiment, out / "experiment.yaml")
        self.begun.append(out.name)
        score = goodness(experiment)
        for epoch in range(experiment.transfer.epochs):
            if self.die_after is not None and sum(self.epochs.values()) >= self.die_after:
                raise KeyboardInterrupt
            self.epochs[out.name] += 1
            time.sleep(self.seconds)
            watch(epoch, score * (epoch + 1) / experiment.transfer.epochs)
        write_run(experiment, out, score)

    def evaluate_run(self, run: Run, *_: object) -> None:
        self.opened.append(run.folder.name)
        table = run.records()
        tested = answers(table[table["split"] == "test"], goodness(run.experiment), run.experiment.seed)
        predictions.write(pd.concat([run.predictions(), tested]), run.folder / "predictions.csv")
        metrics_file.write(run.folder / "metrics.json", {**run.metrics()["splits"], "test": entry()}, "image", 1)


def goodness(experiment: Experiment) -> float:
    return 0.95 - 0.08 * (math.log10(experiment.transfer.rate) + 3) ** 2 - 0.02 * experiment.transfer.dropout


def write_run(experiment: Experiment, folder: Path, score: float) -> None:
    """The files of a finished run."""
    names = [f"{number:03}.png" for number in range(IMAGES)]
    labels = np.where(np.arange(IMAGES) % 2 == 0, "disc", "square")
    split = np.array([("test", "train", "validation")[number // 2 % 3] for number in range(IMAGES)])
    if experiment.split.fold is not None:
        outer = np.arange(IMAGES) // 2 % (experiment.split.folds or 1) == experiment.split.fold
        split = np.where(outer, "test", np.where(np.arange(IMAGES) % 7 < 2, "validation", "train"))
    table = pd.DataFrame({"image": names, "frame": 0, "sha256": names, "label": labels, "patient_id": "", "group_id": names})
    table = table.assign(group_kind="image", domain="here", split=split, fold="")
    records.write(table, folder / "records.csv")
    predictions.write(answers(table[table["split"] == "validation"], score, experiment.seed), folder / "predictions.csv")
    metrics_file.write(folder / "metrics.json", {"validation": entry()}, "image", 0)
    log = {"time": 1.0, "cpu": 1.0, "event": "fitted", "tuned": {"validation_auroc": score}}
    (folder / "log.jsonl").write_text(json.dumps({"time": 0.0, "cpu": 0.0, "event": "begin"}) + "\n" + json.dumps(log) + "\n")
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_text("{}")


def answers(rows: pd.DataFrame, score: float, seed: int) -> pd.DataFrame:
    number = rows["image"].str[:3].astype(int).to_numpy()
    noise = np.random.default_rng(seed).normal(size=(2, IMAGES))[:, number]
    odds = (
        12 * (score - 0.75) * np.where(rows["label"] == "square", 1, -1)
        + 1.5 * np.random.default_rng(99).normal(size=IMAGES)[number]
        + noise[0] / 5
    )
    p, own = 1 / (1 + np.exp(-odds)), rows[["image", "frame", "domain", "split", "fold", "group_id"]]
    said = np.where(odds > 0, "square", "disc")
    own = own.assign(member="", view="plain", truth=rows["label"], logit_disc=-odds / 2, logit_square=odds / 2, p_disc=1 - p, p_square=p)
    return own.assign(predicted=said, decision=said, reason="")


def entry() -> dict[str, Any]:
    return {"auroc": {"value": 0.8, "low": 0.7, "high": 0.9}, "macro_f1": {"value": 0.7}}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    made = Played()
    monkeypatch.setattr("medtl.flows.trials.train", made.train)
    monkeypatch.setattr("medtl.flows.trials.evaluate_run", made.evaluate_run)
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path / "study.yaml"


def varied(file: Path, *pairs: tuple[str, str]) -> Path:
    text = file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    return file


def test_the_base_comes_first_the_best_is_found_and_only_these_two_open_test(played: Played, file: Path) -> None:
    out = study(file, out=file.parent / "out")
    table = pd.read_csv(out / "trials.csv")
    tried = table[table["seed"] == 0]
    assert played.begun[0] == tried["trial"][0] == table.loc[table["arm"] == "base", "trial"].iloc[0]
    assert len(tried) == 12
    assert tried["trial"].is_unique
    assert Counter(table["arm"]) == {"base": 3, "best": 3, "search": 10}
    best = tried.loc[tried["arm"] == "best"].iloc[0]
    assert best["validation"] == tried["validation"].max() > tried["validation"][0]
    assert name_of(load_experiment(out / "best.yaml")) == best["trial"], "a config that comes to the same experiment"
    assert set(played.opened) == set(table.loc[table["arm"].isin(["base", "best"]), "trial"])
    assert len(played.opened) == 6, "each of them once"
    assert table.loc[table["arm"] == "search", "auroc"].isna().all()
    assert tried["validation"].max() > 0.9
    claims = {claim["what"]: claim for claim in json.loads((out / "study.json").read_text())["claims"]}
    assert claims["chosen on validation"]["transfer.rate"] == json.loads(best["settings"])["transfer.rate"]
    assert claims["gain on test over the base"]["shown"]
    page = (out / "study.html").read_text()
    assert "How the search went" in page
    assert "only the base and the best opened test images" in page


def test_a_pruned_trial_stops_early_and_is_written_down_as_such(played: Played, file: Path) -> None:
    out = study(varied(file, ("trials: 12", "trials: 20"), ("[0, 1, 2]", "[0]")), out=file.parent / "out")
    table = pd.read_csv(out / "trials.csv")
    pruned = table[table["state"] == "pruned"]
    assert len(pruned)
    assert all(3 <= played.epochs[trial] < 8 for trial in pruned["trial"]), "after a third of the epochs, before the last"
    assert all(played.epochs[trial] == 8 for trial in table.loc[table["state"] == "done", "trial"])
    assert not any((out / "trials" / trial / "model").exists() for trial in pruned["trial"])
    assert pruned["auroc"].isna().all()
    assert (pruned["validation"] < table["validation"].max()).all()
    assert not set(pruned["trial"]) & set(played.opened)


def test_hyperband_prunes_as_well(played: Played, file: Path) -> None:
    out = study(varied(file, ("trials: 12", "trials: 16\n  pruner: hyperband"), ("[0, 1, 2]", "[0]")), out=file.parent / "out")
    states = Counter(pd.read_csv(out / "trials.csv")["state"])
    assert states["done"] + states["pruned"] == 16
    assert states["pruned"]


def test_a_killed_search_goes_on_with_the_trial_that_was_running(played: Played, file: Path, tmp_path: Path) -> None:
    varied(file, ("[0, 1, 2]", "[0]"))
    played.die_after = 8 + 5  # in the second trial
    with pytest.raises(KeyboardInterrupt):
        study(file, out=tmp_path / "out")
    running = played.begun[-1]
    with (tmp_path / "out" / journal.FILE).open("a") as torn:
        torn.write('{"op_code": 6, "tri')  # a kill in the middle of a line
    played.die_after = None
    out = study(file, out=tmp_path / "out")
    assert played.begun.count(running) == 2
    table = pd.read_csv(out / "trials.csv").set_index("trial")
    assert table["state"][running] in ("done", "pruned")
    assert len(table[table["seed"] == 0]) == 12
    assert not table["state"].eq("waiting").any()
    memory = optuna.load_study(study_name="search", storage=journal.open_journal(out))
    assert all(trial.state.is_finished() for trial in memory.trials)

    fresh = Played()
    played.begun, played.epochs = fresh.begun, fresh.epochs
    study(file, out=tmp_path / "out")
    assert played.begun == [], "a search that is over is only read"
    again = study(file, out=tmp_path / "uninterrupted")
    assert set(pd.read_csv(again / "trials.csv")["trial"]) == set(table.index), "a kill changes no proposal"


def test_a_proposal_whose_worker_died_before_it_began_costs_nothing(played: Played, file: Path, tmp_path: Path) -> None:
    road = planned(file, tmp_path / "out")
    (tmp_path / "out").mkdir()
    road.memory(road.parts[0]).ask({each.key: each.distribution() for each in road.space})
    searching.run(road)
    assert len(pd.read_csv(tmp_path / "out" / "trials.csv").query("seed == 0")) == 12


def test_a_running_trial_of_another_worker_is_left_to_it(played: Played, file: Path, tmp_path: Path) -> None:
    played.die_after = 8 + 5
    with pytest.raises(KeyboardInterrupt):
        study(file, out=tmp_path / "out")
    played.die_after = None
    running = played.begun[-1]
    with claimed(tmp_path / "out" / "claims" / running):
        out = study(file, out=tmp_path / "out")
        assert played.begun.count(running) == 1
        assert played.opened == [], "the search is not over"
        assert pd.read_csv(out / "trials.csv").set_index("trial")["state"][running] == "waiting"
        assert "Not complete" in (out / "study.html").read_text()


def planned(file: Path, out: Path) -> search.Search:
    site = _site(file, None, None, (), out, 1)
    assert site.study.search is not None
    return search.plan(site, site.study.search)


def test_two_workers_share_the_budget_and_train_nothing_twice(played: Played, file: Path, tmp_path: Path) -> None:
    played.seconds = 0.01
    (tmp_path / "out").mkdir()
    roads = [planned(file, tmp_path / "out") for _ in range(2)]
    workers = [threading.Thread(target=searching.run, args=(road,)) for road in roads]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    table = pd.read_csv(tmp_path / "out" / "trials.csv")
    assert len(table[table["seed"] == 0]) == 12
    assert max(Counter(played.begun).values()) == 1
    assert set(played.begun) == set(table["trial"])
    assert max(Counter(played.opened).values()) == 1


def test_a_small_space_is_exhausted_and_no_point_of_it_trained_twice(played: Played, file: Path) -> None:
    space = "{imbalance.loss: [cross-entropy, focal], transfer.dropout: [0, 0.2]}"
    varied(
        file, ("{transfer.rate: {low: 1e-5, high: 1e-1, log: true}, transfer.dropout: {low: 0, high: 0.5}}", space), ("[0, 1, 2]", "[0]")
    )
    table = pd.read_csv(study(file, out=file.parent / "out") / "trials.csv")
    assert len(table) == 4, "the base is one of the four"
    assert table["trial"].is_unique


def test_an_impossible_combination_is_a_failed_trial_with_its_reason(played: Played, file: Path) -> None:
    space = "{transfer.batch_norm: [train, frozen], transfer.dropout: [0.1, 0.2]}"
    varied(
        file, ("{transfer.rate: {low: 1e-5, high: 1e-1, log: true}, transfer.dropout: {low: 0, high: 0.5}}", space), ("[0, 1, 2]", "[0]")
    )
    out = study(file, out=file.parent / "out")
    table = pd.read_csv(out / "trials.csv")
    assert sorted(table["state"]) == ["done", "done", "failed", "failed"], "two of four points, and of them the base is one"
    assert table.loc[table["state"] == "failed", "reason"].str.contains("scratch loads nothing").all()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("transfer.dropout", "transfer.drpout", "study.yaml:5: search.space.transfer.drpout: is unknown; did you mean 'dropout'"),
        ("high: 0.5", "high: 1.5", "search.space.transfer.dropout: 1.5 is not allowed; allowed: ≥ 0 and < 1"),
        ("transfer.dropout: {low: 0, high: 0.5}", "imbalance.loss: [focl, focal]", "'focl' is not allowed"),
        ("transfer.dropout: {low: 0, high: 0.5}", "transfer.epochs: {low: 1.5, high: 3}", "is a whole number"),
        ("transfer.dropout: {low: 0, high: 0.5}", "transfer.epochs: [null, 3]", "None is not allowed; allowed: ≥ 1"),
        ("transfer.dropout: {low: 0, high: 0.5}", "transfer.monitor: [auroc, loss]", "is what the search goes by"),
        ("transfer.dropout: {low: 0, high: 0.5}", "transfer.strategy: {low: 0, high: 1}", "has no low and high"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_trained(
    played: Played, file: Path, old: str, new: str, sentence: str
) -> None:
    with pytest.raises(MedtlError) as caught:
        study(varied(file, (old, new)), out=file.parent / "out")
    assert sentence in str(caught.value)
    assert not (file.parent / "out").exists()


def test_what_was_proposed_for_one_base_is_not_told_of_another(played: Played, file: Path) -> None:
    base = file.parent / "base.yaml"
    out = study(varied(file, ("trials: 12", "trials: 3"), ("[0, 1, 2]", "[0]")), out=file.parent / "out")
    best, begun = (out / "best.yaml").read_text(), len(played.begun)
    base.write_text(BASE.replace("epochs: 8", "epochs: 2"))
    with pytest.raises(MedtlError, match=r"begun with other settings.*base\.yaml, --set or --weights.*another --out"):
        study(file, out=out)
    base.write_text(BASE)
    with pytest.raises(MedtlError, match="begun with other settings"):
        study(file, out=out, overrides=["transfer.epochs=2"])
    assert ((out / "best.yaml").read_text(), len(played.begun)) == (best, begun), "nothing was trained or chosen"
    study(file, out=out, overrides=["trainer.threads=2"])
    assert len(played.begun) == begun


def test_nested_each_fold_is_searched_without_its_images_which_then_judge(played: Played, file: Path) -> None:
    out = study(varied(file, ("trials: 12", "trials: 4\n  nested: 3"), ("[0, 1, 2]", "[0]")), out=file.parent / "out")
    table = pd.read_csv(out / "trials.csv")
    assert (table[table["seed"] == 0].groupby("fold").size() == 4).all()
    assert sorted(table["fold"].unique()) == [0, 1, 2]
    judged: list[str] = []
    for fold, own in table.groupby("fold"):
        assert all(load_experiment(out / "trials" / trial / "experiment.yaml").split.fold == fold for trial in own["trial"])
        outer = set()
        for trial in own.loc[own["state"] == "done", "trial"]:
            parts = records.read(out / "trials" / trial / "records.csv").groupby("split")["image"].agg(set)
            outer = parts["test"]
            assert not outer & (parts["train"] | parts["validation"])
            seen = predictions.read(out / "trials" / trial / "predictions.csv")
            assert set(seen.loc[seen["split"] == "test", "image"]) == (outer if trial in played.opened else set())
        judged += sorted(outer)
    assert sorted(judged) == [f"{number:03}.png" for number in range(IMAGES)], "each image is judged once"
    claims = {claim["what"]: claim for claim in json.loads((out / "study.json").read_text())["claims"]}
    assert claims["searching and training"]["shown"]
    assert list(pd.read_csv(out / "study" / "folds.csv")["fold"]) == [0, 1, 2]
    assert all(load_experiment(out / f"best-{fold}.yaml").split.fold == fold for fold in range(3))


def test_the_folds_of_a_nested_search_are_not_the_users(played: Played, file: Path) -> None:
    varied(file, ("trials: 12", "trials: 5\n  nested: 3"))
    with pytest.raises(MedtlError, match="`nested` decides"):
        study(file, overrides=["split.folds=4"], out=file.parent / "out")
    with pytest.raises(MedtlError, match="is searched by the study itself"):
        study(file, overrides=["transfer.rate=0.1"], out=file.parent / "out")


def test_over_folds_a_step_is_what_the_run_would_come_to(file: Path) -> None:
    from medtl.flows.pruning import Pruning

    memory = optuna.create_study(direction="maximize", pruner=optuna.pruners.NopPruner())
    trial = memory.ask()
    watch = Pruning(trial, load_experiment(file.parent / "base.yaml", ["split.folds=2", "transfer.epochs=3"]), steps=10)
    for epoch, score in enumerate([0.5, 0.6, 0.7, 0.9, 0.9, 1.0]):
        watch(epoch, score)
    assert memory.trials[0].intermediate_values == pytest.approx({1: 0.5, 2: 0.6, 5: 0.7, 6: 0.8, 7: 0.8, 10: 0.85})


def test_a_search_trains_and_a_pruner_ends_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    runpy.run_path(str(ROOT / "tools" / "made_pictures.py"))["make_pictures"](folder, 30)
    short = BASE.replace("epochs: 8, rate: 0.03", "epochs: 3, batch: 8, rate: 0.001").replace(
        "{by: image}", "{by: image, test: 0.6, seed: 3}"
    )
    (folder / "base.yaml").write_text(short)
    (folder / "study.yaml").write_text(STUDY.replace("trials: 12", "trials: 2").replace("[0, 1, 2]", "[0]").replace("1e-1", "2e-3"))
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: True)
    out = study(folder / "study.yaml", out=tmp_path / "out")
    table = pd.read_csv(out / "trials.csv").set_index("arm")
    assert table["state"].to_dict() == {"base": "done", "search": "pruned"}, "the base is never pruned"
    assert list(table["auroc"].notna()) == [True, False]
    pruned = out / "trials" / table["trial"]["search"]
    assert sum(json.loads(line)["event"] == "epoch" for line in (pruned / "log.jsonl").read_text().splitlines()) == 1
    assert not (pruned / "model").exists()
    assert not (pruned / "checkpoints").exists()
