"""NIfTI files that hold a picture: (H, W), (H, W, 1), colour, or one slice of a volume; upright as the affine declares.

Convention: the picture is shown as radiologists see it. Of the three anatomical directions Left, Posterior, Inferior the two in the plane
are taken in this order: the first grows along columns (to the right), the second along rows (down). So axial pictures have the patient's
left on the right and the back at the bottom, coronal ones (a frontal radiograph) the left on the right and the feet at the bottom,
sagittal ones the back on the right. Where a file declares no orientation (sform and qform code 0), NIfTI's method 1 holds as nibabel
has it (first axis to the left, second to the front), and the receipt says so.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any

import nibabel
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform
from numpy.typing import NDArray

from medtl.errors import ImageError
from medtl.imaging.image import Encoded, Facts, Image, Receipt

_GZIP = b"\x1f\x8b"
_HEADERS = {b"n+1\0": (344, 348, "Nifti1"), b"n+2\0": (4, 540, "Nifti2")}
_PAIRS = {b"ni1\0": 344, b"ni2\0": 4}
_LARGEST_OFFSET = 64 << 20
_DISPLAY = "LPI"
_BROKEN = (EOFError, OSError, zlib.error, ValueError)


def begins_like(data: bytes) -> bool:
    """Whether the bytes are NIfTI, plain or gzipped (only a kilobyte is expanded to see)."""
    start = _expanded(data, 1024) if data[:2] == _GZIP else data[:1024]
    return any(start[at : at + 4] == magic for magic, (at, *_) in _HEADERS.items()) or any(
        start[at : at + 4] == magic for magic, at in _PAIRS.items()
    )


def read(encoded: Encoded) -> Image:
    """Decode one slice.

    Raises:
        ImageError: BAD_HEADER, TOO_LARGE (by the header), MULTI_FRAME, UNSUPPORTED, NOT_FINITE, DECODE_FAILED.
    """
    header = _header(encoded)
    shape, colour = _shape(header, encoded)
    encoded.check_size(shape[0], shape[1], shape[2])
    frame = _choose_slice(shape, encoded)
    stored, notes = _load(encoded, header), []
    if colour:
        stored = stored.view(np.uint8).reshape(*shape, 3) if stored.dtype.fields else stored.reshape(*shape, 3)
    else:
        stored = stored.reshape(shape)
    picture = _upright(stored, header.affine, frame)
    if int(header.header["sform_code"]) == 0 and int(header.header["qform_code"]) == 0:
        notes.append("the file declares no orientation: taken as NIfTI's method 1")
    values, intensity = _intensities(picture, header, encoded)
    pixels = np.ascontiguousarray(values.transpose(2, 0, 1) if colour else values[None], dtype=np.float32)
    codes = "".join(code or "?" for code in nibabel.aff2axcodes(header.affine))
    receipt = Receipt(
        format="NIfTI", sha256=encoded.sha256, bytes=len(encoded.data), frame=frame, orientation=f"affine {codes}", intensity=intensity,
        bits=8 if colour else 8 * stored.dtype.itemsize, photometric="RGB" if colour else "L", notes=tuple(notes),
        facts=Facts(spacing=_spacing(header.affine, _through(shape)), spacing_from="affine"),
    )  # fmt: skip
    return Image(pixels, receipt)


def _expanded(data: bytes, most: int) -> bytes:
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(data)).read(most)
    except _BROKEN:
        return b""


def _header(encoded: Encoded) -> Any:
    """An image object whose data are not yet touched; the header's claims about sizes are checked before nibabel follows them."""
    zipped = encoded.data[:2] == _GZIP
    start = _expanded(encoded.data, 540) if zipped else encoded.data[:540]
    magic = next((magic for magic, (at, *_) in _HEADERS.items() if start[at : at + 4] == magic), None)
    if magic is None:
        raise encoded.refused("UNSUPPORTED", "is half of a .hdr/.img pair; save it as a single .nii or .nii.gz")
    _, length, kind = _HEADERS[magic]
    try:
        claims = getattr(nibabel, f"{kind}Header")(binaryblock=start[:length], check=False)
        if not 0 <= float(claims["vox_offset"]) <= _LARGEST_OFFSET:
            raise encoded.refused("BAD_HEADER", "its data begin at an impossible place (vox_offset)")
        stream = gzip.GzipFile(fileobj=io.BytesIO(encoded.data)) if zipped else io.BytesIO(encoded.data)
        image = getattr(nibabel, f"{kind}Image").from_stream(stream)
    except ImageError:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise encoded.refused("BAD_HEADER", f"the NIfTI header cannot be read ({type(error).__name__})") from None
    if not np.isfinite(image.affine).all() or np.isnan(io_orientation(image.affine)).any():
        raise encoded.refused("BAD_HEADER", "its affine maps axes onto nothing, so nothing says which way is up")
    image.stream = stream
    return image


