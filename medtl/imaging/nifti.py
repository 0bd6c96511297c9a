"""NIfTI files that hold a picture: (H, W), (H, W, 1), colour, or a slice or projection of a volume; upright as the affine declares.

Which way up, and which part of a volume, stands in :mod:`medtl.imaging.nifti_views`. Where a file declares no orientation (sform and
qform code 0), NIfTI's method 1 holds as nibabel has it (first axis to the left, second to the front), and the receipt says so.
What is 0 and 1: the display range that the header declares (cal_min, cal_max); else, for 8 bits, the range of the stored type; else
minimum … maximum of what is shown. Slope and intercept are applied before; a slope of 0 or NaN means none, as the standard has it.
"""

from __future__ import annotations

import gzip
import io
import zlib
from typing import Any

import nibabel
import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from medtl.errors import ImageError
from medtl.imaging.image import Encoded, Facts, Image, Receipt, Values
from medtl.imaging.nifti_views import Shape, View, choose_view, shown, spacing, upright

_GZIP = b"\x1f\x8b"
_HEADERS = {b"n+1\0": (344, 348, "Nifti1"), b"n+2\0": (4, 540, "Nifti2")}
_PAIRS = {b"ni1\0": 344, b"ni2\0": 4}
_LARGEST_OFFSET = 64 << 20
_MILLIMETRES = {1: 1000.0, 3: 0.001}
"""Of the header's spatial unit: metre, micron; everything else is taken as millimetres."""
_RGB_VECTOR = 2003
_BROKEN = (EOFError, OSError, zlib.error, ValueError)


def begins_like(data: bytes) -> bool:
    """Whether the bytes are NIfTI, plain or gzipped (only a kilobyte is expanded to see)."""
    start = _expanded(data, 1024) if data[:2] == _GZIP else data[:1024]
    return any(start[at : at + 4] == magic for magic, (at, *_) in _HEADERS.items()) or any(
        start[at : at + 4] == magic for magic, at in _PAIRS.items()
    )


def read(encoded: Encoded) -> Image:
    """Decode one picture: the only one, the slice asked for, or what `encoded.volume` says of a volume.

    Raises:
        ImageError: BAD_HEADER, TOO_LARGE (by the header), MULTI_FRAME, UNSUPPORTED, NOT_FINITE, DECODE_FAILED.
    """
    header = _header(encoded)
    shape, samples, notes = _shape(header, encoded)
    encoded.check_size(*shape)
    view = choose_view(shape, header.affine, encoded)
    notes += [view.note] if view.note else []
    if int(header.header["sform_code"]) == 0 and int(header.header["qform_code"]) == 0:
        notes.append("the file declares no orientation: taken as NIfTI's method 1")
    stored = _load(encoded, header)
    bits = 8 if samples > 1 else 8 * stored.dtype.itemsize
    pixels, intensity, values = _pixels(stored, (*shape, samples), view, header, encoded, notes)
    codes = "".join(code or "?" for code in nibabel.aff2axcodes(header.affine))
    unit = _MILLIMETRES.get(int(header.header["xyzt_units"]) & 7, 1.0)
    receipt = Receipt(
        format="NIfTI", sha256=encoded.sha256, bytes=len(encoded.data), frame=view.frame, orientation=f"affine {codes}",
        intensity=intensity, bits=bits, photometric={1: "L", 3: "RGB", 4: "RGBA"}[samples], notes=tuple(notes),
        facts=Facts(spacing=spacing(header.affine, view.axis, unit), spacing_from="affine"),
    )  # fmt: skip
    return Image(np.ascontiguousarray(pixels, dtype=np.float32), receipt, values)


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


