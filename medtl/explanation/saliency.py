"""Saliency: which places of an image speak for a class.

Grad-CAM (Selvaraju et al., ICCV 2017): the last feature maps (h, w), weighted by how much the class's score grows with each of them.
The gradient runs through pooling and head only, never through the network, whose maps the answer's own pass gives. Where the
network ends in global average pooling and a linear head, the gradient of a map is its weight in the head divided by h·w: there this is
the class activation map in closed form (Zhou et al., CVPR 2016), and positive and negative evidence add up to the score but its bias.

The score of a class is its logit minus the mean of the other classes' logits: softmax ignores what all logits have in common, and so
must its explanation. With two classes this is the difference of the logits. Of several findings per image each logit stands for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from medtl.errors import MedtlError

if TYPE_CHECKING:
    from medtl.model.model import Model
    from medtl.module.classifier import Classifier, Maps

BATCH = 32
Score = Callable[[Tensor], Tensor]
"""(B, K) logits → (B, K) what a map explains."""


def saliency(model: Model, images: NDArray[np.uint8], klass: int | Sequence[int]) -> NDArray[np.float32]:
    """Where each image speaks for a class, as a share of the strongest evidence in it, for the class or against it.

    Arguments:
        model: its members' evidence is averaged.
        images: uint8 (B, S, S, C) as the store gives them.
        klass: one class position for all images, or one per image.
    Returns:
        float32 (B, S, S) in [0, 1]; all 0 where nothing speaks for the class, weak where much more speaks against it. It compares the
        places of one image; how sure the model is it does not say.
    Raises:
        MedtlError: images or classes that the model does not have.
    """
    classes = np.full(len(images), klass, np.int64) if np.ndim(klass) == 0 else np.asarray(klass, np.int64)
    if len(classes) != len(images):
        raise MedtlError(f"saliency: {len(images)} images and {len(classes)} classes; give one class, or one per image")
    return as_shares(evidence(model, images, classes[:, None]))[:, 0]


def saliency_of_every_class(model: Model, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """:func:`saliency` for all K classes at the price of one: float32 (B, K, S, S) in [0, 1]."""
    classes = np.tile(np.arange(len(model.task.names)), (len(images), 1))
    return as_shares(evidence(model, images, classes))


def saliency_in(model: Model, maps: Sequence[Maps]) -> NDArray[np.float32]:
    """The same from the maps of a look that gave the answer too (:meth:`medtl.model.model.Model.look_with_maps`): no second pass."""
    count = len(maps[0][0][0])
    return as_shares(_evidence_in(model, maps, np.tile(np.arange(len(model.task.names)), (count, 1))))


def evidence(model: Model, images: NDArray[np.uint8], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean of the members' evidence maps in units of the logits, enlarged to the images' side: float32 (B, J, S, S), of either sign.

    `classes`: (B, J) class positions, J maps for each image.
    """
    size, known = model.image.size, len(model.task.names)
    if classes.size and (classes.min() < 0 or classes.max() >= known):
        raise MedtlError(f"saliency: class {int(classes.max())} was asked for; this model has {known} (counted from 0)")
    found = np.empty((*classes.shape, size, size), np.float32)
    for start in range(0, len(images), BATCH):
        some = slice(start, start + BATCH)
        *_, maps = model.look_with_maps(images[some])
        found[some] = _evidence_in(model, maps, classes[some])
    return found


def _evidence_in(model: Model, maps: Sequence[Maps], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """:func:`evidence` of B images that were looked at already: every member's `maps`, (B, J) → (B, J, S, S)."""
    score, size = contrast if model.task.kind == "single" else _itself, model.image.size
    wanted = torch.from_numpy(np.ascontiguousarray(classes)).to(model.device)
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        each = [_member_evidence(member, seen, wanted, score) for member, seen in zip(model.members, maps, strict=True)]
        mean = torch.stack(each).mean(dim=0)
        return interpolate(mean, size=(size, size), mode="bilinear", align_corners=False).cpu().numpy()


def as_shares(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(…, S, S) of either sign → [0, 1]: what speaks against the class is 0; 1 is the largest absolute value of each map.

    Dividing by the largest positive value instead, as is usual, would paint a negative image's noise like a positive one's finding.
    """
    peak = np.abs(maps).max(axis=(-2, -1), keepdims=True)
    return np.asarray(np.divide(np.maximum(maps, 0), peak, out=np.zeros_like(maps), where=peak > 0), np.float32)


def contrast(logits: Tensor) -> Tensor:
    """(B, K) logits → each minus the mean of the others, (B, K).

    >>> contrast(torch.tensor([[3.0, 1.0]])).tolist()
    [[2.0, -2.0]]
    """
    others = (logits.sum(dim=1, keepdim=True) - logits) / (logits.shape[1] - 1)
    return logits - others


def _itself(logits: Tensor) -> Tensor:
    return logits


def _member_evidence(member: Classifier, maps: Maps, classes: Tensor, score: Score = contrast) -> Tensor:
    """Maps of every view, classes (B, J) → float32 (B, J, h, w): the mean over the views that the member answers by, each turned back."""
    views = zip(maps, member.views, strict=True)
    return torch.stack([_view_evidence(member, seen, classes, score).flip(axes) for seen, axes in views]).mean(dim=0)


def _view_evidence(member: Classifier, seen: Sequence[Tensor], classes: Tensor, score: Score = contrast) -> Tensor:
    """Maps (B, F, h, w) of each stage, classes (B, J) → float32 (B, J, h, w)."""
    with torch.enable_grad():
        maps = [each.float().clone().requires_grad_() for each in seen]  # copies: a look's tensors take no gradient
        scores = score(member.classify(member.network.pool([each.clone() for each in maps])))  # copies: some heads work in place
        asked = scores.gather(1, classes).sum(dim=0)
        gradients = [torch.autograd.grad(each, maps, retain_graph=True) for each in asked]
    finest = max((each.shape[2:] for each in maps), key=lambda size: size[0])
    return torch.stack([_weighted(maps, of_class, finest) for of_class in gradients], dim=1)


def _weighted(maps: Sequence[Tensor], gradients: Sequence[Tensor], size: torch.Size) -> Tensor:
    """(B, h, w): the evidence of every stage's maps, enlarged so that each stage's sum stays what it adds to the score."""
    total = torch.zeros(len(maps[0]), 1, *size, device=maps[0].device)
    for each, gradient in zip(maps, gradients, strict=True):
        own = (gradient.mean(dim=(2, 3), keepdim=True) * each.detach()).sum(dim=1, keepdim=True)
        share = math.prod(each.shape[2:]) / math.prod(size)
        total += own if own.shape == total.shape else share * interpolate(own, size=size, mode="bilinear", align_corners=False)
    return total.squeeze(1)
