"""A package gives back what was put in, bit for bit, and refuses to be opened when it is not what it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from medtl.decisions.calibration import Calibration
from medtl.decisions.isotonic import Curve, IsotonicCalibration
from medtl.errors import MedtlError
from medtl.experiment.schema import Scope
from medtl.model import format as package_format
from medtl.model.model import Model
from medtl.model.operating_point import Guarantee
from medtl.model.package import refresh_metrics

OLD = {
    "format": 1, "medtl": "0.1.0", "created": "2026-01-01T00:00:00+00:00", "name": "lungs",
    "task": {"kind": "single", "classes": {"normal": ["NORMAL"], "pneumonia": ["PNEUMONIA"]}, "positive": "pneumonia", "ignore": []},
    "image": {
        "size": 32, "fit": "pad", "intensity": "as-read", "channels": 3, "decode": "exact",
        "largest_pixels": 100000000, "timeout": 30.0, "quarantine_share": 0.02,
    },
    "network": {
        "architecture": "test_resnet", "library": "timm", "options": {}, "mean": [0.5], "std": [0.5], "features": "last", "dim": 64
    },
    "weights": [{"file": "weights-0.safetensors", "sha256": "1" * 64, "provenance": {}}],
    "prior_shift": [[0.0, 0.0]],
    "calibration": {"slope": 1.0, "intercept": 0.0},
    "operating_point": {"rule": "youden", "threshold": 0.4, "split": "validation", "n": 40},
}  # fmt: skip
"""As the first packages were written, without the fields that came later."""


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (35, 32, 32, 3), dtype=np.uint8)


def edit(folder: Path, **changes: object) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def resign(folder: Path) -> None:
    """Make hashes and fingerprint fit again, as a forger would."""
    fields = json.loads((folder / "model.json").read_text())
    for each in fields["weights"]:
        each["sha256"] = package_format.file_sha256(folder / each["file"])
    fields.pop("fingerprint")
    package_format.write(package_format.signed(fields), folder)


def test_weights_and_logits_come_back_bit_for_bit(package, classifier, images):
    loaded = Model.load(package(members=2), "cpu")
    assert len(loaded.members) == 2
    for seed, member in enumerate(loaded.members):
        before, after = classifier(seed).state_dict(), member.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    with torch.inference_mode():
        expected = classifier(1).to(memory_format=torch.channels_last)(torch.from_numpy(images[:32])).numpy()
    assert np.array_equal(loaded.predict_arrays(images[:32])[1], expected)


def test_a_field_that_came_later_leaves_older_fingerprints_alone():
    """Else every package in use would be refused as changed."""
    assert package_format.signed(OLD).fingerprint == "08b006a959aee1f7be8e39642b2994d582fb14cd9a7e576db4a3312cceb20c87"


def test_the_fingerprint_covers_whom_the_model_is_for_and_that_it_was_made_up(package, experiment):
    anybody = experiment.model_copy(update={"scope": Scope()})
    plain, scoped = package(folder="plain", experiment=anybody), package(folder="scoped")
    made = package(folder="made", experiment=anybody, synthetic=True)
    assert len({package_format.read(each).fingerprint for each in (plain, scoped, made)}) == 3
    for folder, changes in (
        (scoped, {"scope": {}}),
        (plain, {"scope": {"age": [0, 99]}}),
        (made, {"synthetic": False}),
        (scoped, {"fingerprint_covers": 1}),
    ):
        before = (folder / "model.json").read_text()
        edit(folder, **changes)
        with pytest.raises(MedtlError, match="fingerprint does not fit"):
            package_format.read(folder)
        (folder / "model.json").write_text(before)


def test_a_package_older_than_that_loads_and_keeps_its_fingerprint(package, experiment):
    """Its fields as they were written: with a scope, and without what the fingerprint covers."""
    written, anybody = package(synthetic=True), experiment.model_copy(update={"scope": Scope()})
    plain = package_format.read(package(folder="plain", experiment=anybody)).fingerprint
    edit(written, fingerprint=plain)
    fields = json.loads((written / "model.json").read_text())
    del fields["fingerprint_covers"]
    (written / "model.json").write_text(json.dumps(fields))
    loaded = Model.load(written, "cpu")
    assert loaded.fingerprint == plain
    assert loaded.scope == experiment.scope
    resigned = package_format.signed(fields)
    assert resigned.fingerprint_covers == 2
    assert resigned.fingerprint != plain, "what is made from it is covered"


def test_a_package_knows_its_settings(package, experiment):
    loaded = Model.load(package(), "cpu")
    assert loaded.task == experiment.task
    assert loaded.image == experiment.image
    assert loaded.scope == experiment.scope
    assert loaded.threshold == 0.4
    assert loaded.calibration.temperature == 1.5


def test_equal_weights_are_equal_files(package):
    first, again = package(folder="a"), package(folder="b")
    assert (first / "weights-0.safetensors").read_bytes() == (again / "weights-0.safetensors").read_bytes()
    assert Model.load(first, "cpu").fingerprint == Model.load(again, "cpu").fingerprint


def test_channels_last_weights_are_the_same_file(package, classifier):
    plain, other = package(folder="a"), package(folder="b", members=[classifier(0).to(memory_format=torch.channels_last)])
    assert (other / "weights-0.safetensors").read_bytes() == (plain / "weights-0.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("changed", "same"),
    [({}, True), ({"training": {"epochs": 3}}, True), ({"threshold": 0.41}, False), ({"prior_shift": [0.0, 0.6]}, False)],
)
def test_the_fingerprint_names_what_decides_an_answer(package, changed, same):
    first, second = (package_format.read(folder).fingerprint for folder in (package(folder="a"), package(folder="b", **changed)))
    assert (first == second) == same


def test_the_fingerprint_knows_the_order_of_classes(package, experiment):
    task = experiment.task
    turned = task.model_copy(update={"classes": dict(reversed(task.classes.items()))})
    other = package(folder="b", experiment=experiment.model_copy(update={"task": turned}))
    assert package_format.read(package(folder="a")).fingerprint != package_format.read(other).fingerprint


def test_flips_are_averaged_and_part_of_the_model(package, experiment, classifier, images):
    """Mirrored images get the same answer: the mean of what the plain model says of the views."""
    averaging = experiment.decision.model_copy(update={"flips": "both"})
    folder = package(folder="mirrored", experiment=experiment.model_copy(update={"decision": averaging}), members=[classifier(0)])
    plain, mirrored = Model.load(package(), "cpu"), Model.load(folder, "cpu")
    assert mirrored.fingerprint != plain.fingerprint
    few = images[:5]
    views = [few, few[:, :, ::-1], few[:, ::-1], few[:, ::-1, ::-1]]
    expected = np.mean([plain.predict_arrays(view) for view in views], axis=0)
    for view in views:
        assert mirrored.predict_arrays(view) == pytest.approx(expected, abs=1e-5)


def test_an_adjustment_is_kept_decides_and_has_one_number_per_class(package, experiment):
    three = experiment.task.model_copy(update={"classes": {"a": ("A",), "b": ("B",), "c": ("C",)}, "positive": None})
    changed = {
        "experiment": experiment.model_copy(update={"task": three}),
        "threshold": None,
        "prior_shift": np.zeros(3),
        "calibration": Calibration.identity(3),
    }
    plain = package_format.read(package(folder="plain", **changed))
    adjusted = package_format.read(package(folder="adjusted", **changed, adjusted=(-0.2, -1.9, -3.0)))
    assert (plain.operating_point.rule, adjusted.operating_point.rule) == ("argmax", "adjusted")
    assert adjusted.operating_point.adjusted == (-0.2, -1.9, -3.0)
    assert plain.fingerprint != adjusted.fingerprint
    with pytest.raises(ValueError, match="adjusted needs one number per class"):
        package(folder="short", **changed, adjusted=(-0.2, -1.9))


def test_a_calibration_of_another_kind_is_kept_and_answers(package):
    curve = IsotonicCalibration((Curve((-2.0, 0.0, 1.0), (-1.0, 0.5, 3.0)),))
    folder = package(folder="curve", calibration=curve, prior_shift=[0.0, 0.0])
    model = Model.load(folder, "cpu")
    assert model.calibration == curve
    answers = model.answer(pd.DataFrame({"image": ["a", "b"]}), np.array([[[1.0, 0.0], [0.0, 0.5]]]))
    assert answers["p_ill"].to_list() == pytest.approx([1 / (1 + np.exp(0.25)), 1 / (1 + np.exp(-1.75))])
    assert "by an isotonic curve of 3 knots" in (folder / "card.md").read_text()


def test_a_guarantee_is_kept_and_fits_its_thresholds(package):
    given = {"measure": "recall", "at_least": 0.9, "confidence": 0.95, "needed": 29, "groups": (40,), "wrong": (0,), "unit": "patient"}
    promised, plain = (package(folder=name, guarantee=each) for name, each in (("promised", Guarantee(**given)), ("plain", None)))
    assert package_format.read(promised).operating_point.guarantee == Guarantee(**given)
    assert package_format.read(promised).fingerprint != package_format.read(plain).fingerprint
    with pytest.raises(ValueError, match="a guarantee belongs to a threshold"):
        package(guarantee=Guarantee(**{**given, "groups": (40, 40), "wrong": (0, 0)}))
    with pytest.raises(ValueError, match="as many `wrong` as `groups`"):
        Guarantee(**{**given, "wrong": (0, None)})
    with pytest.raises(ValueError, match="as many `other_groups`"):
        Guarantee(**given, other_groups=(30, 30), other_right=(1, 2))


def test_a_guarantee_of_a_package_older_than_its_price_keeps_its_fingerprint(package):
    given = {"measure": "recall", "at_least": 0.9, "confidence": 0.95, "needed": 29, "groups": (40,), "wrong": (0,), "unit": "patient"}
    folder = package(guarantee=Guarantee(**given))
    fields, before = json.loads((folder / "model.json").read_text()), package_format.read(folder).fingerprint
    for later in ("other_groups", "other_right"):
        del fields["operating_point"]["guarantee"][later]
    assert fields["operating_point"].pop("calibrated_on") is None
    (folder / "model.json").write_text(json.dumps(fields))
    assert package_format.read(folder).fingerprint == before
    priced = package(folder="priced", guarantee=Guarantee(**given, other_groups=(30,), other_right=(20,)))
    assert package_format.read(priced).fingerprint != before


def test_a_package_from_before_newer_fields_still_opens(package):
    folder = package()
    fields = json.loads((folder / "model.json").read_text())
    assert fields.pop("flips") == "none"
    assert fields["image"].pop("volume") == {"show": "named", "plane": "stored"}
    assert fields["operating_point"].pop("adjusted") is None
    assert fields["operating_point"].pop("guarantee") is None
    assert "kind" not in fields["calibration"]
    (folder / "model.json").write_text(json.dumps(fields))
    assert Model.load(folder, "cpu").package.flips == "none"


def test_answers_do_not_depend_on_the_batch(package, images):
    loaded = Model.load(package(), "cpu")
    together = loaded.predict_arrays(images)
    alone = np.concatenate([loaded.predict_arrays(images[i : i + 1]) for i in range(len(images))], axis=1)
    turned = loaded.predict_arrays(images[::-1])[:, ::-1]
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(together - turned).max() < 1e-5


def test_loading_leaves_the_random_state_alone(package):
    folder = package()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    Model.load(folder, "cpu")
    assert torch.equal(torch.rand(3), expected)


def test_images_of_another_shape_are_refused(package):
    loaded = Model.load(package(), "cpu")
    for shape in ((2, 32, 32), (2, 31, 32, 3), (2, 32, 32, 1), (2, 3, 32, 32)):
        with pytest.raises(MedtlError, match=r"uint8 \(B, 32, 32, 3\)"):
            loaded.predict_arrays(np.zeros(shape, np.uint8))


def test_a_logit_that_is_not_finite_is_no_answer(package):
    table = Model.load(package(), "cpu").answer(pd.DataFrame({"image": ["a", "b"]}), np.array([[[np.nan, 1.0], [0.0, 1.0]]]))
    assert list(table["decision"]) == ["no answer", "ill"]
    assert "NOT_FINITE" in table["reason"][0]


class TestBroken:
    """What is not a whole, unchanged package is refused in one sentence that says which file and what to do."""

    def refused(self, folder: Path, *words: str) -> None:
        with pytest.raises(MedtlError) as caught:
            Model.load(folder, "cpu")
        for word in words:
            assert word in str(caught.value)

    def test_no_folder(self, tmp_path):
        self.refused(tmp_path / "none", "is no folder")

    def test_no_package(self, tmp_path):
        self.refused(tmp_path, "model.json", "medtl train")

    def test_newer_format(self, package):
        folder = package()
        edit(folder, format=2)
        self.refused(folder, "format 2", "update medtl")

    @pytest.mark.parametrize("format", [None, "1", True])
    def test_no_format(self, package, format):
        folder = package()
        edit(folder, format=format)
        self.refused(folder, "no medtl model package")

    @pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", "[]"])
    def test_no_json(self, package, text):
        folder = package()
        (folder / "model.json").write_text(text)
        self.refused(folder, "model.json")

    def test_missing_and_unknown_fields_are_all_told(self, package):
        folder = package()
        edit(folder, image={"size": 1}, hook="os.system")
        self.refused(folder, "image.size", "hook")

    def test_a_changed_threshold(self, package):
        folder = package()
        fields = json.loads((folder / "model.json").read_text())
        edit(folder, operating_point={**fields["operating_point"], "threshold": 0.1})
        self.refused(folder, "changed after it was written")

    def test_missing_weights(self, package):
        folder = package(members=2)
        (folder / "weights-1.safetensors").unlink()
        self.refused(folder, "weights-1.safetensors", "is missing")

    def test_cut_weights(self, package):
        folder = package()
        file = folder / "weights-0.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        self.refused(folder, "weights-0.safetensors", "cut or changed")
        resign(folder)
        self.refused(folder, "weights-0.safetensors", "cut or no safetensors file")

    def test_weights_of_another_network(self, package):
        folder = package()
        file = folder / "weights-0.safetensors"
        state = load_file(file)
        state["head.weight"] = torch.zeros(3, state["head.weight"].shape[1])
        state["stranger"] = state.pop("head.bias")
        save_file(state, file)
        resign(folder)
        self.refused(folder, "1 missing (head.bias)", "1 not in the network (stranger)", "1 of another shape (head.weight)")

    def test_a_pickle_under_the_name_of_weights(self, package, tmp_path):
        class Evil:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "ran",))

        folder = package()
        torch.save(Evil(), folder / "weights-0.safetensors")
        resign(folder)
        self.refused(folder, "no safetensors file")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("name", ["../weights-0.safetensors", "/etc/passwd", "weights-0.pth"])
    def test_weights_elsewhere(self, package, name):
        folder = package()
        fields = json.loads((folder / "model.json").read_text())
        edit(folder, weights=[{**fields["weights"][0], "file": name}])
        self.refused(folder, "weights.0.file")

    def test_an_unknown_network(self, package):
        folder = package()
        fields = json.loads((folder / "model.json").read_text())
        edit(folder, network={**fields["network"], "architecture": "hf_hub:evil/net"})
        resign(folder)
        with pytest.raises(MedtlError):
            Model.load(folder, "cpu")


def test_weights_that_are_not_finite_are_not_saved_and_the_former_package_stays(package, classifier):
    folder = package()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    broken = classifier(1)
    with torch.no_grad():
        broken.head.bias[0] = float("nan")
    with pytest.raises(MedtlError, match=r"not finite.*head\.bias"):
        package(members=[broken])
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_second_save_replaces_the_first(package):
    package(members=2)
    folder = package(members=1)
    assert not (folder / "weights-1.safetensors").exists()
    assert len(Model.load(folder, "cpu").members) == 1
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_metrics_and_card_follow_an_evaluation_and_the_model_stays(package):
    folder = package()
    assert "Not judged yet" in (folder / "card.md").read_text()
    fixed = {file.name: file.read_bytes() for file in folder.iterdir() if file.name not in ("card.md", "metrics.json")}
    split = {"n": 9, "groups": 8, "auroc": {"value": 0.75, "low": 0.5, "high": 0.9}, "per_class": {}}
    refresh_metrics(folder, {"format": 1, "unit": "patient", "looks": 1, "splits": {"test": split}})
    assert "AUROC: 0.750 (0.500 to 0.900)" in (folder / "card.md").read_text()
    assert json.loads((folder / "metrics.json").read_text())["splits"]["test"]["n"] == 9
    assert fixed == {file.name: file.read_bytes() for file in folder.iterdir() if file.name in fixed}
    Model.load(folder, "cpu")


def test_a_model_of_made_images_says_so(package, experiment):
    made = type(experiment).model_validate(
        {**experiment.model_dump(exclude={"cohorts"}), "cohorts": [{"name": "phantom", "kind": "chest"}]}
    )
    assert package_format.read(package(experiment=made)).synthetic
    assert not package_format.read(package(folder="other")).synthetic
