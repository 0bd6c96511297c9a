"""Self-training with class-balanced confidence (CBST: Zou et al., ECCV 2018).

From the source-only model on, round by round: each of the target's training images gets the class that is most probable in relation to
what is usual for the class, if it is among the surest `share` of those; these teach beside the source. The share rises from `first` to
`last`, and each class gives the same share, so that the common one does not swallow the rare. Wrong labels feed themselves: it needs a
source model that is right on most of the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from medtl.adaptation import ONE_CLASS, SOURCE_DATA, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

NEEDS = (SOURCE_DATA, ONE_CLASS)
KIND = "penalty"
CONTINUES = True
Share = Annotated[float, Field(gt=0, le=1)]


class Settings(MethodSettings):
    name: Literal["self-training"] = "self-training"
    first: Share = 0.2
    """Share of the images predicted as each class that teach in the first round."""
    last: Share = 0.6
    """The same in the last round."""

    @model_validator(mode="after")
    def _rises(self) -> Settings:
        if self.last < self.first:
            raise ValueError(f"last ({self.last:g}) is below first ({self.first:g}); the share rises")
        return self


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    from torch.nn.functional import cross_entropy

    from medtl.adaptation.penalty import Penalty
    from medtl.adaptation.step import Step

    class SelfTraining(Penalty):
        """Remembers the labels of the round, -1 where an image has none."""

        def relabel(self, features: Tensor, logits: Tensor, progress: float) -> None:
            share = settings.first + (settings.last - settings.first) * progress
            self.labels = balanced_labels(logits.softmax(dim=1), share)

        def forward(self, step: Step) -> Tensor:
            own = self.labels.to(step.target_logits.device)[step.places]
            if not bool((own >= 0).any()):
                return step.target_logits.sum() * 0
            return settings.weight * cross_entropy(step.target_logits, own, ignore_index=-1)

    return SelfTraining(lambda step: step.target_logits.sum() * 0)


def balanced_labels(p: Tensor, share: float) -> Tensor:
    """(N, K) probabilities → (N,) int64 classes, -1 where not sure enough.

    Each class's threshold is the probability that the surest `share` of the images predicted as it reach (1 where none is); an image's
    class is that of the largest ratio of probability to threshold, if that is at least 1.
    """
    predicted = p.argmax(dim=1)
    thresholds = p.new_ones(p.shape[1])
    for k in range(p.shape[1]):
        own = p[predicted == k, k].sort(descending=True).values
        if len(own):
            thresholds[k] = own[max(1, round(share * len(own))) - 1]
    ratio, label = (p / thresholds).max(dim=1)
    return label.masked_fill(ratio < 1, -1)
