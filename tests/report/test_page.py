"""The page says what the tables say, asks nobody for anything, and cannot be made to say something else."""

from __future__ import annotations

import copy
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from medtl.document.picture import Picture
from medtl.estimates import estimate, number
from medtl.report import acceptance, subgroups, summary
from medtl.report import page as page_file
from medtl.report.further import OF_CLASS, OVERALL
from medtl.report.mistakes import worst
from medtl.report.page import page, write_report

THREE = ("rare", "common", "other")
FIGURES = ("auroc", "auprc", "accuracy", "balanced_accuracy", "macro_f1", "brier", "ece")


@pytest.fixture(autouse=True)
def without_figures(request, monkeypatch):
    """Figures have tests of their own and take most of the time; a test that asks for the fixture `figures` gets them."""
    if "figures" not in request.fixturenames:
        monkeypatch.setattr(page_file, "_drawings", lambda *_: [])


@pytest.fixture
def figures():
    """A page with its figures."""


class Elements(HTMLParser):
    """Tags with attributes, and the text that is read."""

    def __init__(self, html: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self._style = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {key: value or "" for key, value in attrs}))
        self._style = tag == "style"

    def handle_endtag(self, tag):
        self._style = False

    def handle_data(self, data):
        if not self._style:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.mark.parametrize("names", [("well", "ill"), THREE])
def test_every_figure_of_metrics_stands_in_the_page(make_contents, names):
    contents = make_contents(names)
    text = Elements(page(contents)[0]).text
    for entry in contents.metrics["splits"].values():
        for key in FIGURES:
            assert estimate(entry[key]) in text
        for label, each in entry["per_class"].items():
            cells = [label, str(each["support"]), *(estimate(each[key]) for key in ("precision", "recall", "f1", "prevalence"))]
            assert " ".join(cells) in text


def test_the_box_on_top_follows_metrics_json(make_contents):
    contents = make_contents()
    metrics = copy.deepcopy(contents.metrics)
    metrics["splits"]["test"]["per_class"]["ill"]["recall"] = {"value": 0.99962, "low": 0.987, "high": 0.99999}
    metrics["splits"]["test"]["per_class"]["well"]["recall"] = {"value": None, "reason": "no cases"}
    metrics["splits"]["test"]["auroc"] = {"value": 0.777, "low": None, "high": None, "reason": "one group only"}
    box = re.search(r'(?s)<section class="minute".*?</section>', page(dataclasses.replace(contents, metrics=metrics))[0])[0]
    text = Elements(box).text
    assert "Sensitivity 0.9996 0.987 to >0.9999" in text
    assert "Specificity n/a no cases" in text
    assert "AUROC 0.777 one group only" in text
    assert "research use only" in text.lower()


def test_a_class_that_is_absent_has_reasons_and_no_figures(make_table, make_contents):
    table = make_table(THREE)
    contents = make_contents(THREE, splits=("test",), predictions=table[table["truth"] != "rare"])
    text = Elements(page(contents)[0]).text
    assert "rare 0 n/a (no cases) n/a (no cases) n/a (no cases)" in text
    assert "over 2 of 3 classes; no cases of rare" in text


