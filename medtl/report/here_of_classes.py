"""The part of "Here and where it was made" about several classes: answers and probabilities fitted anew, and each hospital."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from medtl.document.table import Table, flat
from medtl.estimates import difference, estimate, number
from medtl.evaluation.here_of_classes import SHARES, WORDS

CROSS = (
    "Re-fitted figures are cross-fitted: each image is judged with what patients of the other parts, and none of its own, chose. "
    "Differences are paired, by patient (group)."
)
FIGURES = {"brier": "Brier score", "log_loss": "log loss", "auroc": "AUROC"}
Found = Mapping[str, Any]


def tables(each: Found, rule: str) -> list[Table]:
    """`each`: the entry of several classes in `refits`; `rule`: the package's, in words. Some may have no rows."""
    domains = each["domains"]
    return [
        _answers(each["answers"], rule),
        _calibration(each["calibration"]),
        _domains(domains),
        _classes(domains),
        _left_out(domains),
        _answers_elsewhere(domains),
    ]


def _answers(found: Found, rule: str) -> Table:
    rows, raw = [], []
    if "reason" in found:
        rows.append(["re-fitted", f"n/a ({found['reason']})"])
    else:
        for kind, word in (("before", "as shipped"), ("after", "re-fitted")):
            rows.append([word, *(estimate(found[kind][key]) for key in SHARES)])
        rows.append(["difference", *(difference(found["difference"][key]) for key in SHARES)])
        raw = [{"kind": kind, **flat(found[kind])} for kind in ("before", "after", "difference")]
    by = f" by its rule ({rule})" if rule else ""
    note = (
        f"{CROSS} Answered{by} from probabilities whose intercepts were fitted here. Balanced accuracy: the mean of the classes' recalls."
    )
    return Table(
        "external_answers", "Answers as shipped, and re-fitted here (95 % interval)", ["", *SHARES.values()], rows, pd.DataFrame(raw), note
    )


def _calibration(found: Found) -> Table:
    rows, raw = [], []
    if "reason" in found:
        rows.append(["re-calibrated", f"n/a ({found['reason']})"])
    else:
        rows.append(["as shipped", *(estimate(found["as_shipped"][key]) for key in FIGURES), "", ""])
        raw.append({"kind": "as shipped", **flat({key: found["as_shipped"][key] for key in FIGURES})})
        for method, word in WORDS.items():
            own = found[method]
            if "reason" in own:
                rows.append([word, f"n/a ({own['reason']})"])
                continue
            gaps = ("brier_difference", "log_loss_difference")
            line = dict(zip(found["as_shipped"]["per_class"], own["fitted"]["intercept"], strict=True))
            named = _fitted(word, line, own["fitted"]["slope"])
            rows.append([named, *(estimate(own[key]) for key in FIGURES), *(difference(own[gap]) for gap in gaps)])
            fitted = {"slope": own["fitted"]["slope"], **{f"intercept_{name}": by for name, by in line.items()}}
            raw.append({"kind": word, **fitted, **flat({key: own[key] for key in (*FIGURES, *gaps, "auroc_difference")})})
        rows.append(["everybody the frequencies", number(found["everybody"]), "", "", "", ""])
    header = ["", *FIGURES.values(), "Brier score less shipped", "log loss less shipped"]
    note = (
        "Cross-fitted as above: log-probabilities, times the slope, and an intercept of each class added. The Brier score is summed "
        "over the classes. AUROC is their mean, each against the rest; it moves a little, for a class is moved past another."
    )
    return Table(
        "external_calibration", "Probabilities as shipped, and re-calibrated here (95 % interval)", header, rows, pd.DataFrame(raw), note
    )


def _fitted(word: str, intercepts: Mapping[str, float], slope: float) -> str:
    each = ", ".join(f"{name} {by:+.2f}" for name, by in intercepts.items())
    return f"{word}: {each}" + ("" if slope == 1 else f", times {slope:.2f}")


