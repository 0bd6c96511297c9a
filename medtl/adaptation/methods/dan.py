"""DAN: features of both domains shall be distributed alike (deep adaptation network: Long et al., ICML 2015).

`weight ·` the squared maximum mean discrepancy (MMD) of both batches' features, with the mean of Gaussian kernels of several bandwidths: it
is zero in expectation only where the distributions are the same, in mean, spread and shape. It cannot tell the classes apart; where they
are mixed differently in the two domains it can align the wrong ones. Of the paper's method it is the penalty, on the features alone, with
all kernels weighed alike; as there it has no ramp, and acts in full from the first step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from medtl.adaptation import SOURCE_DATA, TRAINABLE, MethodSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medtl.adaptation.step import Step

NEEDS = (TRAINABLE, SOURCE_DATA)
KIND = "penalty"
BANDWIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the kernels, as factors of the median squared distance of two images."""


class Settings(MethodSettings):
    name: Literal["dan"] = "dan"
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the penalty, which whatever the number of features lies between about 0 (distributed alike) and 2 (wholly apart)."""


def build(settings: Settings, dim: int, classes: int, seed: int) -> nn.Module:
    """The contract of `medtl.adaptation.methods`."""
    from medtl.adaptation.penalty import Penalty

    def penalty(step: Step) -> Tensor:
        assert step.features is not None
        return settings.weight * discrepancy(step.features.float(), step.target_features.float())

    return Penalty(penalty)


def discrepancy(source: Tensor, target: Tensor) -> Tensor:
    """The squared MMD of (A, D) and (B, D), unbiased: no image is compared with itself, so that it can be a little below 0.

    The kernel of two images is the mean of `exp(-d² / (f · m))` over the factors f: d² is their squared distance, m the median of all such
    distances in both batches together, taken as a constant.
    """
    import torch

    both = torch.cat([source, target])
    both = both - both.detach().mean(dim=0)  # distances stay, and lose fewer digits
    lengths = both.square().sum(dim=1)
    squared = (lengths[:, None] + lengths - 2 * both @ both.T).clamp_min(0)
    itself = torch.eye(len(both), dtype=torch.bool, device=both.device)
    median = squared.detach()[~itself].median().clamp_min(1e-12)
    kernel = torch.stack([(-squared / (factor * median)).exp() for factor in BANDWIDTHS]).mean(dim=0).masked_fill(itself, 0)
    a = len(source)
    return _mean_of_pairs(kernel[:a, :a]) + _mean_of_pairs(kernel[a:, a:]) - 2 * kernel[:a, a:].mean()


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """Of (N, N) with an empty diagonal; 0 where one image makes no pair."""
    return kernel.sum() / max(1, len(kernel) * (len(kernel) - 1))