def test_nothing_is_fetched_and_nothing_runs(figures, make_contents):
    picture = Picture(b"\xff\xd8\xff", "JPEG")
    contents = make_contents(splits=("test",))
    keys = [each.key for group in worst(contents.predictions, contents.task, "test").values() for each in group]
    html = page(dataclasses.replace(contents, pictures=dict.fromkeys(keys, picture)))[0]
    elements = Elements(html).found
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        assert not [key for key in attributes if key.startswith("on")]
        for key in ("src", "href", "xlink:href", "action", "srcset", "data", "poster"):
            assert attributes.get(key, "#").startswith(("#", "data:image/")), (tag, key)
    assert {address[:5] for address in re.findall(r"url\(([^)]*)", html)} <= {"#test"}
    assert "@import" not in html
    assert len(re.findall("data:image/jpeg", html)) == len(keys) > 0
    policy = next(attributes["content"] for tag, attributes in elements if attributes.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy


HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> & {{ 7 * 7 }}"


def test_names_from_outside_stay_text_wherever_they_come_from(figures, make_contents, make_table):
    names = (HOSTILE, "well", "</svg><b>")
    table = make_table(names, n=90)
    table["domain"] = np.where(np.arange(90) % 2, HOSTILE, "south")
    table["image"] = HOSTILE + table["image"]
    contents = make_contents(names, splits=("test",), predictions=table)
    rows = contents.records.assign(sex=HOSTILE)
    broken = pd.DataFrame({"image": [HOSTILE], "frame": [0], "quarantine": ["NOT_FOUND"], "reason": [HOSTILE]})
    given = dataclasses.replace(
        contents,
        records=rows,
        measurements=broken,
        package={**contents.package, "name": HOSTILE},
        experiment_yaml=HOSTILE,
        logs={"": [{"event": "images", "notes": [HOSTILE]}]},
        looks=HOSTILE,
        commands=[HOSTILE],
    )
    html = page(given)[0]
    found = Elements(html).found
    assert not [tag for tag, _ in found if tag in ("script", "b")]
    assert not [attributes for tag, attributes in found if tag == "img" or any(key.startswith("on") for key in attributes)]
    assert "49" not in re.findall(r"& (\S+)", html)
    assert Elements(html).text.count("alert('x')") > 10


def test_neither_patient_nor_group_ids_stand_in_page_or_tables(make_contents, tmp_path):
    contents = make_contents()
    write_report(contents, tmp_path)
    for file in (tmp_path / "report.html", *(tmp_path / "report").iterdir()):
        assert "cafe0000" not in file.read_text()


def test_the_same_run_gives_the_same_bytes(figures, make_contents, tmp_path):
    for place in ("a", "b"):
        write_report(make_contents(splits=("test",), kept=True), tmp_path / place)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 7
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_run_whose_test_images_were_not_opened_says_so(make_contents, make_table):
    contents = make_contents(splits=("validation",))
    sealed = contents.records.head(7).assign(split="test", image=lambda rows: "sealed/" + rows["image"])
    closed = dataclasses.replace(contents, records=pd.concat([contents.records, sealed], ignore_index=True))
    text = Elements(page(closed)[0]).text
    assert text.count("The test images were not opened.") == 2
    assert "validation images, which chose epoch, calibration and threshold" in text
    assert "sealed/" not in text
    assert "The run kept no test images." in Elements(page(contents)[0]).text


def test_looks_are_counted_in_words(make_contents):
    contents = make_contents()
    assert "the test images were opened once." in page(contents)[0]
    often = dataclasses.replace(contents, metrics={**contents.metrics, "looks": 3}, looks="Look 5 at these images.")
    assert "Look 5 at these images. For this model the test images were opened 3 times." in page(often)[0]


def test_out_of_fold_figures_are_called_so(make_contents, make_table):
    table = pd.concat([make_table(n=40, seed=k, fold=str(k)).assign(image=lambda t, k=k: f"{k}/" + t["image"]) for k in range(3)])
    contents = make_contents(splits=("test",), predictions=table)
    rows = contents.records.assign(split="")
    package = {**contents.package, "weights": contents.package["weights"] * 3}
    html, tables = page(dataclasses.replace(contents, records=rows, package=package))
    text = Elements(html).text
    assert "judged by the one of the 3 networks that did not learn from it (out-of-fold)" in text
    assert "The packaged model, all 3 together, was not judged itself." in text
    two = dataclasses.replace(contents, records=rows, package={**package, "weights": package["weights"][:2]})
    assert "The packaged model, both together, was not judged itself." in summary.basis(two)
    assert next(each for each in tables if each.name == "table_1").header == ["", "all used", "fold 1", "fold 2", "fold 3"]


def test_the_worst_errors_are_the_most_confident_ones_with_their_receipts(make_contents):
    contents = make_contents()
    table = contents.predictions
    wrong = table[(table["split"] == "test") & (table["truth"] != table["predicted"])]
    missed = wrong[wrong["truth"] == "ill"].sort_values("p_well", ascending=False).head(6)
    shown = worst(table, contents.task, "test")["Missed ill"]
    assert [each.image for each in shown] == missed["image"].tolist()
    pictures = {shown[0].key: Picture(b"\xff\xd8", "DICOM, 12 bit, window LINEAR, inverted")}
    html = page(dataclasses.replace(contents, pictures=pictures))[0]
    text = Elements(html).text
    assert f"ill , called well with {number(shown[0].probability)} {shown[0].image}" in text
    assert "DICOM, 12 bit, window LINEAR, inverted" in text
    assert html.count("<img ") == 1
    assert text.count("no picture: ") == sum(map(len, worst(table, contents.task, "test").values())) - 1


def test_a_model_without_errors_has_none_to_show(make_contents, make_table):
    table = make_table()
    perfect = table.assign(
        predicted=table["truth"], p_ill=(table["truth"] == "ill") * 0.8 + 0.1, p_well=(table["truth"] == "well") * 0.8 + 0.1
    )
    text = Elements(page(make_contents(splits=("test",), predictions=perfect))[0]).text
    assert "None among the 60 test images." in text
    assert "No image was called something else than it is." in text


@pytest.mark.parametrize(("synthetic", "domain"), [(True, "south"), (False, "synthetic-chest")])
def test_made_images_are_called_synthetic(make_contents, make_table, synthetic, domain):
    contents = make_contents(splits=("test",), predictions=make_table().assign(domain=domain))
    contents = dataclasses.replace(contents, package={**contents.package, "synthetic": synthetic})
    assert "SYNTHETIC IMAGES" in page(contents)[0]
    assert "SYNTHETIC" not in page(make_contents())[0]


def test_domains_and_subgroups_are_judged_on_their_own_images(make_contents, make_table):
    contents = make_contents(splits=("test",), predictions=make_table(n=120), kept=True)
    raw = next(each for each in page(contents)[1] if each.name == "test_subgroups").raw
    domains = raw.query("by == 'domain'").set_index("level")
    for name, rows in contents.predictions.groupby("domain"):
        assert domains.loc[name, "n"] == len(rows)
        assert domains.loc[name, "accuracy"] == pytest.approx((rows["truth"] == rows["predicted"]).mean())
    assert raw.query("by == 'sex'").set_index("level")["n"].to_dict() == {"F": 60, "M": 60}
    assert set(raw.query("by == 'age'")["level"]) <= {"18 to 39", "40 to 59", "60 to 79", "80 and over"}


def test_few_are_shown_as_few_and_a_kept_column_may_have_any_name(make_contents):
    contents = make_contents(splits=("test",))
    odd = contents.records.assign(p_ill=["yes"] * 54 + ["no"] * 6, view="PA", domain="elsewhere")
    found = subgroups.by_subgroup(dataclasses.replace(contents, records=odd), "test")
    assert [
        (part.against.by, part.against.level, part.against.images, bool(part.figures)) for part in found if part.against.by == "p_ill"
    ] == [
        ("p_ill", "yes", 54, False),
        ("p_ill", "no", 6, False),
    ]
    text = Elements(page(dataclasses.replace(contents, records=odd))[0]).text
    assert re.search(r"p_ill: no 6 3 too few \(\d of well, \d of ill\)", text)
    assert re.search(r"\d of \d+ subgroups ha(s|ve) too few cases of a class to be compared\.", text)


def test_the_worst_subgroup_is_named_with_what_chance_allows(make_contents, make_table):
    table = make_table(n=120)
    south = table["domain"] == "south"
    table.loc[south, "predicted"] = np.where(table.loc[south, "truth"] == "ill", "well", "ill")
    html, tables = page(make_contents(splits=("test",), predictions=table))
    text = Elements(html).text
    assert "Worst of 2 subgroups: domain south: balanced accuracy 0.000, elsewhere 0." in text
    assert re.search(
        r"by more than chance \(Holm over 8 differences\): domain south: balanced accuracy -0.\d+, p <0.001; domain south:", text
    )
    raw = next(each for each in tables if each.name == "test_subgroup_differences").raw.set_index(["level", "figure"])
    rest = table[~south]
    found = (rest["predicted"] == "ill")[rest["truth"] == "ill"].mean()
    assert raw.loc[("south", "sensitivity"), "difference"] == pytest.approx(-found)
    assert raw.loc[("south", "sensitivity"), "holm"] < 0.001


def test_a_model_that_only_guesses_is_called_so(make_contents):
    contents = make_contents()
    metrics = copy.deepcopy(contents.metrics)
    metrics["splits"]["test"]["auroc"] = {"value": 0.56, "low": 0.49, "high": 0.63}
    words = "No better than chance was shown: AUROC 0.560 (0.490 to 0.630)"
    assert words in page(dataclasses.replace(contents, metrics=metrics))[0]
    assert "No better than chance" not in page(contents)[0]


def test_table_one_describes_columns_by_what_they_hold(make_contents):
    contents = make_contents(splits=("test",), kept=True)
    rows = contents.records.copy()
    rows.loc[rows.index[:3], "age"] = ""
    rows["stage"] = ["1", "2"] * 30
    table = page(dataclasses.replace(contents, records=rows))[1][0]
    cells = {row[0]: row[1] for row in table.rows}
    ages = pd.to_numeric(rows["age"].iloc[3:])
    low, middle, high = ages.quantile([0.25, 0.5, 0.75])
    assert cells["age, median [quartiles]"] == f"{middle:g} [{low:g}, {high:g}]"
    assert cells["age: unknown"] == "3 (5.0 %)"
    assert cells["sex: F"] == "30 (50.0 %)"
    assert cells["stage: 1"] == "30 (50.0 %)"  # numbers, but codes
    assert cells["images"] == "60"
    assert cells["groups (patient)"] == "30"


def test_the_flow_accounts_for_every_image(make_contents):
    contents = make_contents()
    lost = contents.records.head(4).assign(split="excluded", image=[f"lost/{i}.png" for i in range(4)])
    lost["label"] = ["ill", "ill", "", "well"]
    broken = pd.DataFrame(
        {"image": ["lost/0.png", "lost/1.png"], "frame": 0, "quarantine": ["NO_PIXELS", "TOO_LARGE"], "reason": ["has none", "is huge"]}
    )
    rows = pd.concat([contents.records, lost], ignore_index=True)
    html, tables = page(dataclasses.replace(contents, records=rows, measurements=broken))
    flow = next(each for each in tables if each.name == "flow").raw.set_index("step")["images"].to_dict()
    assert flow == {
        "in the tables": 124,
        "not used: quarantined: NO_PIXELS": 1,
        "not used: quarantined: TOO_LARGE": 1,
        "not used: no label": 1,
        "not used: left out by the split": 1,
        "used": 120,
        "validation": 60,
        "test": 60,
    }
    assert "lost/1.png TOO_LARGE is huge" in Elements(html).text


def test_tables_are_also_files_that_hold_full_precision(make_contents, tmp_path):
    contents = make_contents(THREE)
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "of_an_earlier_report.csv").write_text("x")
    write_report(contents, tmp_path)
    entry = contents.metrics["splits"]["test"]
    classes = pd.read_csv(tmp_path / "report" / "test_classes.csv").set_index("class")
    assert classes.loc["rare", "recall"] == entry["per_class"]["rare"]["recall"]["value"]
    assert classes.loc["rare", "recall_low"] == entry["per_class"]["rare"]["recall"]["low"]
    figures = pd.read_csv(tmp_path / "report" / "test_figures.csv").set_index("figure")["value"]
    assert figures["auroc"] == entry["auroc"]["value"]
    matrix = pd.read_csv(tmp_path / "report" / "test_confusion.csv")
    assert matrix[list(THREE)].to_numpy().tolist() == entry["confusion"]
    assert not (tmp_path / "report" / "of_an_earlier_report.csv").exists()