def _domains(domains: Found) -> Table:
    rows, raw = [], []
    keys = ("auroc", *SHARES, "brier", "log_loss")
    for domain, own in domains.items():
        start = [domain, f"{own['n']:,}"]
        rows.append([*start, *([own["few"]] if "few" in own else [estimate(own["figures"][key]) for key in keys])])
        raw.append({"domain": domain, "n": own["n"], **flat({key: own.get("figures", {}).get(key, {}) for key in keys})})
    header = ["", "images", *({**FIGURES, **SHARES}[key] for key in keys)]
    note = "One rule and calibration, as shipped. How each differs from all others, and whether by chance: the subgroups above."
    return Table("external_domains", "Each domain (95 % interval)", header, rows, pd.DataFrame(raw), note)


def _classes(domains: Found) -> Table:
    """AUROC of each class in each domain, as shipped and with what the others fit."""
    rows, raw = [], []
    for domain, own in domains.items():
        for name, each in own["per_class"].items():
            after = {word: _elsewhere(own, method, name) for method, word in WORDS.items()}
            rows.append([f"{domain}: {name}", f"{each['n']:,}", estimate(each["auroc"]), *map(_or_nothing, after.values())])
            shown = {"within": each["auroc"], **{word: figure or {} for word, figure in after.items()}}
            raw.append({"domain": domain, "class": name, "n": each["n"], **flat(shown)})
    header = ["", "images of it", "within, as shipped", *(f"left out, {word}" for word in WORDS.values())]
    note = "Each class against the rest of its domain. Left out: with the re-calibration that the other domains fit."
    return Table("external_domains_classes", "AUROC of each class in each domain (95 % interval)", header, rows, pd.DataFrame(raw), note)


def _elsewhere(own: Found, method: str, name: str) -> Found | None:
    found: Found | None = own.get("left_out", {}).get(method, {}).get("per_class", {}).get(name, {}).get("auroc")
    return found


def _or_nothing(figure: Found | None) -> str:
    return "" if figure is None else estimate(figure)


def _left_out(domains: Found) -> Table:
    rows, raw = [], []
    for domain, own in domains.items():
        if "left_out" not in own:
            continue
        found = own["left_out"]
        if "reason" in found:
            rows.append([domain, f"n/a ({found['reason']})"])
            raw.append({"domain": domain, "reason": found["reason"]})
            continue
        for method, word in WORDS.items():
            line = found[method]
            if "reason" in line:
                rows.append([f"{domain}: {word}", f"n/a ({line['reason']})"])
                continue
            rows.append(
                [f"{domain}: {word}", *(f"{number(line[key]['value'])}; {difference(line[f'{key}_difference'])}" for key in FIGURES)]
            )
            raw.append(
                {"domain": domain, "fitted": word, **flat({each: line[each] for key in FIGURES for each in (key, f"{key}_difference")})}
            )
    note = (
        "Fitted on all other domains, judged on the one left out; then what that adds to the shipped, with the paired 95 % interval. No "
        "patient of the domain had a part in it."
    )
    return Table("external_left_out", "Leave one domain out: probabilities", ["left out", *FIGURES.values()], rows, pd.DataFrame(raw), note)


def _answers_elsewhere(domains: Found) -> Table:
    rows, raw = [], []
    for domain, own in domains.items():
        found = own.get("left_out", {}).get("answers", {})
        if "after" in found:
            rows.append([domain, *(f"{number(found['after'][key]['value'])}; {difference(found['difference'][key])}" for key in SHARES)])
            gaps = {f"{key}_difference": found["difference"][key] for key in SHARES}
            raw.append({"domain": domain, **flat({**found["after"], **gaps})})
    note = "Answered by the package's rule from probabilities whose intercepts the other domains fit; then what that adds to those shipped."
    return Table(
        "external_left_out_answers", "Leave one domain out: answers", ["left out", *SHARES.values()], rows, pd.DataFrame(raw), note
    )
