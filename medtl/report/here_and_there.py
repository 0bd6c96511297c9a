"""The section "Here and where it was made" of an external validation: the drop, the drift, what fitting anew would mend, each hospital."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat
from medtl.estimates import difference, estimate, number
from medtl.evaluation.drop import Drops
from medtl.evaluation.here_and_there import LABELS, WORDS, Content
from medtl.evaluation.recalibrating import ALL
from medtl.report import here_of_classes

CROSS = f"{here_of_classes.CROSS} To use what is named here, take the value that was fitted on all images."
SHARES = ("sensitivity", "specificity", "balanced_accuracy")
LINE = ("brier", "calibration_intercept", "calibration_slope")


def tables(content: Content) -> list[Table]:
    """Every table of the section that has something to show."""
    named = len(content["refits"]) > 1
    several = content["refits"].get(ALL)
    refitted = (
        here_of_classes.tables(several, content["rule"])
        if several is not None and "answers" in several
        else [*_thresholds(content, named), *_calibrations(content, named), *_domains(content, named), *_left_out(content)]
    )
    return [table for table in (*_drops(content), *refitted) if table.rows]


def summary(content: Content) -> str:
    """The drop in a line, for the top of the report; empty where there is nothing to hold it against."""
    gap = content["overall"].get("auroc", {}).get("difference", {})
    if gap.get("value") is None:
        return ""
    return f"Against its own {content['own']['split']}: AUROC {difference(gap)}"


def _drops(content: Content) -> Iterator[Table]:
    if content["own"] is None:
        return
    there = f"its own {content['own']['split']}"
    rows = [
        [LABELS[key], estimate(each["here"]), estimate(each["there"]), difference(each["difference"])]
        for key, each in content["overall"].items()
    ]
    note = (
        "Two independent samples: the variances of both add up. Accuracy, macro-F1 and Brier score also move with the prevalence. "
        "Calibration: an intercept of 0 and a slope of 1 are right."
    )
    raw = pd.DataFrame([{"figure": key, **flat(each)} for key, each in content["overall"].items()])
    yield Table("external_drop", "The same figures here and there (95 % interval)", ["", "here", there, "here less there"], rows, raw, note)
    if content["per_class"]:
        yield _per_class(content["per_class"], there)


def _per_class(classes: Mapping[str, Drops], there: str) -> Table:
    keys = list(next(iter(classes.values())))
    rows = [[name, *(difference(drops[key]["difference"]) for key in keys)] for name, drops in classes.items()]
    raw = [{"class": name, "figure": key, **flat(each)} for name, drops in classes.items() for key, each in drops.items()]
    caption = f"Each class against the rest: here less {there} (95 % interval)"
    return Table(
        "external_drop_classes", caption, ["", *(LABELS[key] for key in keys)], rows, pd.DataFrame(raw), "Both sides: see the CSV."
    )


def _thresholds(content: Content, named: bool) -> Iterator[Table]:
    rows, raw = [], []
    for name, each in content["refits"].items():
        found, start = each["threshold"], f"{name}: " if named else ""
        if "reason" in found:
            rows.append([f"{start}re-fitted", f"n/a ({found['reason']})"])
            continue
        span = f"{number(found['here'])} (parts: {number(found['lowest'])} to {number(found['highest'])})"
        rows += [
            [f"{start}as shipped", number(each["shipped"]), *(estimate(found["before"][key]) for key in SHARES)],
            [f"{start}re-fitted", span, *(estimate(found["after"][key]) for key in SHARES)],
            [f"{start}difference", "", *(difference(found["difference"][key]) for key in SHARES)],
        ]
        for kind, value in (("before", each["shipped"]), ("after", found["here"]), ("difference", None)):
            raw.append({"of": name, "kind": kind, "threshold": value, **flat(found[kind])})
    caption = f"Threshold by {content['rule']}: shipped, and chosen here" if content["rule"] else "Threshold"
    header = ["", "threshold", *(LABELS[key] for key in SHARES)]
    yield Table("external_threshold", f"{caption} (95 % interval)", header, rows, pd.DataFrame(raw), CROSS)


def _calibrations(content: Content, named: bool) -> Iterator[Table]:
    rows, raw = [], []
    for name, each in content["refits"].items():
        found, start = each["calibration"], f"{name}: " if named else ""
        if "reason" in found:
            rows.append([f"{start}re-calibrated", f"n/a ({found['reason']})"])
            continue
        rows.append([f"{start}as shipped", *(estimate(found["as_shipped"][key]) for key in LINE), ""])
        raw.append({"of": name, "kind": "as shipped", **flat(found["as_shipped"])})
        for method, word in WORDS.items():
            own = found[method]
            if "reason" in own:
                rows.append([f"{start}{word}", f"n/a ({own['reason']})"])
                continue
            fitted = f"{own['fitted']['intercept']:+.2f}" + (f", {own['fitted']['slope']:.2f}" if method != "intercept" else "")
            rows.append([f"{start}{word} ({fitted})", *(estimate(own[key]) for key in LINE), difference(own["brier_difference"])])
            raw.append({"of": name, "kind": word, **own["fitted"], **flat({key: own[key] for key in (*LINE, "brier_difference")})})
        rows.append([f"{start}everybody the prevalence", number(found["everybody"]), "", "", ""])
    header = ["", *(LABELS[key] for key in LINE), "Brier score less shipped"]
    note = "Cross-fitted as above. Neither changes the order of the images: AUROC stays what it is."
    yield Table("external_calibration", "Calibration as shipped, and fitted here (95 % interval)", header, rows, pd.DataFrame(raw), note)


def _domains(content: Content, named: bool) -> Iterator[Table]:
    rows, raw = [], []
    keys = ("auroc", "sensitivity", "specificity", *LINE)
    for name, each in content["refits"].items():
        for domain, own in each["domains"].items():
            start = [f"{name}: {domain}" if named else domain, f"{own['n']:,}", f"{own['ill']:,}"]
            rows.append([*start, *([own["few"]] if "few" in own else [estimate(own["figures"][key]) for key in keys])])
            raw.append({"of": name, "domain": domain, "n": own["n"], "ill": own["ill"], **flat(own.get("figures", {}))})
    header = ["", "images", "with it" if named else f"of them {next(iter(content['refits']), '')}", *(LABELS[key] for key in keys)]
    note = "One threshold and calibration, as shipped. How each differs from all others, and whether by chance: the subgroups above."
    yield Table("external_domains", "Each domain (95 % interval)", header, rows, pd.DataFrame(raw), note)


def _left_out(content: Content) -> Iterator[Table]:
    rows, raw = [], []
    named = len(content["refits"]) > 1
    for name, each in content["refits"].items():
        for domain, own in each["domains"].items():
            if "left_out" in own:
                start = f"{name}: {domain}" if named else domain
                rows.append([start, *_left_out_cells(own["left_out"])])
                raw.append({"of": name, "domain": domain, **_left_out_raw(own["left_out"])})
    header = ["left out", "threshold of the others", "sensitivity", "specificity", *(f"Brier score, {word}" for word in WORDS.values())]
    note = (
        "Threshold and re-calibration fitted on all other domains, judged on the one left out; then what that adds to the shipped ones, "
        "with the paired 95 % interval. No patient of the domain had a part in it."
    )
    yield Table("external_left_out", "Leave one domain out", header, rows, pd.DataFrame(raw), note)


def _left_out_cells(found: Mapping[str, Any]) -> list[str]:
    if "reason" in found:
        return [f"n/a ({found['reason']})"]
    cells, cut = ["n/a"] * 3, found.get("threshold")
    if cut is not None:
        cells = [number(cut["value"]), *(_beside(cut["after"][key], cut["difference"][key]) for key in SHARES[:2])]
    for own in (found[method] for method in WORDS):
        cells.append(f"n/a ({own['reason']})" if "reason" in own else _beside(own["brier"], own["brier_difference"]))
    return cells


def _beside(figure: Mapping[str, Any], gap: Mapping[str, Any]) -> str:
    return f"{number(figure['value'])}; {difference(gap)}"


def _left_out_raw(found: Mapping[str, Any]) -> dict[str, Any]:
    if "reason" in found:
        return {"reason": found["reason"]}
    raw, cut = {}, found.get("threshold")
    if cut is not None:
        raw = {
            "threshold": cut["value"],
            **flat(cut["after"]),
            **flat({f"{key}_difference": gap for key, gap in cut["difference"].items()}),
        }
    return raw | flat({f"{method}_{key}": found[method].get(key, {}) for method in WORDS for key in ("brier", "brier_difference")})