def test_training_is_told_from_settings_log_and_package(make_contents):
    epoch = {"event": "epoch", "epoch": 1, "loss": 0.5, "validation_auroc": 0.81234, "rate": 1e-3, "seconds": 2.0}
    logs = {"": [epoch, {"event": "finished", "wall_seconds": 600.0, "cpu_seconds": 300.0}]}
    html, tables = page(dataclasses.replace(make_contents(), logs=logs))
    text = Elements(html).text
    assert "r.safetensors, sha256 abababababab…; 120 of 122 tensors taken over, the old head (fc.weight) left out" in text
    assert "10 min of wall time, 5 min of CPU time" in text
    assert "0.812" in text
    assert next(each for each in tables if each.name == "curves").raw["score"].tolist() == [0.81234]
    assert 'aria-label="Training curves"' in html
    assert 'aria-label="Training curves"' not in page(make_contents())[0]


def test_random_weights_are_no_transfer(make_contents):
    contents = make_contents()
    bare = [{**contents.package["weights"][0], "provenance": {"source": "none"}}]
    assert "this is no transfer" in page(dataclasses.replace(contents, package={**contents.package, "weights": bare}))[0]


def test_without_patient_ids_the_intervals_are_called_too_narrow(make_contents):
    contents = make_contents()
    text = Elements(page(dataclasses.replace(contents, metrics={**contents.metrics, "unit": "image"}))[0]).text
    assert "No patient ids: intervals are by image, and too narrow" in text


