"""Whom a model's gate refuses: of its own test images (wrongly), and of folders of other images (rightly).

    python benchmarks/gate.py RUN --data DIR --outside adults=DIR --outside skin=DIR …

Of a run whose package is older than the gate, one is fitted as training would. No label of a test image is read. AUROC is of the
out-of-scope score, a folder's images against the run's own test images; `unlike`, `quality`, `scope` are shares of the images that can
be read, each counted by the first reason.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from medtl.batches import Part
from medtl.decisions.outlyingness import METHODS, auroc, fit
from medtl.flows.judging import judge
from medtl.flows.run import Run, load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.model import Model
from medtl.records import KEY
from medtl.terminal import Line
from medtl.training import gate as fitting
from medtl.training.balance import balance
from medtl.training.fit import parts_of
from medtl.training.job import Job
from medtl.training.log import Log
from medtl.training.made_outliers import KINDS, made


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    run, model = load_run(options.run), Model.load(options.run / "model", "cpu")
    rows = run.records()
    store = open_store(rows[KEY], options.data, run.experiment.image, cache_dir())
    job = _job(run, rows, store)
    if model.gate is None:
        groups = rows["group_id"].to_numpy()[job.validation.positions]
        model.gate, _ = fitting.fit_gate(job, model.members[0], groups)
    print(f"{model.gate.detector.method}, limit {model.gate.limit}")
    for method, kinds in model.gate.aurocs.items():
        print(f"  {method:12} " + "  ".join(f"{kind} {value:.4f}" for kind, value in kinds.items()))
    test = np.flatnonzero(rows["split"] == "test")
    detectors = {
        method: fit(fitting._features(job, model.members[0], fitting._some(job.train.positions, 2000)), method) for method in METHODS
    }
    own = _features(model, store.read(test))
    print(
        f"{'':14}{'images':>7}{'read':>7}{'scope':>8}{'unlike':>8}{'quality':>8}"
        + "".join(f"{f'AUROC {method}':>19}" for method in METHODS)
    )
    _line("own test", model, rows.iloc[test], store, test, own, own, detectors)
    for name, folder in options.outside:
        table = _files(folder)
        other = open_store(table[KEY], folder, run.experiment.image, cache_dir())
        positions = np.arange(len(table))
        _line(name, model, table, other, positions, own, _features(model, other.read(np.flatnonzero(other.usable))), detectors)
    for kind in KINDS:
        scores = {m: auroc(d.scores(own), d.scores(_features(model, made(store.read(test[:200]), kind, 7)))) for m, d in detectors.items()}
        print(f"made: {kind:10} " + "  ".join(f"{method} {value:.4f}" for method, value in scores.items()))


def _line(name, model, rows, store, positions, own, others, detectors) -> None:
    table = judge(model, rows, store, positions)
    codes = table["reason"].str.extract(r"\[(\w+)\]$")[0].fillna("")
    read = int((table["predicted"] != "").sum())
    shares = [(codes == code).sum() / max(1, read) for code in ("OUT_OF_SCOPE", "UNLIKE_TRAINING", "QUALITY")]
    aurocs = "".join(
        f"{auroc(each.scores(own), each.scores(others)):19.4f}" if len(others) else f"{'n/a':>19}" for each in detectors.values()
    )
    print(f"{name:14}{len(table):7,}{read:7,}" + "".join(f"{100 * share:7.1f}%" for share in shares) + aurocs, flush=True)


def _features(model: Model, images: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        parts = [model.members[0].with_features(torch.from_numpy(images[i : i + 64]))[1] for i in range(0, len(images), 64)]
    return torch.cat(parts).double().numpy() if parts else np.empty((0, 1))


def _job(run: Run, rows: pd.DataFrame, store: Store) -> Job:
    parts: dict[str, Part] = parts_of(rows, run.experiment)
    train, validation = parts["train"], parts["validation"]
    weights = balance(run.experiment, train.targets)
    return Job(run.experiment, store, train, validation, weights, Path(), cache_dir(), Log(Path("/dev/null")), Line(io.StringIO()), [])


def _files(folder: Path) -> pd.DataFrame:
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix not in {".csv", ".md"}
    )
    return pd.DataFrame({"image": names, "frame": 0, "label": "", "group_id": names, "domain": "outside", "split": "external", "fold": ""})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--outside", action="append", default=[], type=lambda text: (text.split("=")[0], Path(text.split("=", 1)[1])))
    return parser.parse_args()


if __name__ == "__main__":
    main()