def _shape(image: Any, encoded: Encoded) -> tuple[Shape, int, list[str]]:
    """(I, J, K), the samples of a voxel (1 grey, 3 RGB, 4 RGBA), notes."""
    shape = [int(side) for side in image.shape]
    dtype = image.get_data_dtype()
    samples, notes = 1, []
    if dtype.kind == "V":
        samples = {("R", "G", "B"): 3, ("R", "G", "B", "A"): 4}.get(dtype.names or (), 0)
    if dtype.kind == "c" or dtype.kind not in "uifV" or not samples:
        raise encoded.refused("UNSUPPORTED", "holds complex or structured voxels, which are no picture; save numbers or RGB")
    if dtype == np.uint8 and len(shape) > 2 and shape[-1] == 3 and sum(side > 1 for side in shape[:-1]) <= 2:
        samples, shape = 3, shape[:-1]
        if int(image.header["intent_code"]) != _RGB_VECTOR:
            notes.append("its three 8-bit planes were taken as red, green and blue")
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 3 or len(shape) < 2:
        raise encoded.refused("MULTI_FRAME", f"has {len(shape)} dimensions; a picture or one volume is read, so save the wanted one alone")
    first, second, third = (*shape, 1)[:3]
    return (first, second, third), samples, notes


def _load(encoded: Encoded, image: Any) -> NDArray[Any]:
    """Voxels as stored; a gzip stream is read to its end, where its checksum stands."""
    try:
        stored: NDArray[Any] = np.asanyarray(image.dataobj.get_unscaled())
        if isinstance(image.stream, gzip.GzipFile):
            while image.stream.read(1 << 20):
                if image.stream.tell() > 16 * encoded.largest_pixels + _LARGEST_OFFSET:
                    raise encoded.refused("TOO_LARGE", "its compressed data go on far beyond the image")
    except ImageError:
        raise
    except _BROKEN as error:
        raise encoded.refused("DECODE_FAILED", f"the NIfTI data are broken or cut off ({type(error).__name__})") from None
    return stored


def _pixels(
    stored: NDArray[Any], shape: tuple[int, ...], view: View, image: Any, encoded: Encoded, notes: list[str]
) -> tuple[NDArray[np.floating[Any]], str, Values | None]:
    """(C, H, W) in [0, 1], what decided 0 and 1, and grey voxels as they were measured."""
    if shape[-1] > 1:
        colours = np.stack([stored[name] for name in stored.dtype.names], axis=-1) if stored.dtype.names else stored
        colours = colours.reshape(shape)
        picture = upright(shown(colours, view), image.affine, view.axis) / 255
        if shape[-1] == 4:
            picture, transparent = picture[..., :3] * picture[..., 3:], bool((picture[..., 3] < 1).any())
            notes += ["transparent parts became black"] if transparent else []
        return picture.transpose(2, 0, 1), "range of 8 bits", None
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    picture = upright(shown(stored.reshape(shape[:-1]), view, falling=slope < 0), image.affine, view.axis)
    values = slope * picture.astype(np.float64) + intercept
    if not np.isfinite(values).all():
        raise encoded.refused("NOT_FINITE", "holds NaN or infinite voxels")
    low, high, intensity = _range(values, stored.dtype, slope, intercept, image.header)
    measured = Values(values, None)
    if not high > low:
        return np.zeros((1, *values.shape), np.float32), intensity, measured
    return np.clip((values - low) / (high - low), 0, 1)[None], intensity, measured


def _range(values: NDArray[np.float64], dtype: np.dtype[Any], slope: float, intercept: float, header: Any) -> tuple[float, float, str]:
    """The values shown as 0 and as 1, and where they come from."""
    low, high = float(header["cal_min"]), float(header["cal_max"])
    if np.isfinite([low, high]).all() and high > low:
        return low, high, "display range of the header (cal_min, cal_max)"
    if dtype.kind in "ui" and dtype.itemsize == 1:
        ends = sorted(slope * float(end) + intercept for end in (np.iinfo(dtype).min, np.iinfo(dtype).max))
        return ends[0], ends[1], "range of 8 bits"
    return float(values.min()), float(values.max()), "minimum … maximum"
