"""The same picture twice: byte for byte, pixel for pixel, or nearly (saved again, cropped, brightened); within and across splits.

Identical pictures are found by their hashes. Near ones are looked for among the nearest by perceptual hash, by middle structures and by
a network's features, and are called so only where their fine structures agree pixel by pixel (:mod:`medtl.audit.same_picture`).
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit import likeness, same_picture
from medtl.audit.comparisons import Comparisons, Pictures
from medtl.audit.findings import Finding
from medtl.audit.joined import joined
from medtl.audit.pairs import findings_of
from medtl.audit.places import places

_ALIKE_BITS, _ALIKE_COSINE = 8, 0.75
"""Without pictures: differing bits of the hashes, and cosine of the features, up to and from which a pair is shown to be looked at."""


def duplicates(
    records: pd.DataFrame,
    measurements: pd.DataFrame,
    features: NDArray[np.float32] | None = None,
    pictures: Pictures | None = None,
    across_only: bool = False,
    comparisons: Comparisons | None = None,
) -> list[Finding]:
    """Findings on pairs of images that are one picture.

    SAME_FILE, SAME_PIXELS, NEAR_DUPLICATE (notable, or a note where all pairs are of one group), each with `_ACROSS_SPLITS` (grave);
    CONTRADICTORY_LABELS (grave for identical pictures, else notable) and SHARED_BETWEEN_COHORTS among them. Without `pictures`, near
    duplicates cannot be told from images that look alike: LOOK_ALIKE, notable.

    Arguments:
        records: a records table.
        measurements: of the same images, in any order.
        features: (N, D) float32, row for row as `records`, NaN rows for images without.
        pictures: positions in `records` (B,), of readable images -> uint8 (B, S, S, C); `Store.read` is one.
        across_only: look at pairs in different splits (folds) alone, and no labels: what the gate before training needs.
        comparisons: what is known of these pictures; what is found out is added.
    """
    rows = joined(records, measurements)
    rows["place"] = places(rows)
    readable = (rows["pixel_hash"] != "") & (rows["quarantine"] == "")
    same = _identical(rows[readable])
    single = rows[readable].drop_duplicates("pixel_hash").index.to_numpy(np.int64)
    near = _near(rows, single, features, pictures, across_only, comparisons or Comparisons())
    pairs = pd.concat([same, _standing_for(near, rows[readable])], ignore_index=True)
    return findings_of(pairs, rows, across_only)


def _identical(rows: pd.DataFrame) -> pd.DataFrame:
    """Chains through the images of equal pixels, those of one split and label beside each other: each border is crossed by one pair."""
    repeated = rows[rows.duplicated("pixel_hash", keep=False)].sort_values(["pixel_hash", "place", "label", "image", "frame"])
    follows = (repeated["pixel_hash"] == repeated["pixel_hash"].shift()).to_numpy()
    second = np.flatnonzero(follows)
    positions, files = repeated.index.to_numpy(np.int64), repeated["sha256"].to_numpy()
    alike = np.where(files[second] == files[second - 1], "file", "pixels")
    return pd.DataFrame({"first": positions[second - 1], "second": positions[second], "alike": alike, "agreement": 1.0})


def _near(
    rows: pd.DataFrame,
    single: NDArray[np.int64],
    features: NDArray[np.float32] | None,
    pictures: Pictures | None,
    across_only: bool,
    comparisons: Comparisons,
) -> pd.DataFrame:
    """Near duplicates among `single`, one image for each different picture."""
    names = rows["pixel_hash"].iloc[single].tolist()
    hashes = np.array([int(text or "0", 16) for text in rows["phash"].iloc[single]], dtype=np.uint64)
    own = None if features is None else features[single]
    asked = (lambda pairs: _may_cross(rows, single, pairs)) if across_only else None
    if pictures is None:
        pairs = likeness.candidates(hashes, None, own)
        pairs = pairs if asked is None else pairs[asked(pairs)]
        scores, kept = _looking_alike(hashes, own, pairs)
    else:
        pairs, scores = comparisons.search(names, hashes, lambda numbers: pictures(single[numbers]), own, asked)
        kept = scores >= same_picture.needed(scores)
    alike = "look" if pictures is None else "near"
    found = single[pairs[kept]]
    return pd.DataFrame({"first": found[:, 0], "second": found[:, 1], "alike": alike, "agreement": scores[kept]})


def _may_cross(rows: pd.DataFrame, single: NDArray[np.int64], pairs: likeness.Pairs) -> NDArray[np.bool_]:
    """(P,) whether a picture of the pair, or a copy of it, stands in another split than the other."""
    used = rows[rows["place"] != ""].groupby("pixel_hash")["place"]
    of_picture = used.first().where(used.nunique() == 1, "several")
    place = rows["pixel_hash"].iloc[single].map(of_picture).fillna("").to_numpy(dtype=str)
    one, other = place[pairs[:, 0]], place[pairs[:, 1]]
    return np.asarray((one != "") & (other != "") & ((one != other) | (one == "several")))


def _looking_alike(
    hashes: NDArray[np.uint64], features: NDArray[np.float32] | None, pairs: likeness.Pairs
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(P,) cosines of the features (else the share of equal bits), and whether a pair is alike by both."""
    bits = likeness.hash_distances(hashes, pairs)
    if features is None:
        return 1 - bits / 64, bits <= _ALIKE_BITS // 4
    known = np.isfinite(features).all(axis=1)
    units = np.zeros((len(features), 0), np.float32)
    if known.any():
        found = likeness.directions(features[known])
        units = np.full((len(features), found.shape[1]), np.nan, np.float32)
        units[known] = found
    cosines = (units[pairs[:, 0]] * units[pairs[:, 1]]).sum(axis=1).astype(np.float64)
    return cosines, (cosines >= _ALIKE_COSINE) & (bits <= _ALIKE_BITS)


def _standing_for(near: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Pairs of pictures as pairs of images: where a picture has copies, those that stand in different splits, or have different labels."""
    copies = rows[rows.duplicated("pixel_hash", keep=False)].drop_duplicates(["pixel_hash", "place", "label"]).groupby("pixel_hash").groups
    first, second = near["first"].to_numpy(np.int64).copy(), near["second"].to_numpy(np.int64).copy()
    hashes, place, label = (rows[column].to_dict() for column in ("pixel_hash", "place", "label"))

    def worth(pair: tuple[int, int]) -> tuple[bool, bool]:
        one, other = pair
        return "" != place[one] != place[other] != "", label[one] != label[other]

    for number, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        groups = copies.get(hashes[one], [one]), copies.get(hashes[other], [other])
        first[number], second[number] = max(product(*groups), key=worth)
    return near.assign(first=first, second=second)