@pytest.mark.parametrize("names", [("well", "ill"), THREE])
def test_the_further_figures_stand_below_and_not_on_the_first_page(make_contents, names, tmp_path):
    contents = make_contents(names)
    html = page(contents)[0]
    box = Elements(re.search(r'(?s)<section class="minute".*?</section>', html)[0]).text
    text = Elements(html).text
    assert "MCC" not in box
    assert text.count("Further figures (95 % interval)") == len(contents.metrics["splits"])
    for entry in contents.metrics["splits"].values():
        for key in ("mcc", "kappa", "weighted_f1", "log_loss", "brier_reliability", "ece_corrected"):
            assert estimate(entry[key]) in text
        for each in entry["per_class"].values():
            shown = ("specificity", "npv", "auroc_delong" if len(names) == 2 else "auroc", "calibration_intercept", "calibration_slope")
            assert " ".join(estimate(each[key]) for key in shown) in text
    write_report(contents, tmp_path)
    stored = pd.read_csv(tmp_path / "report" / "test_further_classes.csv").set_index("class")
    assert stored.loc[names[0], "npv"] == pytest.approx(contents.entry["per_class"][names[0]]["npv"]["value"])


def test_a_run_of_an_earlier_version_is_reported_without_them(make_contents):
    contents = make_contents()
    metrics = copy.deepcopy(contents.metrics)
    for entry in metrics["splits"].values():
        for key in [key for key in entry if key in OVERALL]:
            del entry[key]
        for each in entry["per_class"].values():
            for key in OF_CLASS:
                del each[key]
    html, tables = page(dataclasses.replace(contents, metrics=metrics))
    assert "MCC" not in html
    assert not [table for table in tables if "further" in table.name]


