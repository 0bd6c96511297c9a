"""Stored values → what a display would show, in [0, 1], 1 is white.

modality LUT sequence or rescale → VOI LUT sequence or window (LINEAR, LINEAR_EXACT, SIGMOID; the first of several) → without either
minimum … maximum, padding left out → inverted once if MONOCHROME1 or PresentationLUTShape INVERSE, padding left black. The order is the
standard's (PS3.4 annex N): inversion comes last. For words of at most 16 bits the chain runs once over the words from the image's least
to its greatest, and one table look-up does the image.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut

from medtl.imaging.dicom_frames import Stored
from medtl.imaging.dicom_tables import grey_table
from medtl.imaging.image import Encoded, LookUp, Values, Window

_BENT = ("ModalityLUTSequence", "VOILUTSequence", "PixelPaddingValue")
"""With one of these the chain may rise and fall, or values between the extremes matter."""
_MOST_WINDOWS = 8
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GreyLevels:
    """Grey pixels and how they came about."""

    shown: LookUp | NDArray[np.float32]
    """(H, W) in [0, 1]."""
    intensity: str
    inverted: bool
    notes: tuple[str, ...]
    values: Values


def to_grey_levels(stored: Stored, dataset: Dataset, encoded: Encoded) -> GreyLevels:
    """The whole chain for one frame.

    Arguments:
        stored: (H, W) integers or floating point.
        dataset: the header.
    Raises:
        ImageError: BAD_HEADER for a rescale or table that makes no sense, NOT_FINITE for floating-point pixels that are not.
    """
    if stored.words.dtype.kind == "f" and not np.isfinite(stored.words).all():
        raise encoded.refused("NOT_FINITE", "holds NaN or infinite pixels")
    _check_rescale(dataset, encoded)
    first, last = (0, 0) if stored.meaning is None else (int(extreme) for extreme in cv2.minMaxLoc(stored.words)[:2])
    values = stored.words if stored.meaning is None else stored.meaning[first : last + 1]
    present = _present(stored, values, first, dataset)
    padding = _padding(values, present, dataset)
    try:
        rescaled = np.asarray(apply_modality_lut(values, dataset), dtype=np.float64)
        shown, intensity, notes = _values_of_interest(rescaled, present, present & ~padding, dataset)
    except Exception as error:
        raise encoded.refused("BAD_HEADER", f"its look-up tables cannot be applied ({type(error).__name__})") from None
    if not np.isfinite(shown[present]).all():
        raise encoded.refused("BAD_HEADER", "its rescale or window gives values that are not finite")
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE"
    final = np.clip(1 - shown if inverted else shown, 0, 1).astype(np.float32)
    if inverted:
        final[padding] = 0  # background is black, and padding of low values would come out white (PS3.3 C.7.5.1.1.2)
    measured = Values(rescaled, None if stored.meaning is None else first, windows_of(dataset), _unit(dataset))
    if stored.meaning is None:
        return GreyLevels(final, intensity, inverted, tuple(notes), measured)
    table = np.zeros(len(stored.meaning), np.float32)
    table[first : last + 1] = final
    return GreyLevels(LookUp(stored.words, table), intensity, inverted, tuple(notes), measured)


def shows_as_much_when_shrunk(dataset: Dataset) -> bool:
    """Whether averaging stored values before the chain is about the same as after it.

    It is under a window or table over a quarter of the stored range or more, as radiographs have them. A narrow one (soft tissue of a CT)
    cuts most values off, and without one the image's own minimum and maximum count, which averages lose.
    """
    if dataset.get("VOILUTSequence"):
        covered = float(dataset.VOILUTSequence[0].LUTDescriptor[0] or 65536)
    else:
        covered = _first(dataset, "WindowWidth") or 0.0
        if _first(dataset, "WindowCenter") is None:
            return False
    slope = _first(dataset, "RescaleSlope") if "RescaleSlope" in dataset else 1.0
    return "ModalityLUTSequence" not in dataset and covered >= abs(slope or 1.0) * 2 ** int(dataset.BitsStored) / 4


def window_function(name: str, center: float, width: float) -> Callable[[Floats], Floats] | None:
    """A VOI window as a function to [0, 1], None where the numbers make no sense. PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if not (math.isfinite(center) and math.isfinite(width)) or width <= 0 or (name == "LINEAR" and width < 1):
        return None
    if name == "LINEAR_EXACT":
        return lambda values: np.clip((values - center) / width + 0.5, 0, 1)
    if name == "SIGMOID":
        return lambda values: 1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -700, 700)))
    if width == 1:
        return lambda values: (values > center - 0.5).astype(np.float64)
    return lambda values: np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _present(stored: Stored, values: NDArray[Any], first: int, dataset: Dataset) -> NDArray[np.bool_]:
    """Which of the values the image holds: those of its words, `first` the least; without a table all are there.

    Where the whole chain only rises or only falls, its least and greatest entry say all that is asked, and are found much faster.
    """
    if stored.meaning is None:
        return np.ones(stored.words.shape, dtype=bool)
    count = len(values)
    if not any(keyword in dataset for keyword in _BENT) and (np.diff(values) >= 0).all():
        present = np.zeros(count, dtype=bool)
        present[[0, -1]] = True
        return present
    return np.asarray(cv2.calcHist([stored.words], [0], None, [count], [first, first + count])).ravel() > 0


