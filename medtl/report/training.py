"""The training section: what learned from what, how, in what time. From model.json, the settings and the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from medtl.card import calibrated, origins
from medtl.document.table import Table
from medtl.errors import listed
from medtl.estimates import number
from medtl.report.contents import Contents
from medtl.report.figures.learning import MONITORS, epochs, kept_epoch, probe_score

Fact = tuple[str, str]

STRATEGIES = {
    "scratch": "all layers learn, from random weights: no transfer",
    "linear-probe": "the pretrained layers stay as they are (frozen); a linear head learns on their features",
    "partial": "first a linear head on frozen features (linear probe), then the head and the network's last stages",
    "full": "all layers learn, from the pretrained weights and a random head",
    "lp-ft": "first a linear head on frozen features (linear probe), then all layers from there",
    "gradual": "first a linear head on frozen features (linear probe), then the network stage by stage, the last first",
}
TECHNIQUES: dict[str, tuple[float | None, str]] = {
    "stages": (1, "{:g} stages learn"),
    "views": (None, "frozen layers see {:g} fixed views of an image"),
    "layer_decay": (1, "each stage at {:g} of the rate of the one above"),
    "l2_sp": (0, "L2-SP {:g}"),
    "mixup": (0, "mixup {:g}"),
    "cutmix": (0, "cutmix {:g}"),
    "auxiliary": (0, "auxiliary classifier, weight {:g}"),
    "ema": (0, "moving average of the weights, decay {:g}"),
    "soup": (1, "greedy soup of up to {:g} epochs"),
}
"""Settings of `transfer` that are told where they do something: the value with which they do nothing, and the words."""


def facts(contents: Contents) -> list[Fact]:
    """Term and text, in reading order; what is not known is left out."""
    package, settings = contents.package, contents.experiment
    return [
        *_network(package),
        *sorted(
            {("pretrained weights", text) for member in package["weights"] for text in [_source(member.get("provenance", {}))] if text}
        ),
        *(_transfer(settings) if settings else ()),
        ("decision", _decision(package)),
        *_time(contents),
    ]


def _network(package: Mapping[str, Any]) -> Iterator[Fact]:
    network, image, count = package["network"], package["image"], len(package["weights"])
    differ = "trained with different seeds" if (package.get("ensemble") or {}).get("of") == "seeds" else "one per fold"
    many = f"{count} networks, {differ}, whose probabilities are averaged; each: " if count > 1 else ""
    yield "network", f"{many}{network.get('architecture', '?')} ({network.get('library', '?')}), {network.get('dim', '?')} features"
    colours = "grey" if image["channels"] == 1 else "colour"
    yield "images", f"{image['size']} × {image['size']} pixels, {colours}, fitted by {image['fit']}, intensity {image['intensity']}"


def _source(provenance: Mapping[str, Any]) -> str:
    """Where the backbone's weights came from and how much of them fitted."""
    if not provenance or provenance.get("source") == "none":
        return "none: random weights, so this is no transfer"
    named = provenance.get("origin") or provenance.get("package") or provenance.get("file") or provenance.get("source")
    digest = f", sha256 {provenance['sha256'][:12]}…" if provenance.get("sha256") else ""
    fitted, tensors = provenance.get("fitted"), provenance.get("tensors")
    taken = f"; {fitted:,} of {tensors:,} tensors taken over" if fitted is not None and tensors is not None else ""
    left = f", the old head ({', '.join(provenance['head'])}) left out" if provenance.get("head") else ""
    lacking = f", missing: {', '.join(provenance['missing'])}" if provenance.get("missing") else ""
    return f"{named}{digest}{taken}{left}{lacking}"


def _transfer(settings: Mapping[str, Any]) -> Iterator[Fact]:
    transfer, imbalance, trainer = settings["transfer"], settings["imbalance"], settings["trainer"]
    yield "strategy", f"{transfer['strategy']}: {STRATEGIES.get(transfer['strategy'], 'see the settings')}"
    if transfer["strategy"] != "linear-probe":
        yield (
            "optimisation",
            f"AdamW, {transfer['epochs']} epochs, batches of {transfer['batch']}, peak rate {transfer['rate']:g}, "
            f"weight decay {transfer['weight_decay']:g}, dropout {transfer['dropout']:g}, label smoothing {transfer['label_smoothing']:g}, "
            f"batch norms {transfer['batch_norm']}" + "".join(f", {text}" for text in _techniques(transfer)),
        )
    yield "imbalance", f"loss {imbalance['loss']['name']}, sampler {imbalance['sampler']['name']}"
    yield "machine", f"{trainer['device']}, {trainer['precision']}"