def test_figures_by_patient_stand_beside_those_by_image(make_contents):
    contents = make_contents()
    metrics = copy.deepcopy(contents.metrics)
    own = {**metrics["splits"]["validation"], "unit": "patient", "combine": "mean", "mixed": 0, "fitted_on": 31}
    metrics["splits"]["test"]["by_unit"] = own
    text = Elements(page(dataclasses.replace(contents, metrics=metrics))[0]).text
    assert "By patient: the mean of its images' log-odds; calibration and threshold fitted on 31 patients of validation." in text
    assert "Per class (95 % interval), by patient class patients precision (PPV)" in text
    assert text.count(estimate(own["auroc"])) == 2  # and once where validation itself is reported


def test_one_training_says_what_its_intervals_do_not_speak_of(make_contents):
    contents = make_contents()
    said = "Intervals speak of test patients, not of training luck."
    assert Elements(page(contents)[0]).text.count(said) == 2
    package = {**contents.package, "weights": contents.package["weights"] * 3}
    assert said not in Elements(page(dataclasses.replace(contents, package=package))[0]).text


@pytest.mark.parametrize("names", [("well", "ill"), THREE])
def test_what_is_easy_stands_beside_the_model(make_contents, names):
    alone = {"the size of the file in bytes": {"value": 0.81, "low": 0.7, "high": 0.9}}
    contents = make_contents(names, alone=alone)
    table = next(each for each in page(contents)[1] if each.name == "test_easy")
    truth = contents.predictions.loc[contents.predictions["split"] == "test", "truth"]
    shares = truth.value_counts(normalize=True)
    model, majority, prevalence, size = table.rows
    assert model[1:] == [estimate(contents.entry[key]) for key in ("auroc", "accuracy", "brier", "log_loss")]
    assert majority[2].startswith(number(shares.max()))
    brier = (shares * (1 - shares)).sum() / (2 if len(names) == 2 else 1)
    assert prevalence[3].startswith(number(brier))
    assert prevalence[4] == number(log_loss(truth, np.tile(shares.sort_index(), (len(truth), 1))))
    assert size[:2] == ["the size of the file in bytes alone", "0.810 (0.700 to 0.900)"]
    assert not [each for each in page(contents)[1] if each.name == "validation_easy"]


