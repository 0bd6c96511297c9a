"""What `medtl rank` compares: networks with their weights, wherever these come from, and the reference without any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medtl.backbones import BackboneSettings, check_plain_name
from medtl.backbones.description import read_sidecar
from medtl.errors import MedtlError
from medtl.experiment.schema import Experiment
from medtl.flows.run import model_folder
from medtl.model import format as package_format

FIELD = ("vgg16", "resnet50", "mobilenetv2_100", "inception_v3", "densenet121", "efficientnet_b0", "alexnet")
"""ImageNet networks that the field transfers from; those whose weights this machine holds are compared without being asked for."""
WEIGHTS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")


@dataclass(frozen=True)
class Candidate:
    """A place to start training from."""

    name: str
    backbone: BackboneSettings
    pretrained: bool = True
    """False: the reference, whose weights stay random."""
    package: Path | None = None
    """Of a medtl model package, whose training images must not be these."""


@dataclass(frozen=True)
class Candidates:
    """Those that can be had, the reference last, and why others cannot."""

    found: Sequence[Candidate]
    missing: Sequence[tuple[str, str]]


def gather(experiment: Experiment, root: Path, asked: Sequence[str], folder: Path | None) -> Candidates:
    """The config's own network, those `asked` for (`--candidates`), those of a weights folder, and without `asked` the field's; all with
    the config's `backbone.features`, so that like is compared with like.

    asked: `resnet50` (from the hub), `NAME=FILE`, `FILE` with a sidecar, or a model package or run folder. Raises MedtlError where one
    of them is none of these; whether weights can be had is found out later, for the hub's by looking into the cache.
    """
    found = [_own(experiment, root)] if experiment.backbone.weights != "none" else []
    found += [_asked(text) for text in asked]
    found += _in_folder(folder) if folder is not None else []
    missing: list[tuple[str, str]] = []
    if not asked:
        at_hand = [name for name in FIELD if _cached(name)]
        found += [_of_hub(name) for name in at_hand]
        missing += [
            (name, f"its ImageNet weights are not on this machine; `--candidates {name}` fetches them where the hub can be reached")
            for name in FIELD
            if name not in at_hand and all(each.backbone.name != name for each in found)
        ]
    unique: dict[tuple[str, str], Candidate] = {}
    for each in found:
        alike = each.backbone.model_copy(update={"features": experiment.backbone.features})
        unique.setdefault((alike.name, alike.weights), replace(each, backbone=alike))
    kept = _told_apart(list(unique.values()))
    return Candidates(kept, missing)


def reference(known: Candidate) -> Candidate:
    """The same structure as `known` with random weights: what transfer has to beat."""
    return Candidate(f"{known.backbone.name}, random weights", known.backbone, pretrained=False)


def _own(experiment: Experiment, root: Path) -> Candidate:
    backbone = experiment.backbone
    if backbone.weights == "imagenet":
        return Candidate(f"{backbone.name}, ImageNet", backbone)
    path = (root / Path(backbone.weights).expanduser()).resolve()
    settled = backbone.model_copy(update={"weights": str(path)})
    return replace(_package(path), backbone=settled) if path.is_dir() else Candidate(_called(backbone.name, path), settled)


def _asked(text: str) -> Candidate:
    name, equals, file = text.partition("=")
    path = Path(file if equals else text).expanduser()
    if equals:
        if not path.exists():
            raise MedtlError(
                f"--candidates {text}: there is no file or folder {path}; give NAME=FILE, a network's name, or a model package"
            )
        backbone = BackboneSettings(name=_plain(name, text), weights=str(path.resolve()))
        return replace(_package(path), backbone=backbone) if path.is_dir() else Candidate(_called(name, path), backbone)
    if path.is_dir():
        return _package(path)
    if path.suffix.lower() in WEIGHTS:
        if not path.is_file():
            raise MedtlError(f"--candidates {text}: there is no such file")
        return _file(path)
    return _of_hub(_plain(text, text))


def _plain(name: str, text: str) -> str:
    from medtl.backbones.families import library_of

    try:
        check_plain_name(name)
    except ValueError:
        raise MedtlError(
            f"--candidates {text}: is neither a network's name (resnet50), nor NAME=FILE, nor a file or folder that exists"
        ) from None
    library_of(name)
    return name


def _called(network: str, file: Path) -> str:
    """`mobilenetv2_100, imagenet` for `mobilenetv2_100.imagenet.safetensors`."""
    return f"{network}, {file.stem.removeprefix(network).strip('._- ') or file.name}"


def _of_hub(name: str) -> Candidate:
    return Candidate(f"{name}, ImageNet", BackboneSettings(name=name, weights="imagenet"))


def _file(path: Path) -> Candidate:
    sidecar = read_sidecar(path)
    if sidecar is None or sidecar.architecture is None:
        raise MedtlError(f"{path}: nothing beside it ({path.name}.json) tells its network; give it as --candidates NAME={path}")
    return Candidate(_called(sidecar.architecture, path), BackboneSettings(name=sidecar.architecture, weights=str(path.resolve())))


def _package(path: Path) -> Candidate:
    folder = model_folder(path).resolve()
    package = package_format.read(folder)
    architecture = str(package.network["architecture"])
    return Candidate(f"{architecture}, {package.name}", BackboneSettings(name=architecture, weights=str(folder)), package=folder)


def _in_folder(folder: Path) -> Iterator[Candidate]:
    """Every weights file whose sidecar names its network, every model package or run."""
    if not folder.is_dir():
        raise MedtlError(f"--weights-folder {folder}: there is no such folder")
    for path in sorted(folder.iterdir()):
        if path.is_dir() and any((place / "model.json").is_file() for place in (path, path / "model")):
            yield _package(path)
        elif path.suffix.lower() in WEIGHTS:
            sidecar = read_sidecar(path)
            if sidecar is not None and sidecar.architecture is not None:
                yield _file(path)


def _cached(name: str) -> bool:
    from medtl.backbones.families import family, library_of
    from medtl.backbones.hub import at_hand

    source = family(library_of(name)).hub_source(name)
    return source is not None and at_hand(source) is not None


def _told_apart(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Names that stand twice get a number."""
    seen: dict[str, int] = {}
    named = []
    for each in candidates:
        seen[each.name] = seen.get(each.name, 0) + 1
        name = each.name if seen[each.name] == 1 else f"{each.name} ({seen[each.name]})"
        named.append(replace(each, name=name))
    return named
