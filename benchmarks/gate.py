"""Whom a model's gate refuses: of its own test images (wrongly), and of folders of other images (rightly).

    python benchmarks/gate.py RUN --data DIR --outside adults=DIR --outside skin=DIR …

Of a run whose package is older than the gate, one is fitted as training would. No label of a test image is read. The shares are of the
images that can be read, each counted by the first reason; AUROC is of the out-of-scope score, a folder's images (at most 500, evenly)
against the run's own test images.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from medtl.contracts import TEST, TRAIN, VALIDATION
from medtl.decisions.outlyingness import auroc
from medtl.flows.judging import answered_rows, looked, reasons_of
from medtl.flows.run import Run, load_run
from medtl.imaging.cache import cache_dir
from medtl.imaging.store import Store, open_store
from medtl.model.model import Model
from medtl.predictions import OUT_OF_SCOPE, QUALITY, UNLIKE_TRAINING
from medtl.records import KEY
from medtl.terminal import Line
from medtl.training.balance import balance
from medtl.training.fit import parts_of
from medtl.training.gate import fit_gate
from medtl.training.job import Job
from medtl.training.log import Log
from medtl.training.made_outliers import KINDS, made

MOST = 500
CODES = (OUT_OF_SCOPE, UNLIKE_TRAINING, QUALITY)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    run, model = load_run(options.run), Model.load(options.run / "model", "cpu")
    rows = run.records()
    store = open_store(rows[KEY], options.data, run.experiment.image, cache_dir())
    if model.gate is None:
        model.gate = _fitted(run, model, rows, store)
    print(f"{model.gate.detector.method}, {model.gate.limit}")
    for method, kinds in model.gate.aurocs.items():
        print(f"  {method:12} " + "  ".join(f"{kind} {value:.4f}" for kind, value in kinds.items()), flush=True)
    print(f"{'':16}{'images':>7}{'read':>7}" + "".join(f"{code:>16}" for code in CODES) + f"{'AUROC':>9}")
    test = np.flatnonzero(rows["split"] == TEST)
    own = _said("own test", model, rows.iloc[test], store, test, None)
    for name, folder in options.outside:
        table = _files(folder)
        _said(name, model, table, open_store(table[KEY], folder, run.experiment.image, cache_dir()), np.arange(len(table)), own)
    some = store.read(test[:: max(1, len(test) // 100)])
    for kind in KINDS:
        scores = model.look(made(some, kind, 7))[1]
        print(
            f"made: {kind:10}{len(some):7,}{'':55}{100 * np.mean(scores > model.gate.limit.value):6.1f}%{auroc(own, scores):11.4f}",
            flush=True,
        )


def _said(
    name: str, model: Model, rows: pd.DataFrame, store: Store, positions: NDArray[np.intp], own: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Print a line; the scores of what could be read."""
    logits, scores = looked(model, store, positions)
    table = model.answer(answered_rows(rows), logits, reasons_of(model, rows, store, positions, scores))
    codes = table["reason"].str.extract(r"\[(\w+)\]$")[0].fillna("")
    read = scores[np.isfinite(scores)]
    shares = "".join(f"{100 * (codes == code).sum() / max(1, len(read)):15.1f}%" for code in CODES)
    print(f"{name:16}{len(table):7,}{len(read):7,}{shares}" + ("" if own is None else f"{auroc(own, read):9.4f}"), flush=True)
    return read


def _fitted(run: Run, model: Model, rows: pd.DataFrame, store: Store):
    parts = parts_of(rows, run.experiment)
    train, validation = parts[TRAIN], parts[VALIDATION]
    log, line = Log(Path("/dev/null")), Line(io.StringIO())
    job = Job(run.experiment, store, train, validation, balance(run.experiment, train.targets), Path(), cache_dir(), log, line, [])
    return fit_gate(job, model.members[0], rows["group_id"].to_numpy()[validation.positions])[0]


def _files(folder: Path) -> pd.DataFrame:
    names = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix not in {".csv", ".md"}
    )
    kept = names if len(names) <= MOST else [names[place] for place in np.linspace(0, len(names) - 1, MOST).astype(int)]
    return pd.DataFrame({"image": kept, "frame": 0, "label": "", "group_id": kept, "domain": "outside", "split": "external", "fold": ""})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--outside", action="append", default=[], type=lambda text: (text.split("=")[0], Path(text.split("=", 1)[1])))
    return parser.parse_args()


if __name__ == "__main__":
    main()