def test_all_who_came_and_those_answered_stand_side_by_side(make_contents, make_table):
    table = make_table(n=120)
    held = table.index % 6 == 0
    table.loc[held, "decision"], table.loc[held, "reason"] = "no answer", "not sure enough [UNSURE]"
    contents = make_contents(splits=("test",), predictions=table)
    html, tables = page(contents)
    text = Elements(html).text
    ill = table["truth"] == "ill"
    hit, missed, silent = (
        int((ill & each).sum()) for each in (~held & (table["predicted"] == "ill"), ~held & (table["predicted"] == "well"), held)
    )
    assert f"Of {ill.sum()} ill: {hit} found, {missed} missed, {silent} unanswered." in text
    assert "83.3 % of the images got an answer; the others: 20 UNSURE." in text
    figures = next(each for each in tables if each.name == "test_answered_figures").raw.set_index("figure")
    assert figures.loc["sensitivity of ill", "all_comers"] == pytest.approx(hit / ill.sum())
    assert figures.loc["sensitivity of ill", "answered_only"] == pytest.approx(hit / (hit + missed))
    box = re.search(r'(?s)<div class="tiles">.*?</div>\s*<h3>', html)[0]
    assert f"Sensitivity {number(hit / ill.sum())}" in Elements(box).text
    assert f"of those answered (83.3 %): {number(hit / (hit + missed))} (" in Elements(box).text
    assert "unanswered" not in Elements(page(make_contents(splits=("test",)))[0]).text
    rarer = next(each for each in tables if each.name == "test_prevalences")
    assert rarer.header[3:] == ["PPV, answered only", "NPV, answered only"]
    own = rarer.raw[rarer.raw["prevalence"].round(6) == round(ill.mean(), 6)].iloc[0]
    judged = table["predicted"] == "ill"
    share = ill.mean()
    for column, among in (("ppv", table.index >= 0), ("answered_ppv", ~held)):
        found, alarms = (judged & among & ill).sum() / (ill & among).sum(), (judged & among & ~ill).sum() / (~ill & among).sum()
        assert own[column] == pytest.approx(found * share / (found * share + alarms * (1 - share)))


def test_of_subgroups_too_all_who_came_and_those_answered(make_contents, make_table):
    """The north gets fewer answers, so it fares worse among all who came, and not by the answers that were given."""
    table = make_table(n=240)
    held = (table["domain"] == "north") & (table.index % 4 == 0)
    table.loc[held, ["decision", "reason"]] = ["no answer", "not sure enough [UNSURE]"]
    _, tables = page(make_contents(splits=("test",), predictions=table))
    found = next(each for each in tables if each.name == "test_subgroups_answered")
    north = table[table["domain"] == "north"]
    ill, hit = north["truth"] == "ill", north["predicted"] == "ill"
    row = found.raw.set_index("level").loc["north"]
    assert row["answered"] == pytest.approx(1 - held.sum() / len(north))
    assert row["sensitivity_all_comers"] == pytest.approx((ill & hit & ~held[north.index]).sum() / ill.sum())
    assert row["sensitivity_answered_only"] == pytest.approx((ill & hit & ~held[north.index]).sum() / (ill & ~held[north.index]).sum())
    south = found.raw.set_index("level").loc["south"]
    assert south["sensitivity_all_comers"] == south["sensitivity_answered_only"]
    counted = "Every image that was read is judged, also where its answer was held back."
    assert [counted in each.note for each in tables if "subgroup" in each.name] == [True, False, True]
    html, plain = page(make_contents(splits=("test",)))
    assert not [each for each in plain if each.name == "test_subgroups_answered"]
    assert counted not in html


