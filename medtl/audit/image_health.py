"""Images that are broken, blank, saturated, inverted- or turned-looking, unlike the others, or have text burnt in.

What is usual the cohort itself says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medtl.audit.findings import Finding, Severity
from medtl.audit.joined import groups_of, joined, keys_of
from medtl.audit.outliers import FAR, isolation
from medtl.audit.uprightness import inverted_pairs, suspicious
from medtl.contracts import EXCLUDED
from medtl.errors import listed
from medtl.estimates import percent

MANY_BROKEN = 0.10
BLANK_CONTRAST = 0.02
"""Standard deviation of the luminance in [0, 1]."""
BLANK_SHARE = 0.90
SATURATED = 0.20
"""Share of the pixels at the top of the range; above four times the cohort's ninth decile too."""
FEW_LETTERS = 4
FOREIGN = 0.05
"""A modality or body part of fewer images than this is foreign where one other has nine tenths."""


def image_health(records: pd.DataFrame, measurements: pd.DataFrame, features: NDArray[np.float32] | None) -> list[Finding]:
    """Findings BROKEN (with what to exclude; grave from a tenth of the images), BLANK, SATURATED, INVERTED_LOOKING, TURNED_LOOKING,
    INVERTED_PAIR, OUT_OF_FAMILY, FOREIGN_KIND, BURNT_IN_TEXT.

    Arguments:
        features: (N, D) in the row order of `records`, NaN rows where an image could not be read; None where there are none.
    """
    rows = joined(records, measurements)
    in_set = (rows["split"] != EXCLUDED) | (rows["quarantine"] != "")
    read = rows[in_set & (rows["quarantine"] == "") & (rows["phash"] != "")]
    return [
        *_broken(rows[in_set]),
        *_blank(read),
        *_saturated(read),
        *_lying(read),
        *_inverted_pairs(read),
        *_out_of_family(read, features),
        *_foreign(read),
        *_text(read),
    ]


def _broken(rows: pd.DataFrame) -> Iterator[Finding]:
    broken = rows[rows["quarantine"] != ""]
    if len(broken):
        codes = listed(f"{code} {count}" for code, count in broken["quarantine"].value_counts().items())
        severity: Severity = "grave" if len(broken) >= MANY_BROKEN * len(rows) else "notable"
        by_class = rows.assign(broken=rows["quarantine"] != "").groupby("label")["broken"].mean()
        shares = ", ".join(f"{name or 'no label'} {percent(float(share))}" for name, share in by_class.items())
        yield Finding(
            "BROKEN",
            severity,
            f"{len(broken):,} of {len(rows):,} images cannot be used: {codes}",
            f"They are left out of training and of its test; on another hospital's data they count as misses. By class: {shares}. "
            "Export them again, or exclude them.",
            broken[["image", "frame", "label", "split", "quarantine", "reason"]],
            exclude=keys_of(broken),
        )


def _blank(read: pd.DataFrame) -> Iterator[Finding]:
    blank = read[(read["contrast"] < BLANK_CONTRAST) | (read["blank_share"] > BLANK_SHARE) | (read["padding_share"] > BLANK_SHARE)]
    if len(blank):
        yield Finding(
            "BLANK",
            "notable",
            f"{len(blank):,} image{'s show' if len(blank) > 1 else ' shows'} next to nothing",
            "Hardly any contrast, or detail on less than a tenth of the area: often a failed exposure or export. Look at them.",
            blank[["image", "frame", "label", "split", "contrast", "blank_share", "padding_share"]].sort_values("contrast"),
            images=keys_of(blank.sort_values("contrast")),
            exclude=keys_of(blank[blank["contrast"] < BLANK_CONTRAST]),
        )


def _saturated(read: pd.DataFrame) -> Iterator[Finding]:
    usual = read["saturated_share"].quantile(0.9) if len(read) else np.nan
    burnt = read[read["saturated_share"] > max(SATURATED, 0.0 if np.isnan(usual) else 4 * usual)]
    if len(burnt):
        burnt = burnt.sort_values("saturated_share", ascending=False)
        yield Finding(
            "SATURATED",
            "notable",
            f"{len(burnt):,} image{'s have' if len(burnt) > 1 else ' has'} more than {percent(SATURATED, 0)} of the pixels at full white",
            "Overexposed, wrongly windowed, or with white borders; what was there is lost.",
            burnt[["image", "frame", "label", "split", "saturated_share", "brightness"]],
            images=keys_of(burnt),
        )


