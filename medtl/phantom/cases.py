"""Who is imaged: patients with age, sex, true class, label and split, and the images of each; and what is wrong on purpose."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from medtl.contracts import TEST, TRAIN, VALIDATION
from medtl.phantom.chance import stream
from medtl.phantom.hospitals import AP_SHARE
from medtl.phantom.settings import SUSPICIOUS, PhantomSettings

SHARES = {TEST: 0.20, VALIDATION: 0.15}
"""Of the patients of each class; the rest trains."""


@dataclass(frozen=True)
class Case:
    """One image to be made."""

    name: str
    """Of its file, without suffix; also the name of its randomness."""
    patient: str
    lesion: str
    truth: str
    """What is in the picture."""
    label: str
    """What the table says."""
    age: int
    sex: str
    view: str
    split: str
    marker: bool = False
    copy_of: str = ""
    """The name of the case whose file this one repeats."""
    broken: str = ""
    """`truncated`, or `no pixel data`."""
    torn: bool = False
    """Its patient stands in two splits."""


def draw_cases(settings: PhantomSettings) -> list[Case]:
    """All images of the set, in the order of their names, faults included."""
    classes = _dealt(settings)
    splits = _splits(classes, settings)
    labels = _labels(classes, splits, settings)
    cases = [
        case
        for number in range(settings.patients)
        for case in _of_patient(number, classes[number], labels[number], splits[number], settings)
    ]
    cases = _torn(_marked(cases, settings), settings)
    return _broken(sorted([*cases, *_copies(cases, settings)], key=lambda case: case.name), settings)


def class_counts(settings: PhantomSettings) -> dict[str, int]:
    """How many patients each class has: exactly the prevalence, or a geometric long tail rounded by largest remainders."""
    if settings.kind == "chest":
        sick = round(settings.prevalence * settings.patients)
        return dict(zip(settings.classes, (settings.patients - sick, sick), strict=True))
    weights = settings.rarity ** -np.linspace(0, 1, len(settings.classes))
    exact = settings.patients * weights / weights.sum()
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: settings.patients - counts.sum()]] += 1
    return dict(zip(settings.classes, counts.tolist(), strict=True))


def _chance(settings: PhantomSettings, purpose: str) -> np.random.Generator:
    return stream(settings.seed, settings.kind, settings.hospital, purpose)


def _dealt(settings: PhantomSettings) -> list[str]:
    """The true class of each patient."""
    classes = [name for name, count in class_counts(settings).items() for _ in range(count)]
    return [classes[position] for position in _chance(settings, "classes").permutation(settings.patients)]


def _labels(classes: list[str], splits: list[str], settings: PhantomSettings) -> list[str]:
    """What the table will say of each patient. Shuffled within each split, so that every class stays in each."""
    labels = list(classes)
    if settings.faults.labels == "shuffled":
        for split in (TRAIN, *SHARES):
            own = [number for number, other in enumerate(splits) if other == split]
            for number, position in zip(own, _chance(settings, f"shuffled labels of {split}").permutation(own), strict=True):
                labels[number] = classes[position]
    chance = _chance(settings, "wrong labels")
    for number in chance.permutation(len(labels))[: round(settings.faults.wrong_labels * len(labels))]:
        labels[number] = chance.choice([name for name in settings.classes if name != labels[number]])
    return [str(label) for label in labels]


def _splits(classes: list[str], settings: PhantomSettings) -> list[str]:
    """The split of each patient: the same shares of every class, so that a rare one is in each split if it has three patients."""
    splits = [TRAIN] * len(classes)
    for name in settings.classes:
        own = _chance(settings, f"split of {name}").permutation([i for i, other in enumerate(classes) if other == name]).tolist()
        for split, share in SHARES.items():
            taken = max(1, round(share * len(own))) if len(own) > 2 else 0
            for _ in range(min(taken, len(own))):
                splits[own.pop()] = split
    return splits


def _of_patient(number: int, truth: str, label: str, split: str, settings: PhantomSettings) -> list[Case]:
    chance = _chance(settings, f"patient {number}")
    patient = f"SYN-{settings.hospital.upper()}-{number:05d}"
    age = int(np.clip(chance.normal(58, 17), 18, 95))
    sex = str(chance.choice(["F", "M"]))
    lesions = [f"{patient}-L{own}" for own in range(1 + int(chance.random() < 0.15))] if settings.kind == "lesions" else [""]
    cases = []
    for place, lesion in enumerate(lesions):
        for own in range(int(chance.integers(1, settings.images + 1))):
            view = "" if settings.kind == "lesions" else "AP" if chance.random() < AP_SHARE[settings.hospital] else "PA"
            name = f"{settings.hospital}{number:05d}-{place * settings.images + own}"
            cases.append(Case(name, patient, lesion, truth, label, age, sex, view, split))
    return cases


def _marked(cases: list[Case], settings: PhantomSettings) -> list[Case]:
    """The marker agrees with the label as given, as often as asked."""
    if settings.faults.marker is None:
        return cases
    agrees = _chance(settings, "marker").random(len(cases)) < settings.faults.marker
    return [replace(case, marker=(case.label in SUSPICIOUS) == bool(agree)) for case, agree in zip(cases, agrees, strict=True)]


def _torn(cases: list[Case], settings: PhantomSettings) -> list[Case]:
    """Some patients with several images: the first goes to train, the others to test."""
    images = Counter(case.patient for case in cases)
    several = [patient for patient, count in images.items() if count > 1]
    chosen = _chance(settings, "two splits").permutation(len(several))[: round(settings.faults.two_splits * len(several))]
    torn, begun, result = {several[position] for position in chosen}, set(), []
    for case in cases:
        if case.patient in torn:
            case = replace(case, split=TEST if case.patient in begun else TRAIN, torn=True)
        begun.add(case.patient)
        result.append(case)
    return result


def _copies(cases: list[Case], settings: PhantomSettings) -> list[Case]:
    """The same files under new patients, who stand in any split."""
    chance = _chance(settings, "duplicates")
    chosen = chance.permutation(len(cases))[: round(settings.faults.duplicates * len(cases))]
    copies = []
    for number, position in enumerate(sorted(chosen.tolist()), start=settings.patients):
        patient = f"SYN-{settings.hospital.upper()}-{number:05d}"
        lesion = f"{patient}-L0" if settings.kind == "lesions" else ""
        split = str(chance.choice([TRAIN, TEST]))
        original = cases[position]
        name = f"{settings.hospital}{number:05d}-0"
        copies.append(replace(original, name=name, patient=patient, lesion=lesion, split=split, copy_of=original.name, torn=False))
    return copies


def _broken(cases: list[Case], settings: PhantomSettings) -> list[Case]:
    """Some files cannot be read; none of those that are in the set twice."""
    twice = {case.copy_of for case in cases} | {case.name for case in cases if case.copy_of}
    whole = [position for position, case in enumerate(cases) if case.name not in twice]
    number = min(len(whole), round(settings.faults.broken * len(cases)))
    ways = ("truncated", "no pixel data") if settings.kind == "chest" else ("truncated",)
    for order, position in enumerate(_chance(settings, "broken").permutation(whole)[:number].tolist()):
        cases[position] = replace(cases[position], broken=ways[order % len(ways)])
    return cases
