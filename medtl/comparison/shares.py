"""The figures of a comparison that are shares of images: who is right on the same ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from medtl.evaluation.cases import Cases
from medtl.evaluation.paired_share import PairedShare, paired_share


def paired_shares(candidate: Cases, reference: Cases) -> dict[str, PairedShare]:
    """Of those figures of :func:`medtl.evaluation.influence.figures` that are shares: accuracy, sensitivity and specificity of two classes,
    each class's recall of more. An image that was not read is a miss; a class without images has none."""
    after, before = (each.predicted == each.truth for each in (candidate, reference))
    return {
        name: paired_share(after[among], before[among], reference.groups[among]) for name, among in _among(reference).items() if among.any()
    }


def _among(cases: Cases) -> Mapping[str, NDArray[np.bool_]]:
    """Share -> (N,) the images that it is of."""
    everyone = {"accuracy": np.ones(len(cases.truth), dtype=bool)}
    if cases.positive is not None:
        return everyone | {"sensitivity": cases.truth == cases.positive, "specificity": cases.truth != cases.positive}
    return everyone | {f"recall of {name}": cases.truth == index for index, name in enumerate(cases.classes)}
