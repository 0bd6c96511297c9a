"""What the advice of a ranking goes by: how many groups there are of what, the best candidate, and what a training takes here."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from medtl import findings
from medtl.contracts import TRAIN, VALIDATION, Task
from medtl.experiment.schema import Experiment
from medtl.flows.rank_candidates import Candidate
from medtl.flows.rank_figures import MEASURES
from medtl.flows.rank_scores import Images
from medtl.flows.rank_tuning import starting_from
from medtl.flows.rehearsal import Rehearsal, cost
from medtl.ranking.advice import Situation
from medtl.ranking.kept import Scored, headline

OF = "groups of "


def counts_of(images: Images, task: Task) -> dict[str, int]:
    """Of the labelled training and validation images: all, those scored, their groups, the groups of each class; of findings the groups
    without and with each, and the images of which it is known."""
    rows = images.rows[images.rows["split"].isin([TRAIN, VALIDATION]) & (images.rows["label"] != "")]
    counts = {"images": len(rows), "scored": len(images.positions), "groups": int(rows["group_id"].nunique())}
    sides = findings.sides(rows, task)
    counts |= {OF + name: int(rows.loc[side, "group_id"].nunique()) for name, side in sides.items()}
    if task.kind == "single":
        return counts
    return counts | {f"images of known {name}": int((sides[findings.without(name)] | sides[name]).sum()) for name in task.names}


def situation(settings: Experiment, counts: Mapping[str, int], best: Scored, tune_minutes: float, minutes: float) -> Situation:
    """counts: of :func:`counts_of`. minutes: what the user grants a training."""
    task = settings.task
    several = task.kind == "multi"
    groups = {name.removeprefix(OF): count for name, count in counts.items() if name.startswith(OF)}
    fewest, rarest = min((count, name) for name, count in groups.items())
    rarer = median(min(groups[findings.without(name)], groups[name]) for name in task.names) if several else None
    return Situation(
        measure=headline(MEASURES[settings.transfer.monitor], several),
        images=counts["images"],
        groups=counts["groups"],
        rarest=(rarest, fewest),
        classes=len(task.names),
        rarer_side=rarer,
        pretrained=best.pretrained,
        probe=best.figures["probe"],
        gain=best.figures["gain"],
        distance=best.figures["distance"].get("value"),
        tune_minutes=tune_minutes,
        most_minutes=minutes,
    )


def minutes_of(
    settings: Experiment, experiment: Experiment, candidate: Candidate, strategy: str, rehearsed: Rehearsal, images: Images
) -> float:
    """What training by `strategy` takes here, all folds of the config together."""
    counts = images.rows["split"].value_counts()
    planned = starting_from(experiment, candidate, strategy)
    once = cost(planned, rehearsed, int(counts[TRAIN]), int(counts[VALIDATION]), len(images.rows)).minutes
    return (settings.split.fits or 1) * once
