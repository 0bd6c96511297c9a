"""The tables of adaptation: candidates, the gap that they close, ways of choosing one, scores without labels, releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from medtl.adaptation import SOURCE_ONLY
from medtl.document.table import Table
from medtl.estimates import number, signed
from medtl.evaluation.crossed import Repeated, interval, within
from medtl.evaluation.recovered import Share, recovered
from medtl.report.adaptation import BETTER, LABELS
from medtl.study.adapted import ORACLE, Adapted


def named(of: Adapted, name: str, arms: int) -> str:
    """A candidate's name beside those of other arms."""
    return f"{of.arm}: {name}" if arms > 1 else name


def candidates(arms: Sequence[Adapted]) -> Table:
    """A row per candidate, ceiling and baseline: AUROC, what it has above source-only, of like brightness, how often released."""
    rows, raw = [], []
    for of in arms:
        p_values = of.p_values(of.gain)
        for kind, lines in (("candidate", of.candidates), ("ceiling", of.ceilings), ("baseline", of.brightness)):
            for name, line in lines.items():
                gap, p = line.auroc.less(of.source), p_values.get(name)
                released = _released(of, name) if kind == "candidate" else ""
                gain = "" if name == SOURCE_ONLY else difference(gap)
                shown = f"{name} (primary)" if name == of.primary else name
                rows.append(
                    [named(of, shown, len(arms)), auroc(line.auroc), gain, "" if p is None else number(p), auroc(line.matched), released]
                )
                raw.append(
                    {
                        "arm": of.arm,
                        "kind": kind,
                        "name": name,
                        **_raw(line.auroc, gap),
                        **_like(line.matched),
                        "p": p,
                        "released": released,
                    }
                )
    header = ["", "AUROC (95 %)", "less source-only (95 %)", "p", "of like brightness (95 %)", "released"]
    first = arms[0]
    note = (
        f"{first.images:,} test images of {first.groups:,} groups of '{first.opened[0].domain}', whose labels were hidden from training. "
        "Means over seeds; p: of the primary method as it is, of the others after Holm's correction. Of like brightness: of pairs within "
        "the same fifth of it."
    )
    return Table("adaptation", "Candidates on the target's test patients", header, rows, pd.DataFrame(raw), note)


def gaps(arms: Sequence[Adapted]) -> Table | None:
    """A row per method: its share of each ceiling's gap. None where there is no ceiling."""
    ceilings = list(dict.fromkeys(name for of in arms for name in of.ceilings))
    if not ceilings:
        return None
    rows, raw = [], []
    for of in arms:
        for method in of.methods:
            shares = {name: share_of(of, method, name) for name in ceilings if name in of.ceilings}
            rows.append([named(of, method, len(arms)), *(share_said(shares[name]) if name in shares else "" for name in ceilings)])
            raw += [{"arm": of.arm, "method": method, "ceiling": name, **_share(share), **_gap(of, name)} for name, share in shares.items()]
    gap = "; ".join(
        f"{named(of, name, len(arms))} {difference(line.auroc.less(of.source))}" for of in arms for name, line in of.ceilings.items()
    )
    note = f"Gap, ceiling less source-only: {gap}. Interval: every share that trainings and patients do not speak against (Fieller 1954)."
    return Table(
        "recovered", "Share of the gap that was recovered", ["", *(f"{name} (95 %)" for name in ceilings)], rows, pd.DataFrame(raw), note
    )


def ways(arms: Sequence[Adapted]) -> Table:
    """A row per way of choosing: what it takes for each seed, and what that has."""
    rows, raw = [], []
    for of in arms:
        oracle = of.taken(dict(of.ways())[ORACLE]).mean
        for way, names in of.ways():
            taken = of.taken(names)
            gap, hindsight = taken.less(of.source), way == ORACLE
            gain = "" if hindsight else "0: it is source-only" if set(names) == {SOURCE_ONLY} else difference(gap)
            shown = ", ".join(names) if len(set(names)) > 1 else f"{names[0]}, every seed"
            label = LABELS.get(way, way)
            rows.append([named(of, label, len(arms)), shown, number(taken.mean), gain, signed(taken.mean - oracle)])
            raw.append(
                {
                    "arm": of.arm,
                    "way": way,
                    "taken": "|".join(names),
                    **_raw(taken, gap),
                    "behind_oracle": taken.mean - oracle,
                }
            )
    header = ["way of choosing", "it takes, by seed", "AUROC", "less source-only (95 %)", "less the oracle"]
    note = "Scores without labels choose among the methods. The oracle is the best of all on the very images that judge it, hence too good."
    return Table("ways", "What each way of choosing has", header, rows, pd.DataFrame(raw), note)


