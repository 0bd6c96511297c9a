"""Which pairs of a set of pictures are worth comparing, and how far they agree: found out once, known from then on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from medtl.audit import likeness, same_picture
from medtl.audit.same_picture import Picture
from medtl.processors import processors

Pictures = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Numbers of pictures (B,) -> the images as the network sees them, uint8 (B, S, S, C)."""

_BATCH = 256


@dataclass
class Comparisons:
    """What is known of a set of pictures. It grows with each search, so it is handed from one to the next, or kept for another day."""

    of: str = ""
    """Of which pictures (:func:`identity`)."""
    nearest: likeness.Pairs | None = None
    """(P, 2) candidates by hash and sketch; None: not looked for yet."""
    agreements: dict[int, float] = field(default_factory=dict)
    """Of the pairs that were compared so far, in [-1, 1], by :func:`codes`."""
    new: bool = False
    """Whether something was found out since this object was made."""

    def search(
        self,
        names: Sequence[str],
        hashes: NDArray[np.uint64],
        pictures: Pictures,
        features: NDArray[np.float32] | None = None,
        asked: Callable[[likeness.Pairs], NDArray[np.bool_]] | None = None,
    ) -> tuple[likeness.Pairs, NDArray[np.float64]]:
        """Candidates (P, 2), numbers of pictures, and their agreements (P,); pictures are read for what is not known.

        Arguments:
            names: pixel hashes (N,), all different. Where they are not those of the last search, all that is known is forgotten.
            hashes: (N,) perceptual hashes.
            pictures: by number 0 … N-1.
            features: (N, D) of a network, NaN rows where unknown: candidates are the nearest by these, too.
            asked: pairs (P, 2) -> (P,) which of them matter; the others are not compared.
        """
        if self.of != identity(names):
            self.of, self.nearest, self.agreements = identity(names), None, {}
        album = _Album(pictures)
        if self.nearest is None:
            self.nearest, self.new = likeness.candidates(hashes, album.sketches(len(names)), None), True
        pairs = self.nearest if features is None else likeness.with_features(self.nearest, features)
        pairs = pairs if asked is None else pairs[asked(pairs)]
        own = codes(pairs, len(names)).tolist()
        missing = [place for place, code in enumerate(own) if code not in self.agreements]
        if missing:
            self.agreements.update(zip((own[place] for place in missing), album.compared(pairs[missing]), strict=True))
            self.new = True
        return pairs, np.array([self.agreements[code] for code in own], np.float64)


def codes(pairs: likeness.Pairs, count: int) -> NDArray[np.int64]:
    """(P,) a number for each of the pairs (P, 2) among `count` pictures: first · count + second."""
    return pairs[:, 0] * count + pairs[:, 1]


def identity(names: Sequence[str]) -> str:
    """32 hexadecimal digits for pictures by their pixel hashes, in this order, and for the method that compares them."""
    return hashlib.sha256("\n".join([str(same_picture.VERSION), *names]).encode()).hexdigest()[:32]


class _Album:
    """Pictures by number, each prepared once, when it is first wanted."""

    def __init__(self, read: Pictures):
        self._read = read
        self._pictures: dict[int, Picture] = {}

    def sketches(self, count: int) -> NDArray[np.float32] | None:
        """(N, M) of all pictures; None where there are none."""
        self._open(np.arange(count))
        return np.stack([self._pictures[number].sketch.ravel() for number in range(count)]) if count else None

    def compared(self, pairs: likeness.Pairs) -> list[float]:
        """Agreements. OpenCV releases the interpreter, so threads of ours help; its own only wait for each other on pictures so small."""
        self._open(np.unique(pairs))
        batches = np.array_split(pairs, len(pairs) // _BATCH + 1)

        def scores(some: likeness.Pairs) -> list[float]:
            return [same_picture.agreement(self._pictures[one], self._pictures[other]) for one, other in some.tolist()]

        own = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            with ThreadPoolExecutor(processors()) as threads:
                return [score for found in threads.map(scores, batches) for score in found]
        finally:
            cv2.setNumThreads(own)

    def _open(self, numbers: NDArray[np.int64]) -> None:
        wanted = np.array([number for number in numbers.tolist() if number not in self._pictures], np.int64)
        for start in range(0, len(wanted), _BATCH):
            some = wanted[start : start + _BATCH]
            for number, image in zip(some.tolist(), self._read(some), strict=True):
                self._pictures[number] = Picture.of(same_picture.thumbnail(image))
