"""A store that shows the source's images as an input-side method changes them; the target's are as they are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medtl.adaptation import MethodSettings, method_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medtl.imaging.store import Store


def restyled(
    store: Store, settings: MethodSettings, source: NDArray[np.int64], target: NDArray[np.int64], others: NDArray[np.bool_], seed: int
) -> Store:
    """The same store with other pixels at the positions that are no `others` (N,), the target's images of any split.

    source, target: positions of both domains' training images, all that the method looks at. The key names the method and all images,
    so that features of changed images are kept apart from others.
    """
    show = method_file(settings).build(settings, store.read, source, target, seed)
    return _Restyled(store, show, others, f"{settings.model_dump_json()} {seed}", target)  # type: ignore[return-value]


class _Restyled:
    """Has all that a store has."""

    def __init__(
        self,
        store: Store,
        show: Callable[[NDArray[np.uint8], NDArray[np.int64]], NDArray[np.uint8]],
        others: NDArray[np.bool_],
        how: str,
        target: NDArray[np.int64],
    ):
        self._store, self._show, self._others = store, show, others
        named = "\n".join([store.key, how, *store.measurements["sha256"], *map(str, target)])
        self.key = f"{store.key}-{hashlib.sha256(named.encode()).hexdigest()[:16]}"

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def __len__(self) -> int:
        return len(self._store)

    def read(self, indices: Sequence[int] | NDArray[np.integer], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """As of the store, changed."""
        positions = np.asarray(indices, np.int64)
        images = self._store.read(positions, out)
        own = np.flatnonzero(~self._others[positions])
        if len(own):
            images = images.copy() if out is None and not images.flags.writeable else images
            images[own] = self._show(images[own], positions[own])
        return images
