"""What pairs of images that are one picture mean: a leak, a contradiction, a cohort that another one shares, or a repetition."""

from __future__ import annotations

import pandas as pd

from medtl.audit.findings import Finding, Key, Severity
from medtl.audit.per_finding import contradict
from medtl.audit.places import place_of

_CODES = {"file": "SAME_FILE", "pixels": "SAME_PIXELS", "near": "NEAR_DUPLICATE", "look": "LOOK_ALIKE"}
_ARE = {
    "file": "the same file, byte for byte",
    "pixels": "the same pixels in different files",
    "near": "nearly the same picture (saved again, cropped, brightened, or taken at once)",
    "look": "so alike by hash and features that they may be one picture",
}


def findings_of(pairs: pd.DataFrame, rows: pd.DataFrame, across_only: bool = False) -> list[Finding]:
    """Findings of all pairs: across splits, then within; contradictory labels; between cohorts.

    `pairs`: columns `first`, `second` (positions in `rows`), `alike` (file, pixels, near, look), `agreement` in [-1, 1].
    `rows`: records joined with measurements and `place` (:mod:`medtl.audit.places`), index 0 … N-1.
    """
    table = _described(pairs, rows)
    placed = (table["split"] != "") & (table["other_split"] != "")
    across = placed & (table["split"] != table["other_split"])
    found = [_across(table[across & (table["alike"] == alike)], alike, place_of(rows)) for alike in _CODES]
    if not across_only:
        found += [_within(table[~across & (table["alike"] == alike)], alike) for alike in _CODES]
        found += [_contradictory(table), _shared(table)]
    return [finding for finding in found if finding is not None]


def _described(pairs: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """A row per pair: both keys, how alike they are, and what stands in the records about each."""
    columns = {"image": "image", "frame": "frame", "place": "split", "label": "label", "domain": "domain"}
    one, other = (rows.loc[pairs[side]].reset_index(drop=True) for side in ("first", "second"))
    table = pd.DataFrame({"image": one["image"], "frame": one["frame"], "other_image": other["image"], "other_frame": other["frame"]})
    table["alike"], table["agreement"] = pairs["alike"].to_numpy(), pairs["agreement"].astype(float).round(3).to_numpy()
    for column in ("place", "label", "domain"):
        table[columns[column]], table[f"other_{columns[column]}"] = one[column], other[column]
    group = rows["group_id"].where(rows["group_id"] != "", None)
    same = group.loc[pairs["first"]].to_numpy() == group.loc[pairs["second"]].to_numpy()
    table["one_group"] = pd.Series(same, index=table.index, dtype=bool).map({True: "yes", False: "no"})
    return table.assign(differs=contradict(one, other)).sort_values(["differs", "agreement"], ascending=False, ignore_index=True)


def _across(table: pd.DataFrame, alike: str, where: str) -> Finding | None:
    if table.empty:
        return None
    return _finding(
        f"{_CODES[alike]}_ACROSS_SPLITS",
        "notable" if alike == "look" else "grave",
        f"{_counted(table)} in different {where} {_are(table)} {_ARE[alike]}",
        "The model is asked about pictures it has learned, and its figures are too good. "
        "Keep each picture and its copies in one group (`split: {near_duplicates: together}`, or the table groups.csv), or leave the "
        "copies out.",
        table,
        join=alike != "look",
    )


def _within(table: pd.DataFrame, alike: str) -> Finding | None:
    if table.empty:
        return None
    within = (table["one_group"] == "yes").all()
    severity: Severity = "note" if within and alike == "near" else "notable"
    said = "all of one group each" if within else f"{int((table['one_group'] == 'no').sum()):,} of them in different groups"
    advice = (
        "Copies count as several cases, in training and in the figures; another split may tear them apart. "
        "Keep them in one group (`split: {near_duplicates: together}`, or the table groups.csv)."
    )
    return _finding(_CODES[alike], severity, f"{_counted(table)} {_are(table)} {_ARE[alike]}; {said}", advice, table, join=alike != "look")


def _contradictory(table: pd.DataFrame) -> Finding | None:
    torn = table[table["differs"] & (table["alike"] != "look")]
    if torn.empty:
        return None
    certain = int(torn["alike"].isin(["file", "pixels"]).sum())
    said = " and ".join(f"{count:,} {what}" for count, what in ((certain, "identical"), (len(torn) - certain, "near")) if count)
    return _finding(
        "CONTRADICTORY_LABELS",
        "grave" if certain else "notable",
        f"{_counted(torn)} of one picture ({said}) {'has' if len(torn) == 1 else 'have'} different labels",
        "One of the two labels is wrong, or the label is not about the picture. Look them up; until then leave both images out.",
        torn,
        exclude=True,
    )


def _shared(table: pd.DataFrame) -> Finding | None:
    shared = table[(table["domain"] != table["other_domain"]) & (table["alike"] != "look")]
    if shared.empty:
        return None
    cohorts = sorted({" and ".join(sorted(pair)) for pair in shared[["domain", "other_domain"]].itertuples(index=False)})
    return _finding(
        "SHARED_BETWEEN_COHORTS",
        "notable",
        f"{_counted(shared)} of one picture stand in two cohorts: {'; '.join(cohorts[:3])}",
        "What is measured between these cohorts is not measured on other patients. Leave the copies out of one of them.",
        shared,
        join=True,
    )


def _finding(
    code: str, severity: Severity, title: str, advice: str, table: pd.DataFrame, join: bool = False, exclude: bool = False
) -> Finding:
    sides = table[["image", "frame"]], table[["other_image", "other_frame"]]
    first, second = ([(str(image), int(frame)) for image, frame in side.to_numpy()] for side in sides)
    pairs: list[tuple[Key, Key]] = list(zip(first, second, strict=True))
    single = list(dict.fromkeys(key for pair in pairs for key in pair))
    shown = table.drop(columns="differs").reset_index(drop=True)
    return Finding(code, severity, title, advice, shown, pairs=pairs, exclude=single if exclude else (), join=pairs if join else ())


def _counted(table: pd.DataFrame) -> str:
    return f"{len(table):,} pair of images" if len(table) == 1 else f"{len(table):,} pairs of images"


def _are(table: pd.DataFrame) -> str:
    return "is" if len(table) == 1 else "are"