def _padding(values: NDArray[Any], present: NDArray[np.bool_], dataset: Dataset) -> NDArray[np.bool_]:
    """Which values the header declares to be padding; none, where the image would have no others."""
    value, limit = _pixel_value(dataset, "PixelPaddingValue"), _pixel_value(dataset, "PixelPaddingRangeLimit")
    if value is None:
        return np.zeros_like(present)
    low, high = sorted((value, value if limit is None else limit))
    padding: NDArray[np.bool_] = (values >= low) & (values <= high)
    return padding if (present & ~padding).any() else np.zeros_like(present)


def _pixel_value(dataset: Dataset, keyword: str) -> float | None:
    """A value in terms of stored pixels; of signed ones a large word is negative, for some writers call it unsigned all the same."""
    value = dataset.get(keyword)
    if not isinstance(value, int | float):
        return None
    return value - 65536 if dataset.get("PixelRepresentation") == 1 and value > 32767 else value


def _values_of_interest(
    rescaled: Floats, present: NDArray[np.bool_], counted: NDArray[np.bool_], dataset: Dataset
) -> tuple[Floats, str, list[str]]:
    """The VOI step: values from 0 to 1, what decided them, notes."""
    declared = _declared(rescaled, dataset)
    notes: list[str] = []
    low, high = float(rescaled[counted].min()), float(rescaled[counted].max())
    if declared is not None:
        shown, intensity = declared
        if shown is not None and (np.ptp(shown[present]) > 0 or low == high):
            return shown, intensity, notes
        notes.append(f"the header's {intensity} makes no sense or shows nothing of this image, and was left out")
    if low == high:
        return np.zeros_like(rescaled), "minimum … maximum", notes
    return (rescaled - low) / (high - low), "minimum … maximum", notes


def _declared(rescaled: Floats, dataset: Dataset) -> tuple[Floats | None, str] | None:
    """What the header's table (first) or window makes of the values, None in its place where it makes no sense; None without either."""
    if dataset.get("VOILUTSequence"):
        syntax = dataset.file_meta.TransferSyntaxUID
        table = grey_table(dataset.VOILUTSequence[0], _may_be_negative(dataset), syntax.is_little_endian)
        return table.of(np.rint(rescaled)), "VOI LUT sequence"
    center, width = _first(dataset, "WindowCenter"), _first(dataset, "WindowWidth")
    if center is None or width is None:
        return None
    name = _curve(dataset)
    apply = window_function(name, center, width)
    return apply(rescaled) if apply else None, f"window {name}"


def _may_be_negative(dataset: Dataset) -> bool:
    """Whether the least of all values that the header allows is negative once it is rescaled."""
    signed, bits = int(dataset.get("PixelRepresentation") or 0), int(dataset.BitsStored)
    ends = np.array([-signed << (bits - 1), (1 << (bits - signed)) - 1])
    return bool(np.min(apply_modality_lut(ends, dataset)) < 0)


def windows_of(dataset: Dataset) -> tuple[Window, ...]:
    """All the windows that the header offers and that make sense; the chain above uses the first."""
    pairs = zip(_numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth"), strict=False)
    curve = _curve(dataset)
    return tuple(Window(*pair, curve) for pair in pairs if window_function(curve, *pair) is not None)[:_MOST_WINDOWS]


def _curve(dataset: Dataset) -> str:
    name = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    return name if name in ("LINEAR_EXACT", "SIGMOID") else "LINEAR"


def _unit(dataset: Dataset) -> str:
    """Hounsfield units where the rescale says so, or is a CT's, whose type may be left out (PS3.3 C.11.1.1.2)."""
    stated = str(dataset.get("RescaleType") or "").strip().upper()
    return "HU" if stated == "HU" or (not stated and dataset.get("Modality") == "CT" and "RescaleSlope" in dataset) else ""


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    """All values of a number element; empty where one of them is none."""
    value: Any = dataset.get(keyword)
    try:
        return [float(each) for each in (value if isinstance(value, MultiValue | list) else [value])]
    except (TypeError, ValueError):
        return []


def _check_rescale(dataset: Dataset, encoded: Encoded) -> None:
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        if keyword not in dataset:
            continue
        value = _first(dataset, keyword)
        if value is None or not math.isfinite(value) or (keyword == "RescaleSlope" and value == 0):
            raise encoded.refused("BAD_HEADER", f"{keyword} is no usable number (empty, zero, NaN or infinite)")


def _first(dataset: Dataset, keyword: str) -> float | None:
    """The first value of a number element, None where it is absent, empty or no number."""
    value: Any = dataset.get(keyword)
    if isinstance(value, MultiValue | list):
        value = value[0] if len(value) else None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
