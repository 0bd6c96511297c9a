"""`medtl audit` on made images: every planted fault is found, nothing is grave without one, and the remedy mends the split."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medtl import findings
from medtl.audit.label_errors import label_errors
from medtl.audit.leaks import leaks
from medtl.audit.per_finding import of_each
from medtl.backbones import BackboneSettings
from medtl.cohorts.joining import read_cohorts
from medtl.cohorts.settings import SplitSettings
from medtl.cohorts.splitting import make_records
from medtl.contracts import Task
from medtl.errors import MedtlError
from medtl.experiment.schema import Scope, TrainerSettings
from medtl.flows.audit import Audited, _unread, audit
from medtl.flows.audit_evidence import answers, features
from medtl.flows.manifest import Outside, read_unjudged
from medtl.imaging.cache import cache_dir
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import open_store
from medtl.model.scope import set_aside
from medtl.phantom.making import make
from medtl.phantom.settings import Faults, PhantomSettings
from medtl.records import KEY
from medtl.terminal import Line

PLANTED = Faults(marker=1.0, duplicates=0.08, two_splits=0.15, broken=0.05)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Audited]:
    return _audited(tmp_path_factory.mktemp("clean"), Faults())


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Audited]:
    return _audited(tmp_path_factory.mktemp("faulty"), PLANTED)


def _audited(folder: Path, faults: Faults) -> tuple[Path, Audited]:
    make(PhantomSettings(kind="chest", patients=60, size=64, faults=faults), folder)
    return folder, audit(folder / "manifest.csv", out=folder / "audit")


def truth_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "truth.csv", dtype=str, keep_default_na=False).drop_duplicates("image").set_index("image")


def test_an_image_out_of_scope_could_be_read(tmp_path: Path) -> None:
    make(PhantomSettings(kind="chest", patients=4, images=1, size=48, faults=Faults(broken=0.25)), tmp_path)
    files = pd.DataFrame({"image": sorted(f"images/{path.name}" for path in (tmp_path / "images").iterdir()), "frame": 0})
    store = open_store(files, tmp_path, ImageSettings(size=32), cache_dir())
    set_aside(store, Scope(view=["LATERAL"]))
    assert list(_unread(store)) == ["1 of 4 images could not be read.", "3 of 4 images are outside the stated scope and were left aside."]


def test_nothing_is_grave_without_a_plant(clean: tuple[Path, Audited]) -> None:
    assert [finding.code for finding in clean[1].audit.of("grave")] == []


def test_every_planted_fault_is_found(faulty: tuple[Path, Audited]) -> None:
    folder, done = faulty
    truth = truth_of(folder)
    found = {finding.code: finding for finding in done.audit.findings}
    broken = truth.index[truth["faults"].str.contains("truncated|no pixel data")]
    assert {image for image, _ in found["BROKEN"].exclude} == set(broken)
    copies = truth["faults"].str.extract(r"copy of ([^|]+)")[0].dropna()
    paired = {frozenset((first[0], second[0])) for code in found if code.startswith("SAME_FILE") for first, second in found[code].pairs}
    readable = {image for image in truth.index if image not in set(broken)}
    pairs = {frozenset(pair) for pair in copies.items()}
    assert paired == {pair for pair in pairs if pair <= readable}
    torn = found["PATIENT_ACROSS_SPLITS"]
    assert torn.severity == "grave"
    given = pd.read_csv(folder / "manifest.csv", dtype=str)
    given = given[given["image"].isin(readable)]
    planted = given[given.groupby("patient_id")["split"].transform("nunique") > 1]["image"]
    assert len(planted) > 3
    assert set(torn.table["image"]) == set(planted)
    assert {finding.code for finding in done.audit.of("grave")} & {"TELLTALE_CORNERS", "TELLTALE_LETTERS"}


def test_page_and_json_hold_the_findings_and_no_patient(faulty: tuple[Path, Audited]) -> None:
    done = faulty[1]
    content = json.loads((done.folder / "audit.json").read_text())
    assert [finding["code"] for finding in content["findings"]] == [finding.code for finding in done.audit.findings]
    assert content["severities"]["grave"] == len(done.audit.of("grave"))
    html = (done.folder / "audit.html").read_text()
    assert html.count("data:image/jpeg;base64,") > 5
    assert "SYNTHETIC IMAGES" in html
    written = "".join(path.read_text() for path in done.folder.rglob("*") if path.is_file() and path.name != ".lock")
    assert not re.search(r"SYN-[AB]-\d", written)


def test_the_remedy_leaves_no_leak(faulty: tuple[Path, Audited], tmp_path: Path) -> None:
    """As `split: {groups: …, exclude: …}` with a drawn split, which the column of the manifest is not."""
    folder, done = faulty
    given = read_unjudged(folder / "manifest.csv", {}, {}, [])
    split = SplitSettings(groups="audit/groups.csv", exclude="audit/exclude.csv")
    plan = Outside(given.plan.task, given.plan.cohorts, (), split)
    source = read_cohorts(plan, folder)
    store = open_store(source.table[KEY], folder, ImageSettings(), cache_dir())
    rows = make_records(source.table, store.measurements, plan, folder)
    place = rows.set_index("image")["split"]
    assert leaks(rows) == []
    for finding in done.audit.findings:
        if "ACROSS_SPLITS" in finding.code:
            assert all(len({place[first[0]], place[second[0]]} - {"excluded"}) < 2 for first, second in finding.pairs)
    assert {"train", "validation", "test"} <= set(place)


def test_an_audit_is_never_written_over_another(clean: tuple[Path, Audited]) -> None:
    with pytest.raises(MedtlError, match="not empty"):
        audit(clean[0] / "manifest.csv", out=clean[1].folder)


def test_the_absence_of_features_is_said(clean: tuple[Path, Audited]) -> None:
    assert any("No features, for no pretrained weights are named" in sentence for sentence in clean[1].audit.looked)


def test_features_come_from_a_file_of_weights_where_one_is_given(make_run: Callable[..., Path], data: Path) -> None:
    package = make_run() / "model"
    names = [f"{label}/p00_{number}.png" for number, label in enumerate(("ILL", "NORMAL"))]
    (data / names[1]).write_bytes(b"no image")
    settings = ImageSettings(size=32)
    store = open_store(pd.DataFrame({"image": names, "frame": 0}), data, settings, cache_dir())
    others = (settings, TrainerSettings(), data, 0, Line())
    found, said = features(store, BackboneSettings(), *others, weights=package)
    assert found is not None
    assert np.isfinite(found).all(axis=1).tolist() == [True, False]
    assert said.startswith("Features of test_resnet (model)")
    without, why = features(store, BackboneSettings(weights="none"), *others)
    assert without is None
    assert why.startswith("No features, for no pretrained weights are named")
    gone, why = features(store, BackboneSettings(weights="gone.safetensors"), *others)
    assert gone is None
    assert "there is no file or folder" in why
    with pytest.raises(MedtlError, match="there is no file or folder"):
        features(store, BackboneSettings(), *others, weights=data / "gone.safetensors")


def manifest(folder: Path, rows: list[list[str]], header: list[str]) -> Path:
    for row in rows:
        (folder / row[0]).write_bytes(b"")
    pd.DataFrame(rows, columns=header).to_csv(folder / "m.csv", index=False)
    return folder / "m.csv"


def test_a_manifest_gives_classes_split_and_usual_columns(tmp_path: Path) -> None:
    rows = [["a.png", "PNA", "train", "51", "x"], ["b.png", "ok", "test", "", "y"], ["c.png", "?", "train", "9", "z"]]
    file = manifest(tmp_path, rows, ["image", "label", "split", "age", "ward"])
    given = read_unjudged(file, {}, {"PNA": "pneumonia", "?": "ignore"}, ["ward"])
    assert given.plan.task.names == ("pneumonia", "ok")
    assert given.plan.split.column == "split"
    assert given.plan.keep == ("age", "ward")
    assert given.table[["image", "label", "age", "ward"]].to_numpy().tolist() == [
        ["a.png", "pneumonia", "51", "x"],
        ["b.png", "ok", "", "y"],
    ]


@pytest.mark.parametrize(
    ("rows", "keep", "said"),
    [
        ([["a.png", "ok"], ["b.png", "ok"]], [], r"has one class only \(ok\)"),
        ([["a.png", "a|b"], ["b.png", "ok"]], [], r"no class name: a\|b"),
        ([["a.png", "ill"], ["b.png", "ok"]], ["ward"], "--keep ward: 'm.csv' has no such column"),
    ],
)
def test_a_manifest_that_cannot_be_audited_says_why(tmp_path: Path, rows: list[list[str]], keep: list[str], said: str) -> None:
    with pytest.raises(MedtlError, match=said):
        read_unjudged(manifest(tmp_path, rows, ["image", "label"]), {}, {}, keep)


def test_wrong_labels_of_a_finding_are_found_on_images_of_which_it_is_known() -> None:
    """Discs and squares that features tell apart; twelve squares are called wrongly, some are not known, dots are too rare."""
    chance, count = np.random.default_rng(0), 240
    truth = np.stack([chance.random(count) < 0.5, chance.random(count) < 0.4, np.arange(count) < 4], axis=1)
    seen = np.concatenate([2 * truth[:, :2] - 1, chance.normal(size=(count, 4))], axis=1) + chance.normal(0, 0.25, (count, 6))
    cells = truth.astype(int).astype(str).astype(object)
    wrong = np.arange(0, count, 20)
    cells[wrong, 1] = np.where(truth[wrong, 1], "0", "1")
    cells[5::20, 1] = ""
    names = ("disc", "square", "dot")
    rows = pd.DataFrame({f"y_{name}": cells[:, k] for k, name in enumerate(names)}).assign(
        image=[f"{number}.png" for number in range(count)], frame=0, sha256="", group_id=[f"p{number // 2}" for number in range(count)],
        patient_id="", group_kind="patient", domain="here", split="train", fold="",
    )  # fmt: skip
    rows["label"] = findings.words(findings.numbers(rows, names), names)
    task = Task(kind="multi", classes={name: (name,) for name in names})
    table, said = answers(rows, seen.astype(np.float32), task)
    assert table is not None
    assert said == "The labels of 240 images are compared with the answers of a linear probe on features, fitted to other groups."
    found = of_each(lambda own, task, told: [] if told is None else label_errors(own, task, told), rows, task, table)
    assert [(each.code, each.title.split(":")[0]) for each in found] == [("PROBABLE_LABEL_ERRORS", "square")]
    named = {image for image, _ in found[0].images}
    assert named <= {f"{number}.png" for number in wrong}
    assert len(named) >= len(wrong) - 1
    rare = rows.assign(y_disc="", y_square="", label=["dot"] * 4 + ["none"] * (count - 4))
    assert answers(rare, seen.astype(np.float32), task)[1].startswith("No answers of a model, for no finding has five groups with it")
