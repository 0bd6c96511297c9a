"""Everything that medtl refuses, and how it says so.

One exception class per exit code, so that the command line needs one `except`. A message says what was given, where,
what is allowed and what to do next; it never holds patient data (no header values, no table cells beyond ids the user typed).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class MedtlError(Exception):
    """The user's mistake: one readable message, no traceback, exit code 2."""

    exit_code = 2


class Mistakes(MedtlError):
    """Several mistakes found in one pass over one input (a config, a table), listed together."""

    def __init__(self, heading: str, mistakes: Sequence[str]):
        self.heading = heading
        self.mistakes = list(mistakes)
        super().__init__("\n".join([heading, *(f"  - {mistake}" for mistake in self.mistakes)]))


class GateRefusal(MedtlError):
    """A gate says no (a leak, an acceptance not met, an update refused): exit code 3."""

    exit_code = 3


class ImageError(MedtlError):
    """One image cannot be used. `code` is stable (counted, tested); `reason` is for people and free of patient data.

    Codes: NOT_FOUND, NOT_AN_IMAGE, NO_PIXELS, UNSUPPORTED, TOO_LARGE, MULTI_FRAME, BAD_HEADER, DECODE_FAILED,
    DECODE_TIMEOUT, NOT_FINITE, CONSTANT; and, in a table of measurements only, OUT_OF_SCOPE (stated to be what the model is not for).
    """

    def __init__(self, code: str, file: str, reason: str):
        self.code = code
        self.file = file
        self.reason = reason
        super().__init__(f"{file}: {reason} [{code}]")

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str, str]]:
        """Picklable: images are decoded in other processes."""
        return type(self), (self.code, self.file, self.reason)


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'focal'?"`, or an empty string where nothing is near.

    >>> did_you_mean("focl", ["focal", "cross-entropy"])
    "; did you mean 'focal'?"
    """
    near = difflib.get_close_matches(str(given), [str(name) for name in allowed], n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def listed(items: Iterable[object], most: int = 20) -> str:
    """A comma-separated list cut after `most` items, the rest counted.

    >>> listed(range(5), most=3)
    '0, 1, 2 … and 2 more'
    """
    everything = [str(item) for item in items]
    rest = len(everything) - most
    return ", ".join(everything[:most]) + (f" … and {rest} more" if rest > 0 else "")