def _lying(read: pd.DataFrame) -> Iterator[Finding]:
    """Inverted or turned, as the perceptual hash has it, each domain and view by itself."""
    found = suspicious(read["phash"], read["domain"] + "\n" + read["view"])
    inverted = found["way"] == "inverted"
    said = {
        "INVERTED_LOOKING": (
            found[inverted],
            "inverted",
            "A wrong PhotometricInterpretation, or a negative; in a few the border is bright.",
        ),
        "TURNED_LOOKING": (found[~inverted], "turned", "Turned, mirrored top to bottom or transposed; or the crop is unusual."),
    }
    for code, (some, word, why) in said.items():
        if len(some):
            table = read.loc[some.index, ["image", "frame", "label", "split"]].assign(fits=some["way"], ratio=some["ratio"].round(1))
            yield Finding(
                code,
                "notable",
                f"{len(some):,} image{'s look' if len(some) > 1 else ' looks'} {word}, compared with the others",
                f"{why} Look at them and mend the files: a network learns, or is judged, on what it is shown.",
                table,
                images=keys_of(table),
            )


def _inverted_pairs(read: pd.DataFrame) -> Iterator[Finding]:
    pairs = inverted_pairs(read)
    if pairs:
        keys, facts = keys_of(read), read[["image", "frame", "label", "split", "photometric"]]
        both = [facts.iloc[[pair[side] for pair in pairs]].reset_index(drop=True) for side in (0, 1)]
        yield Finding(
            "INVERTED_PAIR",
            "notable",
            f"{len(pairs):,} pair{'s of images are' if len(pairs) > 1 else ' of images is'} the same picture, once inverted",
            "One of each pair has the wrong polarity, such as MONOCHROME1 written for MONOCHROME2. Mend or exclude it; both of a pair "
            "belong into one split.",
            pd.concat([both[0], both[1].add_suffix(" of the other")], axis=1),
            pairs=[(keys[one], keys[other]) for one, other in pairs],
            join=[(keys[one], keys[other]) for one, other in pairs],
        )


def _out_of_family(read: pd.DataFrame, features: NDArray[np.float32] | None) -> Iterator[Finding]:
    if features is None or not len(read):
        return
    score = isolation(features[read.index.to_numpy()], groups_of(read))
    far = read.assign(distance=np.round(score, 2))[score > FAR].sort_values("distance", ascending=False)
    if len(far):
        yield Finding(
            "OUT_OF_FAMILY",
            "notable",
            f"{len(far):,} image{'s are' if len(far) > 1 else ' is'} unlike all others",
            f"Their nearest neighbours are more than {FAR:g} robust deviations further away than usual: another body part, view or kind of "
            "picture, a broken one, or a rare case. Look at them.",
            far[["image", "frame", "label", "split", "distance"]],
            images=keys_of(far),
        )


def _foreign(read: pd.DataFrame) -> Iterator[Finding]:
    """Few images of another modality or body part than nearly all others have."""
    for column, words in (("modality", "modality"), ("body_part", "body part")):
        known = read[read[column] != ""]
        shares = known[column].value_counts(normalize=True)
        few = shares[shares < FOREIGN].index
        if len(shares) > 1 and shares.iloc[0] >= 1 - FOREIGN * 2 and len(few):
            rows = known[known[column].isin(few)]
            yield Finding(
                "FOREIGN_KIND",
                "notable",
                f"{len(rows):,} of {len(known):,} images have another {words} than {shares.index[0]}: {listed(few)}",
                f"Use the cohort's filters to keep what the task is about ({column}: [{shares.index[0]}]).",
                rows[["image", "frame", "label", "split", column]],
                images=keys_of(rows),
                exclude=keys_of(rows),
            )


def _text(read: pd.DataFrame) -> Iterator[Finding]:
    said = read["receipt"].map(_says_burnt_in)
    marked = read[(read["letters"] >= FEW_LETTERS) | said].sort_values("letters", ascending=False, kind="stable")
    if len(marked):
        shares = marked["label"].value_counts() / read["label"].value_counts()
        by_class = _by_class(shares)
        yield Finding(
            "BURNT_IN_TEXT",
            "notable",
            f"{len(marked):,} of {len(read):,} images seem to have text or marks burnt in ({percent(len(marked) / len(read))})",
            f"By class: {by_class}. Such marks may name a person, a device or the finding itself; TELLTALE_LETTERS and TELLTALE_CORNERS "
            "say whether they tell the label. A guess from bright spots that stand in rows: look.",
            marked[["image", "frame", "label", "split", "letters"]],
            images=keys_of(marked),
        )


def _says_burnt_in(receipt: str) -> bool:
    notes: Sequence[str] = json.loads(receipt).get("notes", []) if receipt else []
    return any("burnt into" in note for note in notes)


def _by_class(shares: pd.Series) -> str:
    return ", ".join(f"{name or 'no label'} {percent(float(share))}" for name, share in shares.fillna(0.0).sort_index().items())
