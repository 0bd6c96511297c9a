"""Loading weights into a network, counted: what fitted, what did not, and when that is too little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from medtl.errors import MedtlError, listed

ENOUGH = 0.9
"""Share of the backbone's tensors that must fit; fewer mean another network, and a silent start from random weights."""


def fit(body: nn.Module, state: Mapping[str, Tensor], heads: tuple[str, ...], who: str) -> dict[str, Any]:
    """Load into `body` what has the same name and shape (stored float16 becomes float32) and tell what happened.

    `heads`: what the names of classifiers begin with; they are left out on purpose. `who` names weights and network in the refusal.
    Returns `tensors` (of the network), `fitted`, and the names under `missing`, `mismatched`, `unexpected`, `head`. Counters of batch
    norm (`num_batches_tracked`), which older files lack and nothing reads, are not counted. Raises MedtlError below `ENOUGH`.
    """
    own = body.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and value.shape == own[key].shape}
    others = [key for key in state if key not in own]
    counted = [key for key in own if not key.endswith("num_batches_tracked")]
    head = [key for key in others if any(key == name or key.startswith(f"{name}.") for name in heads)]
    report: dict[str, Any] = {
        "tensors": len(counted),
        "fitted": sum(key in fitting for key in counted),
        "missing": [key for key in counted if key not in state],
        "mismatched": [key for key in counted if key in state and key not in fitting],
        "unexpected": [key for key in others if key not in head],
        "head": head,
    }
    if report["fitted"] < ENOUGH * len(counted):
        raise MedtlError(_refusal(report, state, own, who))
    body.load_state_dict(fitting, strict=False)
    return report


def fits_entirely(body: nn.Module, state: Mapping[str, Tensor]) -> bool:
    """Whether every tensor of `body` is there with its shape."""
    own = body.state_dict()
    return all(key.endswith("num_batches_tracked") or (key in state and state[key].shape == value.shape) for key, value in own.items())


def sentence(provenance: Mapping[str, Any]) -> str:
    """One line for logs and cards: where the weights are from and what fitted.

    >>> sentence({"source": "none"})
    'random weights'
    """
    if provenance["source"] == "none":
        return "random weights"
    text = f"{provenance['fitted']} of {provenance['tensors']} tensors from {provenance.get('origin') or provenance['file']}"
    for kind in ("missing", "mismatched", "unexpected"):
        if provenance[kind]:
            text += f"; {kind}: {listed(provenance[kind], most=3)}"
    return text + (f"; its head ({len(provenance['head'])} tensors) left out on purpose" if provenance["head"] else "")


def _refusal(report: Mapping[str, Any], state: Mapping[str, Tensor], own: Mapping[str, Tensor], who: str) -> str:
    shapes = [f"{key} (file {_shape(state[key])}, network {_shape(own[key])})" for key in report["mismatched"]]
    text = f"{who}: only {report['fitted']} of the network's {report['tensors']} tensors fit (at least {ENOUGH:.0%} are needed)"
    for kind, items in (
        ("missing in the file", report["missing"]),
        ("of another shape", shapes),
        ("unknown to the network", report["unexpected"]),
    ):
        text += f"\n  {kind}: {listed(items, most=4)}" if items else ""
    return text + "\nIs it a file for another network (backbone.name), or for other options (backbone.options)?"


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "scalar"
