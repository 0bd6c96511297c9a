"""`model.json`: everything a package says about itself, as one frozen, strictly read model. Torch-free.

The fingerprint is the SHA-256 over the hashes of the weights files and every setting that decides an answer (classes, image
settings, network, prior shift, calibration, threshold, gate, scope) or says how to take it (learned from made images), so it names the
model: equal fingerprints give equal answers, and a weights file, a threshold or a scope that was changed afterwards is noticed on
loading. Older packages keep a fingerprint without the last two (docs/decisions/0007-fingerprint-and-looks.md).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from medtl import card, guarantees, sets
from medtl.contracts import FORMAT, Task
from medtl.decisions.settings import Flips
from medtl.errors import MedtlError, Mistakes
from medtl.experiment.schema import Scope
from medtl.imaging.settings import NAMED, ImageSettings
from medtl.model.operating_point import OperatingPoint, Share
from medtl.registry import Settings

FILE = "model.json"
_LARGEST = 16 * 2**20
_DECIDES = {"task", "image", "network", "flips", "prior_shift", "calibration", "operating_point", "gate", "conformal"}
_COVERS = 2
"""What the fingerprint of a package written now covers, see :attr:`PackageFile.fingerprint_covers`."""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class WeightsFile(Settings):
    """One member of the ensemble."""

    file: Annotated[str, Field(pattern=r"^weights-[0-9]{1,3}\.safetensors$")]
    sha256: Sha256
    provenance: dict[str, Any] = Field(default_factory=dict)
    """Where the backbone's pretrained weights came from: source, hash, what fitted and what did not."""


class Ensemble(Settings):
    """Several networks: how they differ, and whether their calibration and rule were fitted on the answers that they give together."""

    of: Literal["folds", "seeds"] = "folds"
    """Each learned from another part of the images, or all from the same with another seed."""

    verified: bool
    """On images that none of them has learned from; else on each member's own validation images, one member each."""
    groups: Annotated[int, Field(ge=0)] = 0
    """Groups (patients) of these images; 0 where it is not verified."""


class GateFile(Settings):
    """Which images are not answered because of what they look like (see `gate`)."""

    file: Annotated[str, Field(pattern=r"^gate\.safetensors$")] = "gate.safetensors"
    sha256: Sha256
    method: Literal["mahalanobis", "knn"]
    refuse: Share
    """The share of groups that was asked for."""
    limit: Annotated[float, Field(ge=0)]
    """From which score on an image is refused."""
    expected: Share
    """In the mean at most this share of groups like validation's has any image refused …"""
    at_most: Share
    """… and with 95 % confidence at most this share."""
    groups: Annotated[int, Field(ge=1)]
    """Of validation, by which the limit was put."""
    aurocs: dict[str, dict[str, Share]]
    """Method → kind of outlier made of validation images → AUROC."""
    quality: dict[str, float]
    """Rule of `medtl.decisions.quality` → its limit."""


class PackageFile(Settings):
    """The content of `model.json`."""

    format: int = FORMAT
    medtl: str
    """Version that wrote the package."""
    created: str
    """UTC, ISO. The only time in a package: equal trainings give equal weights files."""
    name: str
    task: Task
    scope: Scope = Scope()
    image: ImageSettings
    network: dict[str, Any]
    """`Network.description`: enough for `medtl.backbones.network.rebuild`."""
    weights: Annotated[tuple[WeightsFile, ...], Field(min_length=1, max_length=100)]
    flips: Flips = "none"
    """Mirror images whose logits are averaged with the image's own."""
    prior_shift: tuple[tuple[float, ...], ...]
    """Per member, per class: what loss and sampler added to the logits; subtracted before anything else."""
    calibration: dict[str, Any]
    operating_point: OperatingPoint
    gate: GateFile | None = None
    """None: `decision.gate: none`, or a package older than it."""
    conformal: dict[str, Any] | None = None
    """`medtl.decisions.conformal.Conformal`, or `ConformalFindings` of several findings per image; None: no sets."""
    ensemble: Ensemble | None = None
    """None: a single model, to which it does not apply, or several of an older medtl, which count as not verified."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Summary: strategy, epochs, images per split and class, best epoch …"""
    lineage: dict[str, Any] = Field(default_factory=dict)
    """What this model descends from: the experiment's hash, the pretrained weights, an earlier package."""
    synthetic: bool = False
    """Learned from made images, wholly or in part: no figure of it says how well it works on patients."""
    fingerprint_covers: Literal[1, 2] = 1
    """2: `scope` and `synthetic` too, where they say something. Packages older than this field: without them."""
    fingerprint: Sha256

    @model_validator(mode="after")
    def _consistent(self) -> PackageFile:
        if len(self.prior_shift) != len(self.weights) or any(len(row) != len(self.task.classes) for row in self.prior_shift):
            raise ValueError("prior_shift: one row per weights file and one number per class")
        threshold = self.operating_point.threshold
        if self.task.kind == "multi":
            if not isinstance(threshold, tuple) or len(threshold) != len(self.task.classes):
                raise ValueError("operating_point: where an image may have several findings, each needs a threshold")
        elif isinstance(threshold, tuple) or (threshold is None) != (self.task.positive_index is None):
            raise ValueError("operating_point: a threshold belongs to a task of two classes, and only there")
        if self.operating_point.adjusted is not None and len(self.operating_point.adjusted) != len(self.task.classes):
            raise ValueError("operating_point: adjusted needs one number per class")
        given = self.operating_point.guarantee
        if given is not None and len(given.groups) != _length(threshold):
            raise ValueError("operating_point: a guarantee belongs to a threshold, and to each finding's")
        prevalence = self.operating_point.prevalence
        if prevalence is not None and _length(prevalence) != _length(threshold):
            raise ValueError("operating_point: a prevalence belongs to a threshold, and to each finding's")
        return self

    @property
    def unverified(self) -> str:
        """What has to be said of an ensemble whose calibration was never checked; empty where there is nothing to say."""
        return card.unverified(self.model_dump(mode="json", include={"weights", "operating_point", "ensemble"}))

    @property
    def promised(self) -> list[str]:
        """What threshold and sets promise, or why they do not, in sentences; empty where nothing was asked for."""
        told = self.model_dump(mode="json", include={"task", "operating_point", "gate", "conformal"})
        return [*guarantees.said(told), *sets.said(told)]

    @property
    def not_promised(self) -> str:
        """What has to be said on other images than those of the package's own cohorts; empty where nothing was promised."""
        told = self.model_dump(mode="json", include={"task", "operating_point", "conformal"})
        return " ".join(filter(None, (guarantees.void(told), sets.void(told))))

    def helped(self, entry: Mapping[str, Any]) -> str:
        """What to do where next to no image got an answer, by an entry of metrics.json; empty where more did."""
        answering = entry.get("answering")  # figures of an earlier version may lack it
        return sets.hint(self.model_dump(mode="json", include={"conformal"}), answering) if answering else ""

    def computed_fingerprint(self) -> str:
        """What `fingerprint` must be."""
        decides = self.model_dump(mode="json", include=_DECIDES)
        if self.flips == "none":  # packages older than a field keep their fingerprint
            del decides["flips"]
        for later in ("gate", "conformal"):
            if decides[later] is None:
                del decides[later]
        for later in ("adjusted", "guarantee", "prevalence", "calibrated_on"):
            if getattr(self.operating_point, later) is None:
                del decides["operating_point"][later]
        given = self.operating_point.guarantee
        if given is not None and not given.other_groups:
            del decides["operating_point"]["guarantee"]["other_groups"], decides["operating_point"]["guarantee"]["other_right"]
        if self.image.volume == NAMED:
            del decides["image"]["volume"]
        if self.task.learn == "classes":
            del decides["task"]["learn"]
        if self.fingerprint_covers > 1:
            scope = self.scope.model_dump(mode="json", exclude_defaults=True)
            decides |= ({"scope": scope} if scope else {}) | ({"synthetic": True} if self.synthetic else {})
        return fingerprint([member.sha256 for member in self.weights], decides)


