"""Greedy soup: the mean of the weights of several good epochs (Wortsman et al., ICML 2022, "Model soups", algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from medtl.module.classifier import Classifier
from medtl.training.weights import load_weights

Judge = Callable[[Classifier], float]
"""The validation score of a classifier; higher is better."""


def greedy_soup(classifier: Classifier, files: Mapping[int, Path], best: float, judge: Judge) -> tuple[list[int], float]:
    """Load the soup of `files` (epoch -> weights, the best first, whose score is `best`) into `classifier`.

    Beginning with the best, the next one joins the mean if the score does not fall. Returns the epochs in it and its score.
    Running averages of batch norms are averaged like weights.
    """
    first, *others = files
    load_weights(classifier, files[first])
    score = judge(classifier) if others else best  # by the same arithmetic as the means
    chosen, mean = [first], load_file(files[first])
    for epoch in others:
        tried = _with(mean, load_file(files[epoch]), len(chosen))
        classifier.load_state_dict(tried)
        reached = judge(classifier)
        if reached >= score:
            chosen, mean, score = [*chosen, epoch], tried, reached
    classifier.load_state_dict(mean)
    return chosen, score


def _with(mean: Mapping[str, Tensor], other: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """The mean of `count` + 1 states; what is no number with a fraction (counters) stays that of the best."""
    return {
        name: torch.lerp(tensor, other[name], 1 / (count + 1)) if tensor.is_floating_point() else tensor for name, tensor in mean.items()
    }
