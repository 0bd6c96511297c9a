"""What computes the answers on the page: torch, or the same graph in ONNX Runtime, which is faster on a processor (docs/performance.md)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from medtl.app.desk import Desk
from medtl.errors import MedtlError, did_you_mean
from medtl.model.model import Model

ENGINES = ("torch", "onnxruntime")


class OnnxDesk(Desk):
    """A desk whose models answer by ONNX Runtime; of saliency only the head's gradient is torch's. Each model's graph is made once, which
    takes 10 to 30 seconds, and measured against the package whenever it is loaded, which takes about 5."""

    def __init__(self, models: Sequence[Path | str]):
        from medtl.interop.onnx_engine import needed

        needed()
        super().__init__(models)
        self._making = threading.Lock()

    def model(self, label: str) -> Model:
        """Raises GateRefusal where the graph does not give what the package gives."""
        from medtl.interop.onnx_file import engine_of

        model = super().model(label)
        with self._making:
            if model.engine is None and model.device.type == "cpu":  # a GPU is faster than either
                model.engine = engine_of(model)
        return model


def desk_of(models: Sequence[Path | str], engine: str = "torch") -> Desk:
    """Raises MedtlError: no such engine, its library is missing, no models."""
    if engine not in ENGINES:
        raise MedtlError(f"--engine {engine}: is none{did_you_mean(engine, ENGINES)}; there are: {', '.join(ENGINES)}")
    return OnnxDesk(models) if engine == "onnxruntime" else Desk(models)
