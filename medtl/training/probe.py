"""The linear probe: a penalised linear head fitted to convergence on cached features; deterministic, no epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medtl.batches import Targets
from medtl.evaluation import monitor

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Probe:
    """A linear head on raw features, and how it was chosen."""

    weight: Tensor
    """(K, D) float32."""
    bias: Tensor
    """(K,) float32."""
    penalty: float
    scores: dict[float, float]
    """Penalty → validation score, for all that were tried."""

    def apply_to(self, head: nn.Linear) -> None:
        """Copy into a linear head."""
        with torch.no_grad():
            head.weight.copy_(self.weight)
            head.bias.copy_(self.bias)


def fit_probe(
    features: Tensor,
    targets: Tensor,
    weights: Tensor | None,
    loss: Loss,
    penalties: tuple[float, ...],
    judge: tuple[Tensor, Targets],
    score: str,
    classes: int,
    positive: int | None = None,
    answered: Callable[[Tensor], Tensor] = lambda logits: logits,
    dims: Sequence[int] | None = None,
) -> Probe:
    """Minimise `mean loss + penalty / 2 · |W|²` by L-BFGS in float64 for each penalty, strongest first, each from the last.

    features (N, D), targets (N,) or (N, K), weights (N,) or None: training images. `judge`: validation features (M, D), their targets;
    the penalty with the best `score` (see `evaluation.monitor`) wins, the stronger on a tie; `answered`: from the head's logits to those
    that are judged (what loss and weights shift is undone, finer outputs are joined). Features are standardised by the training images;
    that is folded into the returned head.
    `dims`: how many of the D features are of each stage; each stage is given the weight of the last one, however few features it has.
    """
    centre, scale = features.double().mean(0), spread(features, dims or (features.shape[1],))
    standard = (features.double() - centre) / scale
    judged = (judge[0].double() - centre) / scale
    head = torch.zeros(classes, features.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    scores: dict[float, float] = {}
    best: tuple[float, float, Tensor] | None = None
    for penalty in sorted(penalties, reverse=True):
        _minimise(head, standard, targets, None if weights is None else weights.double(), loss, penalty)
        logits = answered((judged @ head[:, :-1].T + head[:, -1]).detach()).numpy()
        scores[penalty] = monitor.score(score, judge[1], logits, positive)
        if best is None or scores[penalty] > best[1]:
            best = (penalty, scores[penalty], head.detach().clone())
    assert best is not None
    weight = best[2][:, :-1] / scale
    bias = best[2][:, -1] - weight @ centre
    return Probe(weight.float(), bias.float(), best[0], scores)


def spread(features: Tensor, dims: Sequence[int]) -> Tensor:
    """(D,) standard deviations, none below a tenth of their stage's median; less where the stage has fewer features than the last.

    A feature that is next to constant over few training images would else weigh as much as any: one image that shows it gets logits of 35,
    and fine-tuning from such a head begins with a loss of 51 (docs/decisions/0036-spread-of-features.md).
    """
    stages = features.double().std(0).split(list(dims))
    floored = [each.clamp_min(max(1e-6, 0.1 * float(each.median()))) for each in stages]
    return torch.cat([each * math.sqrt(len(each) / dims[-1]) for each in floored])


def _minimise(head: Tensor, features: Tensor, targets: Tensor, weights: Tensor | None, loss: Loss, penalty: float) -> None:
    optimizer = torch.optim.LBFGS([head], max_iter=300, tolerance_grad=1e-6, tolerance_change=1e-10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = features @ head[:, :-1].T + head[:, -1]
        value = loss(logits, targets, weights) + penalty / 2 * head[:, :-1].square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)
