"""`medtl init`: look at a folder and a table, say what was found, write a first config with the reasons beside the settings."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from medtl.cohorts.proposals import Proposal, healthy_first, is_healthy, propose
from medtl.errors import MedtlError
from medtl.experiment.load import load_experiment
from medtl.experiment.strict_yaml import StrictDumper
from medtl.files import write_atomically


def init(folder: Path | str, table: Path | str | None = None, out: Path | str | None = None) -> Path:
    """Write a config that :func:`medtl.experiment.load.load_experiment` takes unchanged; print what was found.

    `out`: default `<folder's name>.yaml` here. An existing file is never overwritten. Raises MedtlError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise MedtlError(f"'{folder}': there is no such folder; give the folder that holds the images")
    if table is not None and not Path(table).is_file():
        raise MedtlError(f"--table {table}: there is no such file")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._") or "experiment"
    target = Path(out) if out is not None else Path(f"{name}.yaml")
    if target.exists():
        raise MedtlError(f"'{target}' exists and is not overwritten; choose another name with --out")
    root = folder
    if table is not None and (table := Path(table).absolute()) and not table.is_relative_to(folder.absolute()):
        root = Path(os.path.commonpath([folder.absolute(), table.parent]))
    relative = Path(os.path.relpath(table, root.absolute())).as_posix() if table is not None else None
    proposal = propose(root, relative)
    text = config_text(name, proposal, f"medtl train {target} --data {root}")
    write_atomically(target, partial(_write, text), verify=load_experiment)
    print("\n".join([*proposal.found, f"wrote {target}; read it, then: medtl check {target} --data {root}"]))
    return target


def _write(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")


def config_text(name: str, proposal: Proposal, command: str) -> str:
    """The config as text, comments included."""
    labels = healthy_first(proposal.counts)
    classes = {_class_name(label): [label] for label in labels}
    task: dict[str, Any] = {"kind": "single", "classes": classes}
    if len(labels) == 2:
        task["positive"] = list(classes)[1]
    sure = len(labels) != 2 or (is_healthy(labels[0]) and not is_healthy(labels[1]))
    split: dict[str, Any] = {"by": proposal.by, "seed": 0}
    if proposal.given_split:
        split["column"] = proposal.given_split
    else:
        split |= {"near_duplicates": "together"} if proposal.by == "image" else {}
        split |= {"validation": 0.15, "test": 0.2}
    counts = ", ".join(f"{label} {count:,}" for label, count in proposal.counts.items())
    lines = [
        *(f"# {line}" for line in proposal.found),
        f"# Run: {command}",
        f"name: {_flow(name)}",
        f"# Class: its spellings in the source ({counts}). Labels to leave out go into ignore: […].",
        *([] if sure else ["# Which class is positive is a guess: the threshold judges its probability."]),
        f"task: {_flow(task)}",
        "# scope: {modality: [CR, DX], view: [PA, AP], age: [0, 18]}   # for whom the model may answer",
        *([f"# {proposal.remarks['cohorts']}."] if "cohorts" in proposal.remarks else []),
        "cohorts:",
        f"  - {_flow({**proposal.cohort, 'domain': 'here'})}",
        *([f"keep: {_flow(proposal.keep)}   # columns that go into records, for subgroups"] if proposal.keep else []),
        *_split_comment(proposal),
        f"split: {_flow(split)}",
        "image: {size: 224, fit: pad}   # fit: pad, crop or squeeze",
        "backbone: {name: mobilenetv2_100, weights: imagenet}   # or a file: --weights FILE",
        "transfer: {strategy: lp-ft, epochs: 12}   # first the head, then all; or linear-probe, partial, gradual, full, scratch",
        "imbalance: {loss: cross-entropy, sampler: natural}",
        "seed: 0",
    ]
    return "\n".join(" ".join(line.splitlines()) for line in lines) + "\n"


def _split_comment(proposal: Proposal) -> list[str]:
    if proposal.by != "image":
        return [f"# No {proposal.by} stands in two splits."]
    warning = "# No ids were found: images of one patient may stand in two splits unless nearly equal, and intervals are too narrow."
    return [warning, *([f"# In the cohort, {proposal.remarks['split']}"] if "split" in proposal.remarks else [])]


def _class_name(label: str) -> str:
    return re.sub(r"\s*[|,]\s*", " ", label).strip() or "class"


def _flow(value: Any) -> str:
    """One line of YAML."""
    text = yaml.dump(value, Dumper=StrictDumper, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")
