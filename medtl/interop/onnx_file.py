"""A package as one ONNX file: pixels of the store in, logits, calibrated probabilities and features out.

ONNX (onnx.ai) is what other runtimes, languages and devices read. What stays medtl's is said in the contract beside the file: reading and
fitting of files, the scope, the gate, the sets, the decision rule.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medtl
from medtl import own_json
from medtl.card import RESEARCH_ONLY
from medtl.contracts import FORMAT
from medtl.errors import GateRefusal, MedtlError
from medtl.files import write_atomically, write_json
from medtl.imaging.cache import GRAPHS, cache_dir, prune
from medtl.interop import parity
from medtl.interop.onnx_engine import OnnxEngine, needed
from medtl.interop.parity import Parity
from medtl.model.model import Model

if TYPE_CHECKING:
    import onnx

    from medtl.model.format import PackageFile

OPSET = 18
"""Of 2022: ONNX Runtime from 1.14, OpenVINO from 2023.1 and TensorRT from 8.6 read it; no newer one has an operator that is missed."""
LARGEST = 2 << 30
"""Bytes of one ONNX file: protobuf's own limit."""
INPUT, OUTPUTS = "images", ("logits", "probabilities", "features")
_NOT_IN_IT = (
    "reading of files, their grey chain and fitting to the square: `image` says how (medtl.imaging does it)",
    "the scope: whether the model is meant for such an image",
    "the gate (by `features`) and the quality of the image",
    "the decision: `decision` says from which probability on",
)
_SETS = "the sets: where `decision.conformal` leaves more than one answer, medtl gives none"


def write(model: Model, file: Path, check: parity.Pixels | None = None) -> Parity:
    """Write `file` and, beside it, `file`.json: its contract and how far it is from the package.

    `check`: further images, uint8 (N, S, S, C), besides the made ones.
    Raises MedtlError where a library is missing or the graph would be too large, GateRefusal where the graph does not give what the
    package gives: then nothing is written.
    """
    needed()
    content = _graph(model).SerializeToString()
    engine, measured = _measured(model, content, check)
    write_atomically(file, lambda temporary: temporary.write_bytes(content))  # type: ignore[arg-type, return-value]
    write_json(beside(file), _contract(model.package, file.name, content, engine.version, measured))
    return measured


def beside(file: Path) -> Path:
    """Where the contract of `file` stands."""
    return file.with_name(f"{file.name}.json")


def wrote(file: Path) -> bool:
    """Whether `file` is what :func:`write` left there, by the SHA-256 of its contract."""
    try:
        stated = own_json.read(beside(file), "") or {}
        return "parity" in stated and stated.get("sha256") == hashlib.sha256(file.read_bytes()).hexdigest()
    except (MedtlError, OSError):
        return False


def engine_of(model: Model) -> OnnxEngine:
    """The same graph, ready to answer, with the maps that saliency is made of; kept in the cache, for making it takes longest.

    Measured against the package every time: what the cache holds is trusted no more than what was just made. Raises as :func:`write`.
    """
    needed()
    kept = _kept(model)
    if kept.is_file():
        with contextlib.suppress(Exception):  # cut, or changed: made anew
            os.utime(kept)
            return _with_its_maps(model, kept.read_bytes())
    content = _graph(model, maps=True).SerializeToString()
    engine = _with_its_maps(model, content)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, lambda temporary: temporary.write_bytes(content))  # type: ignore[arg-type, return-value]
        prune(cache_dir(), keep=[kept])
    return engine


def _kept(model: Model) -> Path:
    """By all that a graph follows from."""
    import onnx
    import torch

    made_by = [model.package.fingerprint, medtl.__version__, torch.__version__, onnx.__version__, str(OPSET)]
    return cache_dir() / GRAPHS / f"opset{OPSET}" / f"{hashlib.sha256(' '.join(made_by).encode()).hexdigest()[:32]}.onnx"


def _with_its_maps(model: Model, content: bytes) -> OnnxEngine:
    engine = _measured(model, content)[0]
    if not parity.same_maps(model, engine):
        raise GateRefusal(
            f"{model.package.name}: the graph's feature maps are not the package's, so it is not used; please report this network"
        )
    return engine