def _techniques(transfer: Mapping[str, Any]) -> Iterator[str]:
    for name, (neutral, text) in TECHNIQUES.items():
        if transfer.get(name, neutral) != neutral:
            yield text.format(transfer[name])


def _decision(package: Mapping[str, Any]) -> str:
    point, calibration = package["operating_point"], package["calibration"]
    threshold_on, calibrated_on = origins(point)
    rule = f"(rule: {point['rule']}{f'; on {threshold_on}' if threshold_on else ''})"
    if isinstance(point["threshold"], list | tuple):
        cuts = ", ".join(f"{name} {number(cut)}" for name, cut in zip(package["task"]["classes"], point["threshold"], strict=True))
        return f"a finding is there from a probability of {cuts} on {rule}; each calibrated by itself, on {calibrated_on}"
    fitted = f"calibrated {calibrated(calibration)}, on {calibrated_on}"
    if point["threshold"] is None:
        rarer = ", each weighed against how frequent the class is" if point["rule"] == "adjusted" else ""
        return f"the class of the largest probability{rarer}; {fitted}"
    return f"positive from a probability of {number(point['threshold'])} on {rule}; {fitted}"


def _time(contents: Contents) -> Iterator[Fact]:
    ends = [event for log in contents.logs.values() for event in log if event.get("event") == "finished"]
    if ends:
        wall, cpu = (sum(float(end.get(key, 0)) for end in ends) for key in ("wall_seconds", "cpu_seconds"))
        yield "time", f"{_duration(wall)} of wall time, {_duration(cpu)} of CPU time"
    yield "made", f"{contents.package['created'][:10]} (UTC)"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def trainings(contents: Contents) -> dict[str, Any]:
    """The logs that hold epochs or a probe: what the curves are drawn from."""
    return {name: log for name, log in contents.logs.items() if len(epochs(log)) or probe_score(log) is not None}


def probed(contents: Contents) -> bool:
    """Whether a linear probe came first."""
    return any(probe_score(log) is not None for log in trainings(contents).values())


def trainings_table(contents: Contents) -> Table | None:
    """A row per training (fold): the probe's score, the epoch that was kept and its score; None where no log is there."""
    rows, raw = [], []
    monitor = ""
    for name, log in trainings(contents).items():
        table, probe = epochs(log), probe_score(log)
        best = kept_epoch(table)
        score = None if best.empty else float(best["score"].iloc[0])
        epoch = None if best.empty else int(best["epoch"].iloc[0])
        monitor = monitor or ("" if table.empty else str(table["monitor"].iloc[-1]))
        last = None if table.empty else int(table["epoch"].iloc[-1])
        cells = ["-" if probe is None else number(probe), "-" if epoch is None else f"{epoch} of {last}"]
        rows.append([name or "1", *cells, "-" if score is None else number(score)])
        raw.append([name or "1", probe, epoch, last or 0, score])
    if not rows:
        return None
    label = MONITORS.get(monitor, monitor) or "score"
    frame = pd.DataFrame(raw, columns=["training", "probe_score", "best_epoch", "epochs", "best_score"])
    first = "candidate" if contents.release else "training" if len(rows) == 1 else "fold" if contents.over_folds else "member"
    probed, tuned = (any(row[column] is not None for row in raw) for column in (1, 2))
    chose = "the penalty of the probe" if probed else "the epoch"
    if probed and tuned:
        chose += " and the epoch (0: the probe itself was the best)"
    note = f"{label} on {'source ' if contents.release else ''}validation images, which chose {chose}.{_last_kept(contents)}"
    return Table("trainings", "What was trained", [first, f"linear probe, {label}", "epoch kept", f"then, {label}"], rows, frame, note)


def last_kept(contents: Contents) -> list[str]:
    """Candidates of which the last epoch is kept whatever validation says: those that adapt features to a target."""
    logs = {name: epochs(log) for name, log in trainings(contents).items()}
    return [name for name, table in logs.items() if contents.release and len(table) > 1 and not table["settled"].iloc[:-1].any()]


def _last_kept(contents: Contents) -> str:
    names = last_kept(contents)
    return (
        f" Of {listed(names, most=len(names))} the last epoch is kept: source validation would choose the least adapted." if names else ""
    )


def curves_table(contents: Contents) -> Table | None:
    """Every epoch, as a CSV."""
    parts = [epochs(log).assign(training=name or "1") for name, log in trainings(contents).items()]
    filled = [part for part in parts if len(part)]
    if not filled:
        return None
    raw = pd.concat(filled, ignore_index=True)
    return Table("curves", "Epochs", [], [], raw[["training", *raw.columns.drop("training")]])
