"""How good saliency maps are: by where the finding truly is, and, where nobody knows that, by what the network says without the places.

*Energy*: the share of a map's sum that lies inside the true place (Wang et al., Score-CAM, CVPR workshops 2020), beside baselines that know
nothing of the image. *Deletion, insertion* (Petsiuk et al., RISE, BMVC 2018): the probability of the class as its most salient places are
blurred away, or come back into a blurred image, beside the same places in random order. *Randomised* (Adebayo et al., Sanity Checks for
Saliency Maps, NeurIPS 2018): the same network with its weights shuffled must lose what the maps show, else they show the image's edges.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from medtl.model.answers import ensemble_logits

if TYPE_CHECKING:
    from medtl.model.model import Model

Floats = NDArray[np.float64]
CELLS = 8
"""Cells on a side that an image is taken apart into: a map of 7 x 7 places has nothing finer, and single pixels in random order would
destroy more than any map."""
STEPS = 8
"""Levels between nothing and everything taken away."""
BLUR = 1 / 8
"""Sigma of the blur that stands for "taken away", as a share of the side."""


def energy_inside(maps: NDArray[np.floating[Any]], masks: NDArray[np.bool_]) -> Floats:
    """(N, H, W) maps of values ≥ 0 and the true places → (N,) share of each map's sum inside; 0 for an empty map, which found nothing."""
    total = maps.sum(axis=(1, 2), dtype=np.float64)
    inside = np.where(masks, maps, 0).sum(axis=(1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.zeros_like(total), where=total > 0)


def centre_blob(shape: tuple[int, ...]) -> Floats:
    """(H, W) Gaussian in the middle, sigma a fifth of each side: what is right by where photographers point."""
    y, x = (np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (side / 5)) ** 2) for side in shape)
    return np.outer(y, x)


def mean_of_the_others(maps: NDArray[np.floating[Any]]) -> Floats:
    """(N, H, W), N > 1 → of each image the mean map of all others: what is right by where findings usually are."""
    return np.asarray((maps.sum(axis=0, dtype=np.float64) - maps) / (len(maps) - 1))


def randomised(model: Model, seed: int = 0) -> Model:
    """The same model with the values of every weight tensor dealt out anew, the head's too. Batch norms keep theirs: shuffled statistics
    would break the network, not only what it knows."""
    generator = torch.Generator().manual_seed(seed)
    members = [copy.deepcopy(member) for member in model.members]
    with torch.no_grad():
        for member in members:
            for tensor in (each for each in member.parameters() if each.ndim > 1):
                order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
                tensor.copy_(tensor.reshape(-1)[order].reshape(tensor.shape))
    return type(model)(model.package, members, model.folder, model.device)


@dataclass(frozen=True)
class Removal:
    """Areas under the probability of the class over the share of the image taken away (`deletion`: low is good) or given back (`insertion`:
    high is good), (N,) each in [0, 1]."""

    deletion: Floats
    insertion: Floats


def removal(model: Model, images: NDArray[np.uint8], classes: NDArray[np.int64], maps: NDArray[np.floating[Any]]) -> Removal:
    """Take the image apart in the order of its map, strongest first.

    Arguments:
        images: uint8 (N, S, S, C) as the store gives them.
        classes: (N,) the class whose probability is followed.
        maps: (N, S, S), or (N, 8, 8) for an order of the cells themselves (:func:`random_maps`).
    """
    ranks = np.stack([_ranks(each) for each in maps])
    blurred = np.stack([_blurred(image) for image in images])
    kept, back = [], []
    for step in range(STEPS + 1):
        taken = _enlarged(ranks < step * CELLS * CELLS / STEPS, images.shape[1])
        kept.append(_probability(model, np.where(taken, blurred, images), classes))
        back.append(_probability(model, np.where(taken, images, blurred), classes))
    return Removal(_area(np.stack(kept)), _area(np.stack(back)))


def random_maps(number: int, seed: int = 0) -> Floats:
    """(N, 8, 8) for :func:`removal`: the cells of each image in an order of its own."""
    return np.random.default_rng(seed).random((number, CELLS, CELLS))


def _ranks(one: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """(8, 8): 0 is the most salient cell."""
    cells = cv2.resize(one.astype(np.float32), (CELLS, CELLS), interpolation=cv2.INTER_AREA).ravel()
    ranks = np.empty(len(cells), np.int64)
    ranks[np.argsort(-cells, kind="stable")] = np.arange(len(cells))
    return ranks.reshape(CELLS, CELLS)


def _enlarged(cells: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """(N, 8, 8) → (N, S, S, 1)."""
    place = np.arange(size) * CELLS // size
    return cells[:, place][:, :, place][..., None]


def _blurred(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.GaussianBlur(image, (0, 0), BLUR * len(image)).astype(np.uint8).reshape(image.shape)


def _probability(model: Model, images: NDArray[np.uint8], classes: NDArray[np.int64]) -> Floats:
    """(N,) calibrated, of each image's class."""
    logits = ensemble_logits(model.predict_arrays(images), model.package.prior_shift, model.task.kind)
    return np.asarray(model.calibration.apply(logits)[np.arange(len(images)), classes], np.float64)


def _area(curve: Floats) -> Floats:
    """(STEPS + 1, N) → (N,), by trapezoids."""
    return np.asarray(np.trapezoid(curve, dx=1 / (len(curve) - 1), axis=0), np.float64)