def _measured(model: Model, content: bytes, check: parity.Pixels | None = None) -> tuple[OnnxEngine, Parity]:
    engine = OnnxEngine(content)
    measured = parity.measure(model, engine, check)
    if not measured.within:
        raise GateRefusal(
            f"{model.package.name}: the graph is not the package, so it is not used: logits differ by up to {measured.logits:.2g} (the "
            f"largest is {measured.largest_logit:.3g}), probabilities by up to {measured.probabilities:.2g}; please report this network"
        )
    return engine, measured


def _graph(model: Model, maps: bool = False) -> onnx.ModelProto:
    import torch

    from medtl.interop.whole_package import WholePackage, map_names

    package, size, channels = model.package, model.image.size, model.image.channels
    weights = sum((model.folder / each.file).stat().st_size for each in package.weights)
    if weights > LARGEST - (64 << 20):
        raise MedtlError(f"export: {weights / 1e9:.1f} GB of weights do not fit into an ONNX file, which holds 2 GB at most")
    names = [*OUTPUTS, *(map_names(model) if maps else ())]
    example = torch.zeros(2, size, size, channels, dtype=torch.uint8)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # the exporter's remarks on its own future
        program = torch.onnx.export(
            WholePackage(model, maps).eval(), (example,), dynamo=True, external_data=False, opset_version=OPSET, verbose=False,
            input_names=[INPUT], output_names=names, dynamic_shapes=({0: torch.export.Dim("batch")},),
        )  # fmt: skip
    assert program is not None
    return _named(program.model_proto, package)


def _named(graph: onnx.ModelProto, package: PackageFile) -> onnx.ModelProto:
    """Says in the file what it is; without the exporter's notes, which name folders of this machine."""
    import onnx

    body = graph.graph
    for part in (body, *body.node, *body.value_info, *body.input, *body.output, *body.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    graph.graph.name = "medtl"
    graph.doc_string = RESEARCH_ONLY
    onnx.helper.set_model_props(graph, {
        "name": package.name, "fingerprint": package.fingerprint, "classes": json.dumps(package.task.names), "kind": package.task.kind,
        "image": json.dumps(_image(package)), "medtl": medtl.__version__, "use": RESEARCH_ONLY,
        **({"synthetic": "learned from made images"} if package.synthetic else {}),
    })  # fmt: skip
    onnx.checker.check_model(graph)
    return graph


def _contract(package: PackageFile, name: str, content: bytes, engine: str, measured: Parity) -> dict[str, Any]:
    size, channels, point = package.image.size, package.image.channels, package.operating_point
    return {
        "format": FORMAT,
        "file": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "opset": OPSET,
        "model": {"name": package.name, "fingerprint": package.fingerprint, "medtl": package.medtl, "synthetic": package.synthetic},
        "use": RESEARCH_ONLY,
        "input": {
            "name": INPUT, "type": "uint8", "shape": ["batch", size, size, channels], "range": [0, 255],
            "channels": "luminance" if channels == 1 else "R, G, B", "image": _image(package), "normalisation": "in the graph",
        },
        "outputs": {
            "logits": {"shape": [len(package.weights), "batch", len(package.task.names)], "is": "raw, of every member"},
            "probabilities": {"shape": ["batch", len(package.task.names)], "is": "of all members together, calibrated"},
            "features": {"shape": ["batch", "D"], "is": "of the first member, which the gate judges by"},
        },
        "classes": list(package.task.names),
        "decision": {"kind": package.task.kind, "rule": point.rule, "threshold": point.threshold, "adjusted": point.adjusted,
                     "conformal": package.conformal},
        "not_in_the_graph": [*_NOT_IN_IT, *([_SETS] if package.conformal else [])],
        "parity": {
            **asdict(measured), "largest_allowed": {"logits": parity.LOGITS * max(1.0, measured.largest_logit),
                                                    "probabilities": parity.PROBABILITIES},
            "engine": engine, "within": measured.within,
        },
    }  # fmt: skip


def _image(package: PackageFile) -> dict[str, Any]:
    return package.image.model_dump(mode="json", include={"size", "fit", "intensity", "channels", "decode", "volume"})
