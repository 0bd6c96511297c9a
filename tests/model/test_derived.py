"""A package made from another has its networks to the byte, and nothing that was fitted for other probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from medtl.decisions.calibration import Calibration
from medtl.errors import MedtlError
from medtl.model import format as package_format
from medtl.model.ancestry import Ancestry, read_ancestry
from medtl.model.derived import save_recalibrated
from medtl.model.model import Model
from medtl.model.operating_point import FittedOn, OperatingPoint
from medtl.model.seen import read_seen, truncated


@pytest.fixture
def derived(tmp_path):
    def make(parent, folder="again"):
        point = OperatingPoint(rule="youden", threshold=0.2, n=4, calibrated_on=FittedOn(split="re-calibration", n=30), prevalence=0.1)
        save_recalibrated(
            tmp_path / folder,
            parent,
            calibration=Calibration(1.5, (0.75, -0.75)),
            operating_point=point,
            lineage={"parent": {"name": "tiny", "fingerprint": package_format.read(parent).fingerprint}},
            metrics={"format": 1, "unit": "patient", "looks": 1, "splits": {}},
            groups=30,
            calibrated_by=["one", "two", ""],
            ancestry=Ancestry(taught=frozenset(["0" * 16])),
        )
        return tmp_path / folder

    return make


def test_networks_are_the_same_and_the_fingerprint_another(package, derived):
    parent = package(members=2, training_images=["before"])
    (parent / "source.safetensors").write_bytes(b"of the older probabilities")
    made = derived(parent)
    for name in ("weights-0.safetensors", "weights-1.safetensors"):
        assert (made / name).read_bytes() == (parent / name).read_bytes()
    assert not (made / "source.safetensors").exists()
    old, new = Model.load(parent, "cpu"), Model.load(made, "cpu")
    assert new.fingerprint != old.fingerprint
    images = np.zeros((2, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(old.predict_arrays(images), new.predict_arrays(images))
    assert (new.threshold, new.package.training) == (0.2, old.package.training)


def test_who_calibrated_it_is_remembered_where_who_taught_it_is_known(package, derived):
    known = derived(package(folder="known", training_images=["before"]), "a")
    assert read_seen(known) == {truncated(each) for each in ("before", "one", "two")}
    assert read_ancestry(known).taught == {"0" * 16}
    assert read_seen(derived(package(folder="unknown"), "b")) is None, "a list of some would pass for a list of all"


def test_an_ensemble_that_strangers_calibrated_is_verified(package, derived):
    parent = package(members=2)
    assert Model.load(parent, "cpu").package.unverified
    new = Model.load(derived(parent), "cpu").package
    assert not new.unverified
    assert (new.ensemble.verified, new.ensemble.groups) == (True, 30)


def test_a_cut_parent_leaves_nothing_behind(package, derived, tmp_path):
    parent = package()
    (parent / "weights-0.safetensors").unlink()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MedtlError, match="the model package cannot be written"):
        derived(parent)
    assert sorted(tmp_path.iterdir()) == before
