"""PNG, JPEG, TIFF, WebP, BMP, HEIC and their like, by Pillow: upright, [0, 1] = the range of the stored type.

Transparent parts become black. Palettes, CMYK and YCbCr become RGB; colour profiles are not applied. Colours of 16 bits go through
:mod:`medtl.imaging.deep_colour`. A HEIC says itself how it is to be turned, and its EXIF orientation only repeats it.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import ImageOps

from medtl.errors import ImageError
from medtl.imaging.deep_colour import is_deep_colour, read_deep_colour
from medtl.imaging.encodings import encoding_of
from medtl.imaging.image import Encoded, Image, LookUp, Receipt
from medtl.imaging.origins import origin_of
from medtl.imaging.plain_grey import grey_values, read_plain_png

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000", "PPM")
"""What Pillow may try; its other plugins are never offered untrusted bytes. HEIC has a decoder of its own."""

_BEGINNINGS = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"II+\0": "TIFF", b"MM\0+": "TIFF", b"GIF8": "GIF",
}  # fmt: skip
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_ORIENTATION, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 274, 258, 262, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")


def read(encoded: Encoded) -> Image:
    """Decode a picture.

    Raises:
        ImageError: NOT_AN_IMAGE, TOO_LARGE (by the header), MULTI_FRAME, UNSUPPORTED, NOT_FINITE, DECODE_FAILED.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings quote the file; its errors are turned into ours
        picture = _open(encoded)
        frame = _choose_frame(picture, encoded)
        stored_format = "JPEG" if picture.format == "MPO" else str(picture.format)
        encoding = encoding_of(picture)
        full_size = _reduce(picture, encoded)
        deep = is_deep_colour(picture, encoded)
        plain = read_plain_png(picture, encoded)
        orientation, notes = (1, []) if plain else _make_upright(picture, encoded)
        origin = origin_of(picture, with_exif=not plain)
        mode = f"{picture.mode};16" if deep else picture.mode
        values: NDArray[np.float32] | LookUp
        if plain:
            values, bits = plain
        elif deep:
            colour, alpha = read_deep_colour(picture, encoded, frame)
            values, bits = _turned(_over_black(colour, alpha, notes), orientation, stored_format), 16
        else:
            values, bits = _values(picture, stored_format, encoded, notes)
    if not isinstance(values, LookUp):
        values = np.ascontiguousarray(values.transpose(2, 0, 1) if values.ndim == 3 else values[None])
    receipt = Receipt(
        format=stored_format, sha256=encoded.sha256, bytes=len(encoded.data), frame=frame,
        orientation=f"EXIF {orientation}" if orientation > 1 else "as stored",
        intensity="as stored, floating point in 0 … 1" if mode == "F" else f"range of {bits} bits",
        bits=bits, photometric=mode, inverted=_tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO, notes=tuple(notes), encoding=encoding,
        origin=origin,
        full_size=full_size[::-1] if full_size and orientation >= 5 else full_size,
    )  # fmt: skip
    return Image(values, receipt)


def _open(encoded: Encoded) -> PIL.Image.Image:
    data = io.BytesIO(encoded.data)
    try:
        if encoded.data[4:8] == b"ftyp" and encoded.data[8:12] in _HEIC_BRANDS:
            return _open_heic(data, encoded)
        return PIL.Image.open(data, formats=FORMATS)
    except PIL.Image.DecompressionBombError:
        raise encoded.refused("TOO_LARGE", "the header claims more pixels than Pillow opens") from None
    except PIL.UnidentifiedImageError:
        kind = next((kind for beginning, kind in _BEGINNINGS.items() if encoded.data.startswith(beginning)), None)
        if kind:
            raise encoded.refused(
                "DECODE_FAILED", f"begins like a {kind}, but its header is broken or of a kind that is not read"
            ) from None
        known = "PNG, JPEG, TIFF, BMP, WebP, GIF, HEIC"
        raise encoded.refused("NOT_AN_IMAGE", f"is neither DICOM, NIfTI nor a picture ({known})") from None
    except ImageError:
        raise
    except Exception as error:
        raise encoded.refused("DECODE_FAILED", f"the picture's header cannot be read ({type(error).__name__})") from None


def _open_heic(data: io.BytesIO, encoded: Encoded) -> PIL.Image.Image:
    try:
        from pi_heif import HeifImageFile
    except ImportError:  # no wheel for this platform: everything else is read all the same
        raise encoded.refused("UNSUPPORTED", "HEIC needs the package pi-heif, which is not installed; or save it as PNG or JPEG") from None
    picture: PIL.Image.Image = HeifImageFile(data)
    return picture


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