LINES = {
    "format": 1, "name": "chest-release", "split": "test", "note": "stated 2026-01-01, before these images were first opened (2026-02-01)",
    "answers": "a" * 64,
    "lines": [
        {"criterion": "sensitivity at least 0.9", "state": "met", "text": "0.950 [0.910, 0.980]"},
        {"criterion": "auroc at least 0.9 in every site", "state": "too few cases", "text": "north: 0.930 [0.880, 0.970]"},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("states", "word"), [(("met", "met"), "accepted"), (("met", "not met"), "not accepted"), (("too few cases", "met"), "too few cases")]
)
def test_the_first_page_says_whether_it_may_be_used(make_contents, states, word):
    lines = [{**line, "state": state} for line, state in zip(LINES["lines"], states, strict=True)]
    contents = dataclasses.replace(make_contents(), acceptance={**LINES, "lines": lines}, hashes={"predictions.csv": "a" * 64})
    box = Elements(re.search(r'(?s)<section class="minute".*?</section>', page(contents)[0])[0]).text
    assert f"May it be used {word} {states.count('met')} of 2 lines of chest-release are met on test." in box
    assert f"{states[0]} : sensitivity at least 0.9: 0.950 [0.910, 0.980]" in box
    assert "Stated 2026-01-01, before these images were first opened (2026-02-01)." in box
    other = dataclasses.replace(contents, hashes={"predictions.csv": "b" * 64})
    assert "judge again These lines were judged on other answers" in Elements(page(other)[0]).text
    assert "Not judged: no lines that it has to keep were stated" in Elements(page(make_contents())[0]).text


def test_a_wide_table_breaks_between_figure_and_interval_and_a_part_that_is_too_few_spans_its_figures(make_contents, make_table):
    table = make_table(n=120)
    table["domain"] = np.where(table.index < 6, "tiny", np.where(table.index // 2 % 2, "north", "south"))
    html, tables = page(make_contents(splits=("test",), predictions=table))
    shown = next(each for each in tables if each.name == "test_subgroups")
    assert shown.wide
    assert not next(each for each in tables if each.name == "test_prevalences").wide
    spanned = re.search(r'<td colspan="(\d)">(too few [^<]+)</td>', html)
    assert (spanned[1], spanned[2].replace("\u00a0", " ")) == (str(len(shown.header) - 3), shown.rows[-1][-1])


def test_the_lines_say_what_became_of_the_unanswered(make_contents):
    counted = {**LINES, "counted": "Some images got no answer."}
    assert "Some images got no answer." in page(make_contents(splits=("test",), acceptance=counted))[0]
    assert "Some images got no answer." not in page(make_contents(splits=("test",), acceptance=LINES))[0]


def test_an_acceptance_is_put_onto_a_report_that_is_there(make_contents, tmp_path):
    contents = dataclasses.replace(make_contents(splits=("test",)), hashes={"predictions.csv": "a" * 64})
    path = write_report(contents, tmp_path)
    hostile = {**LINES, "name": "<!-- /acceptance --><script>"}
    for lines in (hostile, LINES):
        assert acceptance.put_into(path, lines, "a" * 64)
    assert path.read_text() == page(dataclasses.replace(contents, acceptance=LINES))[0]
    assert "<script>" not in page(dataclasses.replace(contents, acceptance=hostile))[0]
    assert not acceptance.put_into(tmp_path / "nowhere.html", LINES, "")
    (tmp_path / "old.html").write_text("<html>")
    assert not acceptance.put_into(tmp_path / "old.html", LINES, "")
