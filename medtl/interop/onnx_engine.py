"""ONNX Runtime as what runs a graph. An extra: `pip install 'medtl[export]'`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError

if TYPE_CHECKING:
    from medtl.module.classifier import Maps

_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
_QUIET = 3
"""ONNX Runtime's level of errors."""


def needed() -> None:
    """Raises MedtlError where a library of the extra is missing."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise MedtlError(f"export to ONNX needs {' and '.join(missing)}, which is not installed here: pip install 'medtl[export]'")


class OnnxEngine:
    """A graph on the processor: uint8 (N, S, S, C) → logits (M, N, K), probabilities (N, K), features (N, D), and maps where it has them.

    `threads`: of one answer; default as torch's.
    """

    def __init__(self, graph: bytes | Path, threads: int | None = None):
        needed()
        import onnxruntime
        import torch

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = _QUIET
        given = graph if isinstance(graph, bytes) else str(graph)
        self.session = onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
        self.version = f"onnxruntime {onnxruntime.__version__}"

    def __call__(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        logits, probabilities, features = self._run(["logits", "probabilities", "features"], images)
        return logits, probabilities, features

    def with_maps(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32], list[Maps]]:
        """Logits, features, and each member's maps of every view, of a graph that was made to give them."""
        import torch

        named = [each.name for each in self.session.get_outputs() if each.name.startswith("maps.")]
        logits, features, *given = self._run(["logits", "features", *named], images)
        maps: list[Maps] = []
        for name, each in zip(named, given, strict=True):
            member, view, _ = map(int, name.split(".")[1:])
            if member == len(maps):
                maps.append([])
            if view == len(maps[member]):
                maps[member].append([])
            maps[member][view].append(torch.from_numpy(each))
        return logits, features, maps

    def _run(self, wanted: list[str], images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        return list(self.session.run(wanted, {"images": np.ascontiguousarray(images)}))