def scores(arms: Sequence[Adapted]) -> Table:
    """A row per candidate: its scores without labels, the mean over seeds."""
    rows, raw = [], []
    for of in arms:
        for name in of.candidates:
            own = [each.release["scores"][name] for each in of.opened]
            means = {
                rule: None if any(each[rule] is None for each in own) else float(np.mean([each[rule] for each in own])) for rule in LABELS
            }
            rows.append([named(of, name, len(arms)), *("n/a" if value is None else number(value) for value in means.values())])
            raw.append({"arm": of.arm, "candidate": name, **means})
    better = "; ".join(f"{LABELS[rule]}: {way} is better" for rule, way in BETTER.items())
    note = f"On the target's training images, means over seeds. {better}. None of them is an AUROC, and all can be wrong."
    return Table("scores", "Scores without labels", ["candidate", *LABELS.values()], rows, pd.DataFrame(raw), note)


def releases(arms: Sequence[Adapted]) -> Table:
    """A row per training: what was released, and why."""
    rows, raw = [], []
    for of in arms:
        for seed, opened in zip(of.seeds, of.opened, strict=True):
            found = opened.release
            about = {"seed": seed, "put up": found["candidate"], "released": found["released"], "why": found["reason"]}
            rows.append([named(of, str(seed), len(arms)), *(str(value) for key, value in about.items() if key != "seed")])
            raw.append({"arm": of.arm, **about, "patients": found["patients"]})
    note = "Decided in training, by labelled target patients other than those above (release.json of each trial)."
    return Table("releases", "What was released, and why", ["seed", "put up", "released", "why"], rows, pd.DataFrame(raw), note)


def share_of(of: Adapted, method: str, ceiling: str) -> Share | None:
    """Of a ceiling's gap; None where there is no gap."""
    return recovered(of.gain(method), of.ceilings[ceiling].auroc.less(of.source))


def share_said(share: Share | None) -> str:
    """`0.82 (0.51 to 1.10)`"""
    return "no gap to recover" if share is None else f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})"


def auroc(figure: Repeated) -> str:
    """`0.912 (0.871 to 0.945)`"""
    low, high = within(figure)
    return f"{number(figure.mean)} ({number(low)} to {number(high)})"


def difference(gap: Repeated) -> str:
    """`+0.031 (-0.002 to +0.064)`"""
    low, high = interval(gap)
    return f"{signed(gap.mean)} ({signed(low)} to {signed(high)})"


def _released(of: Adapted, name: str) -> str:
    times = sum(each.release["released"] == name for each in of.opened)
    put_up = name == SOURCE_ONLY or any(each.release["candidate"] == name for each in of.opened)
    return f"{times} of {len(of.seeds)}" if put_up else "not put up"


def _raw(figure: Repeated, gap: Repeated) -> Mapping[str, Any]:
    (low, high), (less_low, less_high) = within(figure), interval(gap)
    own = {f"seed_{place}": value for place, value in enumerate(figure.values)}
    gained = {"less_source": gap.mean, "less_source_low": less_low, "less_source_high": less_high}
    return {"auroc": figure.mean, "auroc_low": low, "auroc_high": high, **gained, **own}


def _like(figure: Repeated) -> Mapping[str, float]:
    low, high = within(figure)
    return {"of_like_brightness": figure.mean, "of_like_brightness_low": low, "of_like_brightness_high": high}


def _share(share: Share | None) -> Mapping[str, float]:
    return {key: np.nan if share is None else getattr(share, key) for key in ("value", "low", "high")}


def _gap(of: Adapted, ceiling: str) -> Mapping[str, float]:
    gap = of.ceilings[ceiling].auroc.less(of.source)
    low, high = interval(gap)
    return {"gap": gap.mean, "gap_low": low, "gap_high": high}
