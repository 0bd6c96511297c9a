"""ONNX Runtime as what runs a graph. An extra: `pip install 'medtl[export]'`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medtl.errors import MedtlError

_LIBRARIES = ("onnx", "onnxscript", "onnxruntime")
_QUIET = 3
"""ONNX Runtime's level of errors."""


def needed() -> None:
    """Raises MedtlError where a library of the extra is missing."""
    missing = [name for name in _LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise MedtlError(f"export to ONNX needs {' and '.join(missing)}, which is not installed here: pip install 'medtl[export]'")


class OnnxEngine:
    """A graph on the processor: uint8 (N, S, S, C) → logits (M, N, K), probabilities (N, K), features (N, D).

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
        logits, probabilities, features = self.session.run(None, {"images": np.ascontiguousarray(images)})
        return logits, probabilities, features
