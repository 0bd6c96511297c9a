"""What the API sends: models with their figures, answers, and what is wrong."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from medtl.app import words
from medtl.app.desk import Desk
from medtl.card import RESEARCH_ONLY
from medtl.interop.case import Case, thresholds_of
from medtl.interop.overlay_picture import heat_png
from medtl.model.prevalence import metrics_of
from medtl.predictions import NO_ANSWER

_CODE = re.compile(r"\[([A-Z_]+)\]$")


class Problem(BaseModel):
    """What is wrong. Codes: LOGIN, LOCKED, BUSY, TOO_LARGE, BAD_REQUEST, NO_SUCH_MODEL, NOT_DICOM, UNREADABLE,
    SEVERAL_IMAGES, DEFECT."""

    code: str
    message: str


class Wrong(BaseModel):
    """Every answer that is none."""

    error: Problem


class Figure(BaseModel):
    """An estimate with its 95 % interval; without a value, the reason."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


class ClassFigures(BaseModel):
    """How good the model was at one class."""

    precision: Figure
    recall: Figure
    f1: Figure
    prevalence: Figure
    support: int | None = None


class Model(BaseModel):
    """A model that answers here."""

    model: str
    """What `model=` asks for."""
    fingerprint: str
    created: str
    kind: str
    """`single`: one class per image; `multi`: any number of findings."""
    classes: list[str]
    thresholds: dict[str, float]
    """Class → from which probability on it is called; empty: the largest decides."""
    scope: str
    """Whom it is for, in words."""
    synthetic: bool
    judged_on: str | None = None
    """test, external or validation (which flatters); null: on nothing."""
    unit: str | None = None
    """By what intervals count: patient, lesion, image."""
    per_class: dict[str, ClassFigures] = Field(default_factory=dict)
    use: str = RESEARCH_ONLY


class Saliency(BaseModel):
    """Where the model looked, not where disease is."""

    name: str
    png: str
    """RGBA, base64: to be laid over the whole upright image."""


class Answer(BaseModel):
    """What the model says about the image."""

    model: str
    fingerprint: str
    sha256: str
    """Of the file."""
    number: int
    """Which image of the file, from 1 …"""
    count: int
    """… of how many."""
    decision: str
    """A class, findings joined by `|`, or `no answer`."""
    reason: str
    """Why there is no answer; else empty."""
    code: str
    """Its code, such as OUT_OF_SCOPE; else empty."""
    because: str
    probabilities: dict[str, float] | None
    """Calibrated, per class; null without an answer."""
    thresholds: dict[str, float]
    prevalence: dict[str, float]
    """At which the probabilities hold, where that is known."""
    worth: list[str]
    notes: list[str]
    read_as: str
    scope: str
    synthetic: bool
    saliency: list[Saliency] | None = None
    use: str = RESEARCH_ONLY


def answer_of(case: Case, label: str, saliency: bool = False) -> Answer:
    """The case as the API says it."""
    answered = case.decision != NO_ANSWER
    code = _CODE.search(case.reason)
    return Answer(
        model=label, fingerprint=case.package.fingerprint, sha256=case.sha256, number=case.number, count=case.count,
        decision=case.decision, reason=_CODE.sub("", case.reason).strip(), code=code[1] if code else "", because=case.because,
        probabilities={name: float(p) for name, p in case.probabilities.items() if math.isfinite(p)} if answered else None,
        thresholds=case.thresholds, prevalence=dict(case.prevalence), worth=list(case.worth), notes=list(case.notes), read_as=case.read_as,
        scope=case.scope, synthetic=case.package.synthetic,
        saliency=_saliency(case) if saliency else None,
    )  # fmt: skip


def _saliency(case: Case) -> list[Saliency]:
    return [Saliency(name=name, png=base64.b64encode(heat_png(each)).decode()) for name, each in case.maps.items()]


def model_of(desk: Desk, label: str) -> Model:
    package, metrics = desk.package(label), metrics_of(desk.folder(label)) or {}
    splits = metrics.get("splits", {})
    split = next((each for each in ("test", "external", "validation") if each in splits), None)
    per_class = splits[split].get("per_class", {}) if split else {}
    return Model(
        model=label, fingerprint=package.fingerprint, created=package.created, kind=package.task.kind, classes=list(package.task.names),
        thresholds=thresholds_of(package),
        scope=words.scope(package.scope), synthetic=package.synthetic, judged_on=split, unit=metrics.get("unit"),
        per_class={name: _figures(each) for name, each in per_class.items()},
    )  # fmt: skip


def _figures(stored: Mapping[str, Any]) -> ClassFigures:
    figures = {key: Figure.model_validate({k: v for k, v in (stored.get(key) or {}).items() if k in Figure.model_fields})
               for key in ("precision", "recall", "f1", "prevalence")}  # fmt: skip
    return ClassFigures(**figures, support=stored.get("support"))