def _length(given: float | tuple[float, ...] | None) -> int:
    """Of how many thresholds: none, the one of two classes, one per finding."""
    return 0 if given is None else len(given) if isinstance(given, tuple) else 1


def fingerprint(weights: list[str], decides: dict[str, Any]) -> str:
    """SHA-256 over the weights' hashes, in order, and the canonical JSON of what else decides an answer."""
    order = list(decides["task"]["classes"])  # sorted keys below would lose which logit is which class
    text = json.dumps({"weights": weights, "order": order, **decides}, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def signed(fields: dict[str, Any]) -> PackageFile:
    """Validate the fields of a package to be written and add its fingerprint."""
    unsigned = PackageFile.model_validate({**fields, "fingerprint_covers": _COVERS, "fingerprint": "0" * 64})
    return unsigned.model_copy(update={"fingerprint": unsigned.computed_fingerprint()})


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(folder: Path) -> PackageFile:
    """Read and check `folder/model.json`.

    Raises MedtlError: no package, no JSON, a newer format, fields missing or wrong, changed after it was written.
    """
    path = folder / FILE
    fields = _read_json(path)
    version = fields.get("format")
    if not isinstance(version, int) or isinstance(version, bool):
        raise MedtlError(f"{path}: has no `format`, so it is no medtl model package")
    if version > FORMAT:
        raise MedtlError(
            f"{path}: has format {version}, written by medtl {fields.get('medtl', '?')}; this version reads up to {FORMAT}: update medtl"
        )
    try:
        package = PackageFile.model_validate(fields)
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, each['loc'])) or 'model.json'}: {each['msg']}"
            for each in error.errors(include_input=False, include_url=False)
        ]
        raise Mistakes(f"{path} is no complete model package (copy or make it again):", wrong) from None
    if package.computed_fingerprint() != package.fingerprint:
        raise MedtlError(
            f"{path}: was changed after it was written (its fingerprint does not fit); copy the package again from where it was made"
        )
    return package


def _read_json(path: Path) -> dict[str, Any]:
    if not path.parent.is_dir():
        raise MedtlError(f"{path.parent}: is no folder; a model package is the folder `model/` of a run")
    if not path.is_file():
        raise MedtlError(f"{path.parent}: holds no {FILE}, so it is no model package; `medtl train` writes one into `model/` of its run")
    try:
        if path.stat().st_size > _LARGEST:
            raise MedtlError(f"{path}: is larger than {_LARGEST >> 20} MiB, which no model package is")
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise MedtlError(f"{path}: is cut or damaged ({type(error).__name__}); copy the package again") from None
    if not isinstance(fields, dict):
        raise MedtlError(f"{path}: is no medtl model package (a JSON object is expected)")
    return fields


def write(package: PackageFile, folder: Path) -> None:
    """Write `folder/model.json`, the same bytes for the same content."""
    text = json.dumps(package.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / FILE).write_text(text + "\n", encoding="utf-8")
