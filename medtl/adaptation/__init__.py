"""From the hospital that labelled to the hospital that will use it: adaptation to a target domain whose labels nobody has.

`methods/` holds the methods, one file each over one contract (see there); :mod:`medtl.adaptation.restyled` shows a store's images as an
input-side method changes them. How candidates are trained, chosen and released: docs/adaptation.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from medtl.errors import listed
from medtl.registry import Chosen, Mistake, Settings, component

if TYPE_CHECKING:
    from types import ModuleType

FOLDER = "adaptation.methods"
SOURCE_ONLY = "source-only"
"""The candidate without adaptation, which always runs beside."""
BATCH_NORM, VIEWS, TRAINABLE, SOURCE_DATA, ONE_CLASS = (
    "batch norm", "augmented views", "trainable features", "source data", "one class per image",
)  # fmt: skip
"""What a method may need (its `NEEDS`)."""


class Target(Settings):
    """Where the model will be used."""

    domain: str
    """The domain of a cohort with `labels: hidden`; its training patients' images, and no others, are adapted to."""


class ReleaseSettings(Settings):
    """No harm: the adapted model is released only if target patients show that it is not worse."""

    margin: Annotated[float, Field(ge=0, lt=0.5)] = 0.02
    """AUROC: released if the lower bound of (adapted - source-only), paired bootstrap by patient, 95 %, exceeds `-margin`."""
    labels: Literal["none", "validation"] = "none"
    """Whose hidden labels may be opened, once, after all training, for this decision alone. `none`: source-only is the package, until
    `medtl release RUN MANIFEST.csv` brings labelled target patients. `validation`: the target's validation patients."""


class MethodSettings(Settings):
    """What every method has; each file of `methods/` adds its own."""

    name: str
    weight: Annotated[float, Field(ge=0)] = 1.0
    """How much the method does; 0 = nothing: the source-only model, bit for bit."""
    target: Target | None = None
    """Needed, but for methods named in `beside`."""
    beside: tuple[Annotated[SerializeAsAny[Settings], Chosen(FOLDER)], ...] = ()
    """Further methods that are trained beside this one, the primary: `[coral, {name: mcc, weight: 0.5}]`."""
    choose: Literal["primary", "source-validation", "entropy", "neighbourhood-density", "dev"] = "primary"
    """Which method is put up for release: the primary one, or the best by a score that needs no target label."""
    augmentation: Literal["strong", "given"] = "strong"
    """`strong`: all candidates, source-only too, are trained with ranges at least as wide as `medtl.augmentation.STRONG`; `given`: with
    those of `augmentation`."""
    release: ReleaseSettings = ReleaseSettings()

    @property
    def methods(self) -> tuple[MethodSettings, ...]:
        """The primary method, then those beside it."""
        return (self, *self.beside)  # type: ignore[arg-type]


def method_file(settings: MethodSettings) -> ModuleType:
    """The component that these settings choose."""
    return component(FOLDER, settings.name)


def needs(settings: MethodSettings) -> tuple[str, ...]:
    """What the method cannot do without."""
    found: tuple[str, ...] = method_file(settings).NEEDS
    return found


def norms_alone(settings: MethodSettings) -> bool:
    """Whether nothing but batch norms learns."""
    return getattr(method_file(settings), "NORMS_ALONE", False)


def unfit(
    adaptation: MethodSettings, domains: Sequence[str], hidden: Sequence[str], kind: str, tuned: bool, batch_norm: str, fits: bool
) -> Iterator[Mistake]:
    """What of a config cannot work, with what would.

    domains, hidden: of the cohorts, and those whose labels are hidden. kind: of the task. tuned: whether layers of the network learn.
    batch_norm: of the transfer. fits: whether one split trains one network.
    """
    target = adaptation.target
    if target is None:
        yield Mistake(("target",), None, f"is missing; name the domain to adapt to: target: {{domain: {(*hidden, 'adults')[0]}}}")
    elif target.domain not in domains:
        yield Mistake(("target", "domain"), target.domain, f"is the domain of no cohort; there are: {listed(domains)}")
    elif target.domain not in hidden:
        yield Mistake(("target", "domain"), target.domain, "has labels that are not hidden; give its cohort `labels: hidden`")
    if not fits:
        yield Mistake(("name",), adaptation.name, "adapts one network; leave out split.folds and transfer.members")
    names = [method.name for method in adaptation.methods]
    for place, method in enumerate(adaptation.methods):
        path: tuple[Any, ...] = ("beside", place - 1) if place else ()
        if place and (method.target or method.beside):
            yield Mistake((*path, "name"), method.name, "stands beside the primary method: target and beside are said there alone")
        if method.name in names[:place]:
            yield Mistake((*path, "name"), method.name, "is named twice; each method is one candidate")
        if TRAINABLE in needs(method) and not tuned:
            yield Mistake((*path, "name"), method.name, "needs features that learn, which a linear probe's do not; choose another strategy")
        if norms_alone(method) and batch_norm != "train":
            sentence = f"learns by batch norms alone, which transfer.batch_norm: {batch_norm} keeps from it; choose train"
            yield Mistake((*path, "name"), method.name, sentence)
        if ONE_CLASS in needs(method) and kind == "multi":
            yield Mistake((*path, "name"), method.name, "is for one class per image, but task.kind is multi")
