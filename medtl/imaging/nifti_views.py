"""Which part of a NIfTI volume is shown, and which way up: slices, projections, the affine's axes. Plain numpy.

The picture is shown as radiologists see it. Of the three anatomical directions Left, Posterior, Inferior the two in the plane are taken
in this order: the first grows along columns (to the right), the second along rows (down). So axial pictures have the patient's left on
the right and the back at the bottom, coronal ones (a frontal radiograph) the left on the right and the feet at the bottom, sagittal ones
the back on the right. An oblique axis counts as the anatomical direction it is closest to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from medtl.imaging.image import Encoded

Shape = tuple[int, int, int]
Affine = NDArray[np.float64]

_LABELS = (("L", "R"), ("P", "A"), ("I", "S"))
_DISPLAY = axcodes2ornt("LPI", _LABELS)
_ACROSS = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The anatomical axis (right-left, back-front, feet-head) that a plane is perpendicular to."""


@dataclass(frozen=True)
class View:
    """One picture out of a volume."""

    axis: int
    """The stored axis that the picture is perpendicular to."""
    index: int | None
    """The slice by its stored position; None for a projection along the axis."""
    frame: int
    """The slice as the caller counts, 0 for a projection."""
    projection: str = ""
    """`mean` or `maximum`."""
    note: str = ""


def choose_view(shape: Shape, affine: Affine, encoded: Encoded) -> View:
    """What is asked of a file: the slice `encoded.frame`, else what `encoded.volume` says.

    Raises:
        ImageError: MULTI_FRAME where a volume has no such slice, or none was chosen.
    """
    wanted = encoded.volume
    alone = next((axis for axis in (2, 0, 1) if shape[axis] == 1), None)
    if alone is not None:
        axis, backwards, plane = alone, False, ""
    elif wanted.plane == "stored":
        axis, backwards, plane = 2, False, ""
    else:
        directions = io_orientation(affine)
        axis = int(np.flatnonzero(directions[:, 0] == _ACROSS[wanted.plane])[0])
        backwards, plane = directions[axis, 1] > 0, f"{wanted.plane} "  # counted towards left, back and feet
    slices = shape[axis]
    frame = encoded.frame
    if frame is not None and frame >= slices:
        raise encoded.refused("MULTI_FRAME", f"{plane}slice {frame} was asked for, but there are {slices} (counted from 0)")
    if frame is None and slices > 1 and wanted.show == "named":
        advice = "name one (column `frame`) or set image.volume to a slice or projection"
        raise encoded.refused("MULTI_FRAME", f"is a volume of {slices} slices and none was chosen; {advice}")
    note = ""
    if frame is None and slices > 1:
        note = f"the {wanted.show} of {slices} {plane}slices"
        if wanted.show != "middle":
            return View(axis, None, 0, wanted.show, note)
        frame = slices // 2
    frame = frame or 0
    return View(axis, slices - 1 - frame if backwards else frame, frame, note=note)


def shown(stored: NDArray[Any], view: View, falling: bool = False) -> NDArray[Any]:
    """The chosen slice or projection: (I, J, K) or (I, J, K, samples) with one voxel along `view.axis`.

    Arguments:
        falling: larger stored values mean less (a negative slope), so that the maximum is the smallest stored one.
    """
    if view.index is not None:
        return stored.take([view.index], axis=view.axis)
    if view.projection == "mean":
        return np.asarray(stored.mean(axis=view.axis, keepdims=True, dtype=np.float64))
    return np.asarray((stored.min if falling else stored.max)(axis=view.axis, keepdims=True))


def upright(plane: NDArray[Any], affine: Affine, axis: int) -> NDArray[Any]:
    """A slab of one voxel along `axis` as displayed: (H, W) or (H, W, samples)."""
    directions = io_orientation(affine)
    turned = apply_orientation(plane, ornt_transform(directions, _DISPLAY))
    picture: NDArray[Any] = np.squeeze(turned, axis=int(directions[axis, 0])).swapaxes(0, 1)
    return picture


def spacing(affine: Affine, axis: int, unit: float) -> tuple[float, float]:
    """Millimetres between displayed rows and columns; `unit` is the millimetres of one unit of the affine."""
    lengths = unit * np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    direction = io_orientation(affine)[:, 0]
    column, row = sorted((other for other in range(3) if other != axis), key=lambda other: direction[other])
    return float(lengths[row]), float(lengths[column])
