"""Penalties as modules, so that what learns in them is trained, checkpointed and moved between devices with the network."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from medtl.adaptation.step import Step


class Penalty(nn.Module):
    """A function of a step, with the weights that it uses (`learner`), if any."""

    def __init__(self, of: Callable[[Step], Tensor], learner: nn.Module | None = None):
        super().__init__()
        self._of = of
        self.learner = learner

    def forward(self, step: Step) -> Tensor:
        """A scalar to be added to the loss."""
        return self._of(step)
