"""SHOT: the target alone, from a source model whose head stays (Liang et al., ICML 2020). Source data stay home.

The network learns to give the target's images answers that are sure one by one and diverse together (information maximisation), and that
agree, by `pseudo_labels`, with the nearest centroid of the classes in feature space. Diversity takes classes for about equally frequent:
with a rare class set `diversity` lower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl.adaptation import ONE_CLASS, TRAINABLE, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

NEEDS = (TRAINABLE, ONE_CLASS)
KIND = "penalty"
CONTINUES = True
Weight = Annotated[float, Field(ge=0)]


class Settings(MethodSettings):
    name: Literal["shot"] = "shot"
    diversity: Weight = 1.0
    """Of the entropy of the mean answer."""
    pseudo_labels: Weight = 0.3
    """Of the cross-entropy with the centroids' labels."""


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    from torch.nn.functional import cross_entropy

    from medtl.adaptation.penalty import Penalty
    from medtl.adaptation.step import Step

    class Shot(Penalty):
        def relabel(self, features: Tensor, logits: Tensor, progress: float) -> None:
            self.labels = centroid_labels(features, logits.softmax(dim=1))

        def forward(self, step: Step) -> Tensor:
            value = information(step.target_logits.float(), settings.diversity)
            if settings.pseudo_labels:
                own = self.labels.to(step.target_logits.device)[step.places]
                value = value + settings.pseudo_labels * cross_entropy(step.target_logits.float(), own)
            return settings.weight * value

    return Shot(lambda step: step.target_logits.sum() * 0)


def information(logits: Tensor, diversity: float) -> Tensor:
    """Mean entropy of the answers (B, K), less `diversity` times the entropy of their mean."""
    log_p = logits.log_softmax(dim=1)
    mean = log_p.exp().mean(dim=0)
    return -(log_p.exp() * log_p).sum(dim=1).mean() + diversity * (mean * (mean + 1e-8).log()).sum()


def centroid_labels(features: Tensor, p: Tensor) -> Tensor:
    """(N, D) features and (N, K) answers → (N,) the class of the nearest centroid by cosine: centroids first of the answers, then once of
    the labels so found. A class that nobody is given keeps its first centroid."""
    unit = features / features.norm(dim=1, keepdim=True).clamp_min(1e-12)
    soft = p.to(unit.dtype).T @ unit
    labels = _nearest(unit, soft)
    hard = (labels[:, None] == labels.new_tensor(range(p.shape[1]))).to(unit.dtype)
    return _nearest(unit, (hard.T @ unit).where(hard.any(dim=0)[:, None], soft))


def _nearest(unit: Tensor, centroids: Tensor) -> Tensor:
    directions = centroids / centroids.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return (unit @ directions.T).argmax(dim=1)