def _shape(image: Any, encoded: Encoded) -> tuple[tuple[int, int, int], bool]:
    """(I, J, K) and whether the voxels are colours; K is the number of slices."""
    shape = [int(side) for side in image.shape]
    dtype = image.get_data_dtype()
    if dtype.kind == "c" or dtype.kind not in "uifV":
        raise encoded.refused("UNSUPPORTED", f"holds {dtype}, which is no picture")
    colour = dtype.kind == "V"
    if colour and dtype.names != ("R", "G", "B"):
        raise encoded.refused("UNSUPPORTED", "holds structured voxels that are not RGB")
    if not colour and dtype == np.uint8 and shape[-1:] == [3] and len([side for side in shape[:-1] if side > 1]) <= 2:
        colour, shape = True, shape[:-1]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 3 or len(shape) < 2:
        raise encoded.refused("MULTI_FRAME", f"has {len(shape)} dimensions; a picture or a volume is read")
    rows, columns, slices = (*shape, 1)[:3]
    return (rows, columns, slices), colour


def _through(shape: tuple[int, ...]) -> int:
    """The stored axis that the picture is perpendicular to: the one of a single voxel, in a volume the last."""
    return next((axis for axis in (2, 0, 1) if shape[axis] == 1), 2)


def _choose_slice(shape: tuple[int, int, int], encoded: Encoded) -> int:
    slices = shape[_through(shape)]
    if encoded.frame is None and slices > 1:
        raise encoded.refused("MULTI_FRAME", f"is a volume of {slices} slices and none was chosen")
    if encoded.frame is not None and encoded.frame >= slices:
        raise encoded.refused("MULTI_FRAME", f"slice {encoded.frame} was asked for, but there are {slices} (counted from 0)")
    return encoded.frame or 0


def _load(encoded: Encoded, image: Any) -> NDArray[Any]:
    """Voxels with slope and intercept applied; a gzip stream is read to its end, where its checksum stands."""
    try:
        stored: NDArray[Any] = np.asanyarray(image.dataobj)
        if isinstance(image.stream, gzip.GzipFile):
            while image.stream.read(1 << 20):
                if image.stream.tell() > 16 * encoded.largest_pixels + _LARGEST_OFFSET:
                    raise encoded.refused("TOO_LARGE", "its compressed data go on far beyond the image")
    except ImageError:
        raise
    except _BROKEN as error:
        raise encoded.refused("DECODE_FAILED", f"the NIfTI data are broken or cut off ({type(error).__name__})") from None
    return stored


def _upright(stored: NDArray[Any], affine: NDArray[np.float64], frame: int) -> NDArray[Any]:
    """One slice as displayed: (H, W) or (H, W, 3)."""
    through = _through(stored.shape)
    stored = np.take(stored, [frame], axis=through)
    declared = io_orientation(affine)
    turned = apply_orientation(stored, ornt_transform(declared, axcodes2ornt(_DISPLAY, (("L", "R"), ("P", "A"), ("I", "S")))))
    picture: NDArray[Any] = np.squeeze(turned, axis=int(declared[through, 0])).swapaxes(0, 1)
    return picture


def _intensities(picture: NDArray[Any], image: Any, encoded: Encoded) -> tuple[NDArray[np.float32], str]:
    """8-bit pictures: the range of their type; else the header's display range (cal_min, cal_max), else minimum … maximum."""
    if picture.dtype == np.uint8:
        return np.divide(picture, np.float32(255), dtype=np.float32), "range of 8 bits"
    values = picture.astype(np.float64)
    if not np.isfinite(values).all():
        raise encoded.refused("NOT_FINITE", "holds NaN or infinite voxels")
    low, high = float(image.header["cal_min"]), float(image.header["cal_max"])
    intensity = "display range of the header (cal_min, cal_max)"
    if not (np.isfinite([low, high]).all() and high > low):
        low, high, intensity = float(values.min()), float(values.max()), "minimum … maximum"
    if not high > low:
        return np.zeros(values.shape, np.float32), intensity
    return np.clip((values - low) / (high - low), 0, 1).astype(np.float32), intensity


def _spacing(affine: NDArray[np.float64], through: int) -> tuple[float, float]:
    """Millimetres between displayed rows and columns."""
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    direction = io_orientation(affine)[:, 0]
    column, row = sorted((axis for axis in range(3) if axis != through), key=lambda axis: direction[axis])
    return float(lengths[row]), float(lengths[column])
