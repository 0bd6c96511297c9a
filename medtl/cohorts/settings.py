"""Settings that several cohort files share: how a label table is read, and how the groups are split."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from medtl.cohorts import CohortSettings
from medtl.contracts import Fraction
from medtl.registry import Mistake, Settings, refuse


def texts(value: Any) -> Any:
    """One value may stand without a list; `-1` and `'-1'` are the same spelling, for labels are strings."""
    items = value if isinstance(value, list | tuple) else [value]
    return tuple(str(item) for item in items)


Spellings = Annotated[tuple[str, ...], BeforeValidator(texts)]


class TableSettings(CohortSettings):
    """A label table beside the images: which file, how it is written, what its rows mean."""

    table: str
    """CSV (comma, semicolon, tab or `|`), .parquet or .xlsx; relative to `folder`."""
    label: str = "label"
    """The column of the labels. Of several findings per image (`task.kind: multi`): the column that joins them by `|`; where there is no
    column `label`, each class has its own, named as the class or by one of its spellings, and holds 1, 0 or nothing (not known)."""
    uncertain: Spellings = ()
    """Labels that mean "not known", such as [-1]; their images carry no label and are not trained on."""
    rows: Literal["refuse", "frontal", "all"] = "refuse"
    """Several rows (or images) of one study: `refuse`, keep the `frontal` ones by `view`, or keep `all`."""
    view: str | None = None
    """The column of the view, needed for `rows: frontal` (a DICOM cohort takes it from the header)."""
    frontal: Spellings = ("PA", "AP")
    """Which views are frontal."""
    missing: Literal["refuse", "exclude"] = "refuse"
    """Rows whose image is not there: refuse the table, or leave them out and count them."""
    unlisted: Literal["refuse", "exclude"] = "refuse"
    """Images without a row, in the folders that the table points into: refuse, or leave them out and count them."""
    separator: Literal["auto", ",", ";", "\t", "|"] = "auto"
    encoding: str = "auto"
    """`auto`: the byte order mark, else UTF-8, else Windows Latin (cp1252); or a name that Python knows."""
    sheet: str | None = None
    """Of an .xlsx file; default: the first."""


class SplitSettings(Settings):
    """Who is trained on, who chooses, who judges. The seeded hash of the group decides, so it is stable when rows come or go."""

    by: Literal["patient", "lesion", "study", "image"] = "patient"
    """The unit that stays together; an image without that id is its own unit."""
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.15
    test: Fraction = 0.20
    seed: int = 0
    """Of the split alone; `seed` at the top is of training."""
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    """k-fold cross-validation: every group is tested once; `test` is then unused."""
    held_out: Annotated[float, Field(gt=0, lt=1)] | None = None
    """This share of the groups is kept apart (the split `calibration`): they teach nothing and choose no network. With `folds` they stand
    in none; on them the ensemble is calibrated and its threshold chosen. Else they come out of train, and what promises something of
    patients to come (`decision.guarantee`) is fitted on them. With `from`, the run's own, if it has some."""
    fold: Annotated[int, Field(ge=0)] | None = None
    """One of the `folds`, from 0, as a run of its own: it is the test part, the others are trained on."""
    column: str | None = None
    """A column of the cohorts' tables that gives train / validation / test; without validation rows, they come out of train."""
    overlap: Literal["refuse", "exclude"] = "refuse"
    """A group that stands in two splits given by `column`: refuse, or exclude its rows from training (then from validation)."""
    from_run: str | None = Field(default=None, alias="from")
    """A run folder whose split is taken over, row by row and group by group; new groups fall by the hash."""
    exclude: str | None = None
    """A table (`image`, perhaps `frame`) of images that are left out, such as the audit's `exclude.csv`; relative to the data root."""
    groups: str | None = None
    """A table (`image`, perhaps `frame`, `group`) of images that stay together, such as the audit's `groups.csv`."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the groups of train and validation whose labels are used, class by class; `seed` at the top draws them, smaller shares
    inside larger ones. For learning curves."""
    labels: Literal["given", "shuffled"] = "given"
    """`shuffled`: a control. Labels are dealt anew among all images by this `seed`, so that trainings of several seeds are judged by the
    same: nothing can be learned, and nothing may be found."""
    near_duplicates: Literal["refuse", "together"] = "refuse"
    """Nearly equal pictures (saved again, cropped, taken at once): refuse a split that tears them apart (see `audit.allow`), or make
    them one group. Looked for without a network's features, with which an audit may find more."""

    model_config = ConfigDict(populate_by_name=True)

    @model_validator(mode="after")
    def _one_way(self) -> SplitSettings:
        ways = [name for name, value in (("folds", self.folds), ("column", self.column), ("from", self.from_run)) if value is not None]
        if len(ways) > 1:
            raise ValueError(f"{' and '.join(ways)} exclude each other")
        if self.fold is not None and self.fold >= (self.folds or 0):
            allowed = f"0 to {self.folds - 1}" if self.folds else "none without `folds`"
            refuse([Mistake(("fold",), self.fold, f"is no fold; allowed: {allowed}")])
        parts = {"validation": self.validation, "test": 0 if self.column else self.test, "held_out": self.held_out or 0}
        if self.folds is None and sum(parts.values()) >= 1 and (self.column is None or self.held_out):
            raise ValueError(f"{' + '.join(name for name, share in parts.items() if share)} leave nothing to train on")
        return self

    @property
    def fits(self) -> int | None:
        """How many folds one run trains, with an ensemble above them; None where the run is a single fit."""
        return None if self.fold is not None else self.folds
