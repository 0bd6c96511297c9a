"""The page's HTML: the answer, the refusal, and what is known of the model. Pure functions; every text is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from medtl import recalibrated
from medtl.app import words
from medtl.card import SYNTHETIC_MODEL, chosen_by_validation
from medtl.estimates import estimate, interval, number, percent, times
from medtl.findings import BETWEEN
from medtl.model.format import PackageFile
from medtl.predictions import NO_ANSWER

Metrics = Mapping[str, Any]

_LATER = ("test", "external")
_FIGURES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}


def answer(
    package: PackageFile, probabilities: Mapping[str, float], decision: str, reason: str, notes: list[str], worth: Sequence[str] = ()
) -> str:
    """Decision, its reason, a bar per class with the operating point drawn in, and what has to be said beside it.

    `worth`: at which prevalence this holds, and what an answer is worth there.
    """
    unanswered = decision == NO_ANSWER
    bars = "" if unanswered else _bars(package, probabilities, decision)
    told = "".join(f"<li>{escape(note)}</li>" for note in notes)
    sentence = words.because(package, probabilities, decision, reason).replace("No answer, because", "Because", 1)  # the heading says it
    return (
        f'<section class="medtl-answer{" refused" if unanswered else ""}" aria-label="Answer" aria-live="polite">'
        f'<p class="kicker">Answer of {escape(package.name)}{" (synthetic)" if package.synthetic else ""}</p>'
        f"<h2>{escape(words.headline(package, decision, reason))}</h2>"
        f"<p>{escape(sentence)}</p>{bars}"
        f"{''.join(f'<p class=small>{escape(sentence)}</p>' for sentence in worth)}"
        f"{f'<ul class=notes>{told}</ul>' if told else ''}</section>"
    )


def why(package: PackageFile, decision: str, checks: Sequence[tuple[str, str]]) -> str:
    """How it came to the answer: what was asked first, and where the threshold comes from."""
    origin = words.operating_point(package)
    rows = [*checks, *([("Threshold", origin)] if origin and decision != NO_ANSWER else [])]
    listed = "".join(f"<dt>{escape(title)}</dt><dd>{escape(text)}</dd>" for title, text in rows)
    return f'<details class="medtl-why"><summary>Why this answer</summary><dl>{listed}</dl></details>'


def refusal(sentence: str) -> str:
    """One sentence in place of an answer."""
    return f'<section class="medtl-answer refused" role="alert"><h2>{words.UNREAD}</h2><p>{escape(sentence)}</p></section>'


def waiting(sentence: str) -> str:
    """What stands there before the first image."""
    return f'<section class="medtl-answer empty"><p>{escape(sentence)}</p></section>'


def asking(why: str, more: bool, count: int) -> str:
    """What is asked, in place of an answer."""
    wanted = [f"Choose the model: {why}."] if why else []
    wanted += ["The file does not say all that the model's scope asks for."] if more else []
    wanted += [f"It holds {count:,} images."] if count > 1 else []
    said = "".join(f"<p>{escape(each)}</p>" for each in wanted)
    return f'<section class="medtl-answer empty" role="status"><h2>Before the answer</h2>{said}</section>'


def models(packages: Mapping[str, PackageFile]) -> str:
    """What is open, where none is chosen yet."""
    rows = "".join(f"<dt>{escape(label)}</dt><dd>{escape(words.scope(each.scope))}</dd>" for label, each in packages.items())
    made = next((each for each in packages.values() if each.synthetic), None)
    return (
        f'<section class="medtl-model" aria-label="Models"><h2>{len(packages)} models are open</h2>{banner(made) if made else ""}'
        f"<dl>{rows}</dl></section>"
    )


def model(package: PackageFile, metrics: Metrics | None) -> str:
    """What is known of the model: whom it is for, how good it was and on what, and how it was made."""
    tables = "".join(_judged(name, entry, metrics or {}, package) for name, entry in _splits(metrics))
    judged = tables or "<p>Not judged on any images yet.</p>"
    together = (
        f"<p class=small>Each image was judged by the one of the {len(package.weights)} networks that did not learn from it; "
        f"here all of them answer together.{f' <strong>{escape(package.unverified)}</strong>' if package.unverified else ''}</p>"
        if len(package.weights) > 1 and not (package.ensemble and package.ensemble.of == "seeds") and not _again(package)
        else ""
    )
    names = package.task.names
    several = package.task.kind == "multi"
    task = f"Tells {names[0]} from {names[1]}" if len(names) == 2 else f"Tells {len(names)} classes apart"
    task = f"Looks for {len(names)} findings, each by itself," if several else task
    counts = next(iter(package.training.get("images", {}).values()), {})
    images = 0 if several else sum(counts.values())  # an image may have several findings
    made = f"{package.network.get('architecture', '?')}, {package.image.size} × {package.image.size} pixels, made {package.created[:10]}"
    learned = f"{images:,} images" + (" (synthetic)" if package.synthetic else "") if images else "not recorded"
    if several and counts:
        learned = "images with " + ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return (
        f'<section class="medtl-model" aria-label="About this model"><h2>{escape(package.name)}</h2>{banner(package)}'
        f"<p>{escape(task)} on one image.</p>{judged}{together}{_fails(metrics, package)}<dl>"
        f"<dt>Meant for</dt><dd>{escape(words.scope(package.scope))}</dd>{_unanswered(package)}{_again(package)}"
        f"<dt>Learned from</dt><dd>{escape(learned)}</dd>"
        f"<dt>Network</dt><dd>{escape(made)}</dd><dt>Fingerprint</dt><dd><code>{escape(package.fingerprint[:16])}</code></dd></dl></section>"
    )


def _again(package: PackageFile) -> str:
    """For which place it was re-calibrated; empty where it was not."""
    told = recalibrated.sentences({"lineage": package.lineage})
    return f"<dt>Re-calibrated</dt><dd>{escape(' '.join(told))}</dd>" if told else ""


def _fails(metrics: Metrics | None, package: PackageFile) -> str:
    """Where it fails: the limits of every model, and what its own figures say."""
    found = words.weak_places([entry for _, entry in _splits(metrics)], package)
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in found)
    return f'<h3>Where it fails</h3><ul class="small">{items}</ul>'


def _unanswered(package: PackageFile) -> str:
    said = words.gate(package)
    return f"<dt>No answer for</dt><dd>{escape(said)}</dd>" if said else ""


def banner(package: PackageFile) -> str:
    """Over everything, where the model knows made images only."""
    return f'<p class="medtl-synthetic" role="note">{escape(SYNTHETIC_MODEL)}</p>' if package.synthetic else ""


def _bars(package: PackageFile, probabilities: Mapping[str, float], decision: str) -> str:
    thresholds, called = _thresholds(package), decision.split(BETWEEN) if package.task.kind == "multi" else [decision]
    order = list(probabilities) if len(thresholds) == 1 else sorted(probabilities, key=lambda name: -probabilities[name])
    rows = []
    for name in order:
        threshold = thresholds.get(name)
        judged = threshold is not None
        mark, said = "", ""
        if threshold is not None:
            side = " left" if threshold > 0.75 else ""
            mark = (
                f'<i class="threshold{side}" style="left:{100 * threshold:.3f}%">'
                f"<b>threshold {escape(words.apart(probabilities[name], threshold)[1])}</b></i>"
            )
            said = f", threshold {percent(threshold)}"
        share = probabilities[name] if math.isfinite(probabilities[name]) else 0.0
        rows.append(
            f'<div class="bar{" chosen" if name in called else ""}{" judged" if judged else ""}" role="img" '
            f'aria-label="{escape(name)}: probability {percent(share)}{said}"><span class="name">{escape(name)}</span>'
            f'<span class="track"><span style="width:{100 * share:.3f}%"></span>{mark}</span>'
            f'<span class="share">{percent(share)}</span></div>'
        )
    return f'<div class="bars" role="group" aria-label="Probability per class">{"".join(rows)}</div>'


def _thresholds(package: PackageFile) -> dict[str, float]:
    """Class → its threshold: of the positive one of two, of each finding, or none."""
    positive, given = package.task.positive_index, package.operating_point.threshold
    if isinstance(given, tuple):
        return dict(zip(package.task.names, given, strict=True))
    return {package.task.names[positive]: given} if positive is not None and given is not None else {}


def _splits(metrics: Metrics | None) -> list[tuple[str, Mapping[str, Any]]]:
    """What was judged on images that chose nothing; where there is none, validation."""
    splits = dict((metrics or {}).get("splits", {}))
    later = [(name, splits[name]) for name in _LATER if name in splits]
    return later or [(name, splits[name]) for name in ("validation",) if name in splits]


def _judged(name: str, entry: Mapping[str, Any], metrics: Metrics, package: PackageFile) -> str:
    unit, looks = str(metrics.get("unit", "image")), int(metrics.get("looks", 0))
    groups = f" of {entry['groups']:,} {_plural(unit, entry['groups'])}" if unit != "image" else ""
    if name == "validation":
        chose = chosen_by_validation(package.model_dump(mode="json", include={"operating_point"}))
        origin = f"Validation images also chose {chose}, so these figures flatter; test images were not opened yet."
    elif again := recalibrated.origin({"lineage": package.lineage}):
        origin = again
    else:
        origin = f"These images were new to the model; they were opened {times(looks)}."
    answers = entry.get("answering", {})
    if "all_comers" in answers:
        share = percent(answers["coverage"]["value"])
        origin += f" Every image that was read is judged, as if its answer had been given; {share} of the images got one."
    mean = "Mean " if isinstance(entry.get("confusion"), Mapping) else ""
    rows = "".join(_row(label, each) for label, each in entry.get("per_class", {}).items())
    head = "".join(f'<th scope="col">{title}</th>' for title in (*_FIGURES.values(), "Images", "Prevalence"))
    return (
        f"<h3>On {escape(name)}: {entry['n']:,} images{escape(groups)}</h3>"
        f'<p class="small">{escape(origin)} 95 % intervals, by {escape(unit)}. Precision and probability hold at this prevalence only.</p>'
        f'<div class="scroll"><table><thead><tr><th scope="col">Class</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        f'<p class="small">{mean}AUROC {escape(estimate(entry.get("auroc")))}</p>'
    )


def _row(label: str, figures: Mapping[str, Any]) -> str:
    cells = "".join(_cell(title, figures.get(key)) for key, title in _FIGURES.items())
    support = figures.get("support")
    counted = f"{support:,}" if isinstance(support, int) else "?"
    prevalence = figures.get("prevalence") or {}
    share = percent(prevalence["value"]) if prevalence.get("value") is not None else "n/a"
    counts = f'<td data-title="Images">{counted}</td><td data-title="Prevalence">{share}</td>'
    return f'<tr><th scope="row">{escape(label)}</th>{cells}{counts}</tr>'


def _cell(title: str, figure: Mapping[str, Any] | None) -> str:
    if not figure or figure.get("value") is None:
        return f'<td data-title="{title}">n/a<small>{escape(str((figure or {}).get("reason") or "not measured"))}</small></td>'
    beside = interval(figure) or str(figure.get("reason") or "")
    return f'<td data-title="{title}">{number(figure["value"])}<small>{escape(beside)}</small></td>'


def _plural(unit: str, count: int) -> str:
    return unit if count == 1 else {"study": "studies"}.get(unit, f"{unit}s")
