"""That a package was re-calibrated for a place, in sentences: the same on card and page. Pure functions of model.json.

`lineage.recalibrated`: `images`, `groups`, `unit`, `domains` (empty: not named), `prevalence` (class or finding → share), `fitted`
(question → `method`, `slope`, `intercept`), `kept` (findings that stay as they were), `threshold` (`moved` or `refit`), `not_carried_over`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medtl.estimates import percent, signed

Package = Mapping[str, Any]
SPLIT = "re-calibration"
"""What the images are called that fitted it."""
KEPT = "as before the re-calibration"
"""The rule of several classes: the answers of the older probabilities stay."""


def of(package: Package) -> Package | None:
    """What `model.json` says of it; None where the package is not re-calibrated."""
    told: Package | None = package.get("lineage", {}).get("recalibrated")
    return told


def sentences(package: Package) -> list[str]:
    """For which place, by how many, what was fitted, and what follows for answers and figures; empty where it was not re-calibrated."""
    told = of(package)
    if told is None:
        return []
    parent = package["lineage"]["parent"]
    answers = "Thresholds were chosen anew there." if told["threshold"] == "refit" else "Every image is called what it was before."
    kept = [f"Probabilities of {', '.join(told['kept'])} stay as they were: for these nothing was shown."] if told["kept"] else []
    lost = [f"Not carried over: {', '.join(told['not_carried_over'])}."] if told["not_carried_over"] else []
    whom = f"{told['images']:,} images of {told['groups']:,} {_plural(told['unit'])}{_named(told)}"
    return [
        f"Re-calibrated for one place, by {whom}: {_fitted(told)}.",
        *kept,
        f"Its probabilities hold for images that come as those did{_shares(told)}, and no longer where it learned. {answers}",
        f"The networks are those of fingerprint {parent['fingerprint'][:12]}…, whose own figures are in its package.",
        *lost,
    ]


def origin(package: Package) -> str:
    """What the figures of the place are of; empty where it was not re-calibrated."""
    told = of(package)
    if told is None:
        return ""
    chosen = " and threshold" if told["threshold"] == "refit" else ""
    return (
        f"On the images that re-calibrated it, each judged with probabilities{chosen} that neither it nor another image of its "
        f"{_one(told['unit'])} helped to fit."
    )


def _fitted(told: Package) -> str:
    each = []
    for name, line in told["fitted"].items():
        by = line["intercept"]
        several = not isinstance(by, int | float)
        added = ", ".join(f"{cls} {signed(own)}" for cls, own in by.items()) if several else signed(by)
        scale = "log-probabilities" if several else "log-odds"
        how = f"{added} on the {scale}" if line["slope"] == 1 else f"{scale} times {line['slope']:.3f}, then {added}"
        each.append(f"{f'{name} ' if len(told['fitted']) > 1 else ''}{how}")
    return "; ".join(each)


def _named(told: Package) -> str:
    return f" ({', '.join(told['domains'])})" if told["domains"] else ""


def _shares(told: Package) -> str:
    each = ", ".join(f"{percent(share)} {name}" for name, share in told["prevalence"].items())
    return f" ({each})" if each else ""


def _one(unit: str) -> str:
    return {"image": "group"}.get(unit, unit)


def _plural(unit: str) -> str:
    return {"study": "studies", "image": "groups"}.get(unit, f"{unit}s")
