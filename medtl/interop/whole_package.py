"""A whole package as one torch module: every member, their mean, the calibration. What an exporter can trace.

The arithmetic is that of :mod:`medtl.model.answers` and :mod:`medtl.decisions`, in float32 instead of float64; `parity` measures the
difference.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from medtl.decisions.calibration import Calibration
from medtl.decisions.isotonic import TAIL, Curve, IsotonicCalibration
from medtl.decisions.per_class import PerClass
from medtl.decisions.vector import VectorCalibration
from medtl.errors import MedtlError

if TYPE_CHECKING:
    from medtl.decisions.methods import Calibrated
    from medtl.model.model import Model


class WholePackage(nn.Module):
    """Images as the store makes them → raw logits of every member, calibrated probabilities, features of the first member."""

    shift: Tensor

    def __init__(self, model: Model, maps: bool = False):
        super().__init__()
        self.maps = maps
        self.members = nn.ModuleList(copy.deepcopy(member).to("cpu", memory_format=torch.contiguous_format) for member in model.members)
        self.kind = model.task.kind
        self.register_buffer("shift", torch.tensor(model.package.prior_shift, dtype=torch.float32)[:, None, :])
        self.calibration = _calibration(model.calibration)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """uint8 (N, S, S, C) → logits (M, N, K), probabilities (N, K), features (N, D) that the gate judges by; then, where they are
        wanted, the maps of every member, view and stage, as :func:`map_names` names them."""
        seen = [(member.with_maps if self.maps else member.with_features)(images) for member in self.members]
        logits = torch.stack([each for each, *_ in seen])
        maps = [stage for _, _, *more in seen for views in more for view in views for stage in view]
        return logits, self.calibration(_together(logits - self.shift, self.kind)), seen[0][1], *maps


def map_names(model: Model) -> list[str]:
    """`maps.MEMBER.VIEW.STAGE`, counted from 0."""
    member = model.members[0]
    views, stages = len(member.views), len(member.network.dims)
    return [f"maps.{m}.{view}.{stage}" for m in range(len(model.members)) for view in range(views) for stage in range(stages)]


def _together(shifted: Tensor, kind: str) -> Tensor:
    """As :func:`medtl.model.answers.ensemble_logits`: (M, N, K) → (N, K)."""
    if kind == "multi":
        return torch.logsumexp(logsigmoid(shifted), dim=0) - torch.logsumexp(logsigmoid(-shifted), dim=0)
    return torch.logsumexp(torch.log_softmax(shifted, dim=2), dim=0) - math.log(shifted.shape[0])


def _calibration(fitted: Calibrated) -> nn.Module:
    if isinstance(fitted, Calibration):
        return _Scaled([1 / fitted.temperature] * len(fitted.intercept), fitted.intercept, joint=True)
    if isinstance(fitted, VectorCalibration):
        return _Scaled(fitted.slope, fitted.intercept, joint=True)
    if isinstance(fitted, PerClass):
        return _Scaled([1 / each for each in fitted.temperature], fitted.intercept, joint=False)
    if isinstance(fitted, IsotonicCalibration):
        return _Bent(fitted)
    raise MedtlError(f"export: calibration of the kind {type(fitted).__name__} cannot be exported by this version")


class _Scaled(nn.Module):
    """`softmax(s · z + b)` of centred z, or `sigmoid(s · z + b)` of each finding by itself."""

    slope: Tensor
    intercept: Tensor

    def __init__(self, slope: list[float] | tuple[float, ...], intercept: tuple[float, ...], joint: bool):
        super().__init__()
        self.register_buffer("slope", torch.tensor(slope, dtype=torch.float32))
        self.register_buffer("intercept", torch.tensor(intercept, dtype=torch.float32))
        self.joint = joint

    def forward(self, z: Tensor) -> Tensor:
        if not self.joint:
            return torch.sigmoid(z * self.slope + self.intercept)
        centred = z - z.mean(dim=1, keepdim=True)  # for one temperature it changes nothing
        return torch.softmax(centred * self.slope + self.intercept, dim=1)


class _Bent(nn.Module):
    """Isotonic curves, as sums of clipped pieces: a graph has no `interp`."""

    def __init__(self, fitted: IsotonicCalibration):
        super().__init__()
        self.curves = nn.ModuleList(_Curve(each) for each in fitted.curves)

    def forward(self, z: Tensor) -> Tensor:
        if len(self.curves) == 1:
            bent = self.curves[0](z[:, 1] - z[:, 0])
            return torch.sigmoid(torch.stack([-bent, bent], dim=1))
        return torch.sigmoid(torch.stack([curve(z[:, k]) for k, curve in enumerate(self.curves)], dim=1))


class _Curve(nn.Module):
    given: Tensor
    widths: Tensor
    slopes: Tensor

    def __init__(self, curve: Curve):
        super().__init__()
        given, meant = (torch.tensor(each, dtype=torch.float64) for each in (curve.given, curve.meant))
        widths, rises = given.diff(), meant.diff()
        self.first, self.last, self.start = float(given[0]), float(given[-1]), float(meant[0])
        self.register_buffer("given", given[:-1].float())
        self.register_buffer("widths", widths.float())
        self.register_buffer("slopes", (rises / widths).float())

    def forward(self, z: Tensor) -> Tensor:
        """(N,) → (N,)"""
        pieces = torch.minimum((z[:, None] - self.given).clamp(min=0), self.widths) * self.slopes
        outside = z - z.clamp(self.first, self.last)
        return self.start + pieces.sum(dim=1) + TAIL * outside