def _reduce(picture: PIL.Image.Image, encoded: Encoded) -> tuple[int, int] | None:
    """Have a JPEG decoded at a half, a quarter or an eighth where that is enough; its full size, None where nothing is left out."""
    full = picture.height, picture.width
    if encoded.at_least is None or picture.format != "JPEG":
        return None
    picture.draft(picture.mode, (encoded.at_least, encoded.at_least))
    return None if full == (picture.height, picture.width) else full


def _make_upright(picture: PIL.Image.Image, encoded: Encoded) -> tuple[int, list[str]]:
    """Decode and turn as EXIF (or TIFF's own tag) says: that orientation, 1 … 8, and notes."""
    code: Any = _tag(picture, _ORIENTATION) or 1  # a TIFF is turned while it is loaded
    notes: list[str] = []
    try:
        picture.load()
    except Exception as error:
        raise encoded.refused("DECODE_FAILED", f"the picture's data are broken ({type(error).__name__})") from None
    if picture.format != "TIFF":
        try:
            code = picture.getexif().get(_ORIENTATION, 1)
            ImageOps.exif_transpose(picture, in_place=True)
        except Exception:  # a block of notes beside the picture, which many programs damage
            code, notes = 1, ["its EXIF data are broken: taken as stored"]
    return (int(code) if code in range(1, 9) else 1), notes


def _turned(values: NDArray[np.float32], orientation: int, stored_format: str) -> NDArray[np.float32]:
    """Deep colour, upright: OpenCV has turned a TIFF already."""
    if stored_format == "TIFF":
        return values
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if orientation in (2, 3, 6, 7) else values


def _values(picture: PIL.Image.Image, stored_format: str, encoded: Encoded, notes: list[str]) -> tuple[NDArray[np.float32] | LookUp, int]:
    """float32 (H, W) or (H, W, 3) in [0, 1], or what amounts to it, and the bits of a stored sample; adds notes."""
    mode, transparent = picture.mode, picture.info.get("transparency")
    if _tag(picture, _SAMPLE_FORMAT) == _SIGNED or (mode == "I" and stored_format not in ("PNG", "PPM")):
        raise encoded.refused("UNSUPPORTED", "signed or 32-bit integers have no agreed range; save it with 8 or 16 bits, unsigned")
    if mode in (*_SIXTEEN, "I"):
        bits = int(_tag(picture, _BITS) or 16)
        stored = np.asarray(picture)
        opaque = None if transparent is None else (stored != transparent).astype(np.float32)
        return _polarity(_over_black(_scaled(stored, 2**bits - 1), opaque, notes), picture), bits
    if mode == "F":
        return _polarity(_floats(picture, encoded), picture), 32
    bits = 1 if mode == "1" else 8
    if transparent is None and mode in ("1", "L"):
        return grey_values(np.asarray(picture.convert("L")), 255), bits
    grey = mode in ("1", "L", "LA", "La")
    has_alpha = transparent is not None or mode in ("LA", "La", "PA", "RGBA", "RGBa")
    try:
        samples = _scaled(np.asarray(picture.convert("RGBA" if has_alpha else "RGB")), 255)
    except ValueError:
        raise encoded.refused("UNSUPPORTED", f"colours of the kind {mode} are not read; save it as RGB") from None
    colour = samples[..., 0] if grey else samples[..., :3]
    return _over_black(colour, samples[..., 3] if has_alpha else None, notes), bits


def _polarity(values: NDArray[np.float32], picture: PIL.Image.Image) -> NDArray[np.float32]:
    """TIFF may say that 0 is white (film scanners do); Pillow follows it for 8 bits and not for more."""
    return np.float32(1) - values if _tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO else values


def _over_black(colour: NDArray[np.float32], alpha: NDArray[np.float32] | None, notes: list[str]) -> NDArray[np.float32]:
    """Laid over black: (H, W) or (H, W, 3)."""
    if alpha is None or alpha.min() == 1:
        return colour
    notes.append("transparent parts became black")
    return colour * (alpha if colour.ndim == 2 else alpha[..., None])


def _tag(picture: PIL.Image.Image, number: int) -> Any:
    """The first value of a TIFF's tag, None where there is none or the picture is no TIFF."""
    value = picture.tag_v2.get(number) if picture.format == "TIFF" else None  # type: ignore[attr-defined]
    return next(iter(value), None) if isinstance(value, tuple) else value


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
