"""PNG, JPEG, TIFF and their like, by Pillow: upright by EXIF, [0, 1] = the range of the stored type."""

from __future__ import annotations

import io
import warnings

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageOps

from medtl.imaging.encodings import encoding_of
from medtl.imaging.image import Encoded, Image, Receipt

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "PPM")
"""What Pillow may try; its other plugins are never offered untrusted bytes."""

_EXIF_ORIENTATION = 274
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")


def read(encoded: Encoded) -> Image:
    """Decode a picture. Transparent parts become black (noted); palettes, CMYK and YCbCr become RGB.

    Raises:
        ImageError: NOT_AN_IMAGE, TOO_LARGE (by the header), MULTI_FRAME, UNSUPPORTED, NOT_FINITE, DECODE_FAILED.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings quote the file; its errors are turned into ours
        picture = _open(encoded)
        frame = _choose_frame(picture, encoded)
        stored_format = "JPEG" if picture.format == "MPO" else str(picture.format)
        encoding = encoding_of(picture)
        orientation = _make_upright(picture, encoded)
        mode = picture.mode
        values, bits, notes = _values(picture, stored_format, encoded)
    pixels = np.ascontiguousarray(values.transpose(2, 0, 1) if values.ndim == 3 else values[None])
    intensity = "as stored, floating point in 0 … 1" if mode == "F" else f"range of {bits} bits"
    receipt = Receipt(
        format=stored_format, sha256=encoded.sha256, bytes=len(encoded.data), frame=frame, orientation=orientation,
        intensity=intensity, bits=bits, photometric=mode, notes=tuple(notes), encoding=encoding,
    )  # fmt: skip
    return Image(pixels, receipt)


def _open(encoded: Encoded) -> PIL.Image.Image:
    try:
        return PIL.Image.open(io.BytesIO(encoded.data), formats=FORMATS)
    except PIL.Image.DecompressionBombError:
        raise encoded.refused("TOO_LARGE", "the header claims more pixels than Pillow opens") from None
    except PIL.UnidentifiedImageError:
        raise encoded.refused("NOT_AN_IMAGE", "is neither DICOM, NIfTI nor a picture (PNG, JPEG, TIFF, BMP, WebP, GIF)") from None
    except Exception as error:
        raise encoded.refused("DECODE_FAILED", f"the picture's header cannot be read ({type(error).__name__})") from None


def _choose_frame(picture: PIL.Image.Image, encoded: Encoded) -> int:
    try:
        frames = 1 if picture.format == "MPO" else int(getattr(picture, "n_frames", 1))  # MPO: a JPEG with previews behind
    except Exception as error:
        raise encoded.refused("DECODE_FAILED", f"the picture's pages cannot be counted ({type(error).__name__})") from None
    encoded.check_size(picture.height, picture.width, frames)
    frame = encoded.frame
    if frame is None and frames > 1:
        raise encoded.refused("MULTI_FRAME", f"holds {frames} images and none was chosen")
    if frame is not None and frame >= frames:
        raise encoded.refused("MULTI_FRAME", f"frame {frame} was asked for, but there are {frames} (counted from 0)")
    if frame:
        picture.seek(frame)
        encoded.check_size(picture.height, picture.width)
    return frame or 0


def _make_upright(picture: PIL.Image.Image, encoded: Encoded) -> str:
    try:
        code = picture.getexif().get(_EXIF_ORIENTATION, 1)
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
    except Exception as error:
        raise encoded.refused("DECODE_FAILED", f"the picture's data are broken ({type(error).__name__})") from None
    return f"EXIF {code}" if code in range(2, 9) else "as stored"


def _values(picture: PIL.Image.Image, stored_format: str, encoded: Encoded) -> tuple[NDArray[np.float32], int, list[str]]:
    """float32 (H, W) or (H, W, 3) in [0, 1], the bits of a stored sample, notes."""
    mode = picture.mode
    if mode in _SIXTEEN or (mode == "I" and stored_format in ("PNG", "PPM")):
        return _scaled(np.asarray(picture), 65535), 16, []
    if mode == "F":
        return _floats(picture, encoded), 32, []
    if mode == "I":
        raise encoded.refused("UNSUPPORTED", "32-bit integer pixels have no agreed range; save it with 8 or 16 bits")
    if mode == "1":
        return _scaled(np.asarray(picture.convert("L")), 255), 1, []
    if mode == "L":
        return _scaled(np.asarray(picture), 255), 8, []
    grey = mode in ("LA", "La")
    notes = []
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        if np.asarray(picture.getchannel("A")).min() < 255:
            black = PIL.Image.new("RGBA", picture.size, (0, 0, 0, 255))
            picture = PIL.Image.alpha_composite(black, picture)
            notes.append("transparent parts became black")
    colour = np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    return _scaled(colour[..., 0] if grey else colour, 255), 8, notes


def _floats(picture: PIL.Image.Image, encoded: Encoded) -> NDArray[np.float32]:
    values = np.asarray(picture, dtype=np.float32)
    if not np.isfinite(values).all():
        raise encoded.refused("NOT_FINITE", "holds NaN or infinite pixels")
    if values.min() < 0 or values.max() > 1:
        raise encoded.refused("UNSUPPORTED", "floating-point pixels outside 0 … 1 have no agreed range; scale them or save 16 bits")
    return values


def _scaled(values: NDArray[np.generic], largest: int) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = np.divide(values, np.float32(largest), dtype=np.float32)
    return scaled
