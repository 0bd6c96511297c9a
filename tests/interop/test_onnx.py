"""`medtl export`: the graph gives what the package gives, whatever its members and calibration; what is not equal is not written."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import onnx
import pytest
import torch
from typer.testing import CliRunner

from medtl.backbones.network import Network
from medtl.cli.commands import app
from medtl.decisions.calibration import Calibration
from medtl.decisions.isotonic import Curve, IsotonicCalibration
from medtl.decisions.per_class import PerClass
from medtl.decisions.precedence import Reasons
from medtl.decisions.vector import VectorCalibration
from medtl.errors import GateRefusal, MedtlError
from medtl.flows.export import _said, export
from medtl.imaging.cache import prune
from medtl.interop import onnx_engine, onnx_file, parity
from medtl.interop.onnx_engine import OnnxEngine
from medtl.interop.whole_package import WholePackage
from medtl.model.model import Model

THREE = ("a", "b", "c")
CURVE = Curve((-2.0, -0.5, 1.0), (-3.0, 0.25, 0.5))
SHIFT = [0.3, -0.3]
FITTED = {
    "temperature": (("normal", "ill"), "single", Calibration(1.7, (0.4, -0.4))),
    "vector": (THREE, "single", VectorCalibration((0.5, 1.5, 1.0), (0.2, -0.3, 0.1))),
    "isotonic": (("normal", "ill"), "single", IsotonicCalibration((CURVE,))),
    "findings": (THREE, "multi", PerClass((0.7, 1.0, 1.9), (0.5, 0.0, -0.5))),
    "isotonic findings": (THREE, "multi", IsotonicCalibration((CURVE, Curve((0.0,), (0.5,)), CURVE))),
}


@pytest.fixture(scope="module")
def exported(package, tmp_path_factory):
    """A package of two members, its graph, and what stands beside it."""
    place = tmp_path_factory.mktemp("exported")
    folder = package(place / "model", members=2, prior_shift=[SHIFT, [-0.1, 0.1]], calibration=Calibration(1.7, (0.4, -0.4)))
    export(folder, out=place / "lungs.onnx")
    return folder, place / "lungs.onnx", json.loads((place / "lungs.onnx.json").read_text())


@pytest.mark.parametrize("name", FITTED)
def test_every_calibration_is_the_package_s(package, tmp_path, name):
    """Against the float64 arithmetic of medtl.model.answers, far into both tails."""
    classes, kind, fitted = FITTED[name]
    model = Model.load(package(tmp_path / "model", ("normal", "ill") if len(classes) == 2 else THREE, members=2))
    logits = np.random.default_rng(0).normal(0, 4, (2, 200, len(classes))).astype(np.float32)
    task = model.task.model_copy(update={"kind": kind})
    update = {"task": task, "prior_shift": tuple(tuple(row) for row in np.random.default_rng(1).normal(0, 0.5, (2, len(classes))).tolist())}
    model.package, model.calibration = model.package.model_copy(update=update), fitted
    whole = WholePackage(model)
    from medtl.interop.whole_package import _together
    from medtl.model.answers import ensemble_logits

    found = whole.calibration(_together(torch.from_numpy(logits) - whole.shift, kind)).numpy()
    expected = fitted.apply(ensemble_logits(logits, model.package.prior_shift, kind))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_graph_answers_as_the_package_does(exported):
    folder, file, _ = exported
    model = Model.load(folder)
    images = np.random.default_rng(3).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    logits, probabilities, features = OnnxEngine(file)(images)
    expected = model.predict_arrays(images)
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    table = model.answer(parity._keys(5), expected, Reasons.none(5))
    np.testing.assert_allclose(probabilities, table[["p_normal", "p_ill"]].to_numpy(), atol=1e-5)
    with torch.inference_mode():
        seen = model.members[0].with_features(torch.from_numpy(images))[1].numpy()
    np.testing.assert_allclose(features, seen, atol=1e-5)


def test_what_stands_beside_it(exported):
    folder, file, beside = exported
    content = file.read_bytes()
    assert beside["sha256"] == hashlib.sha256(content).hexdigest()
    assert beside["model"]["fingerprint"] == Model.load(folder).fingerprint
    assert beside["input"]["shape"] == ["batch", 32, 32, 3]
    assert beside["classes"] == ["normal", "ill"]
    assert beside["decision"]["threshold"] == 0.4
    assert beside["parity"]["within"]
    assert beside["parity"]["made"] == 12
    assert beside["parity"]["logits"] < beside["parity"]["largest_allowed"]["logits"]
    graph = onnx.load_from_string(content)
    properties = {each.key: each.value for each in graph.metadata_props}
    assert properties["fingerprint"] == beside["model"]["fingerprint"]
    assert "Research use only" in properties["use"]
    assert [each.version for each in graph.opset_import if each.domain == ""] == [beside["opset"]]
    assert b".py" not in content, "the exporter's notes name files of the machine"


@pytest.fixture(scope="module")
def graphs(exported):
    """The package's graphs, without and with maps."""
    return {False: onnx.load(exported[1]), True: onnx_file._graph(Model.load(exported[0]), maps=True)}


@pytest.fixture
def once(exported, graphs, monkeypatch):
    """The package, whose graphs are not made again: that takes seconds."""
    monkeypatch.setattr(onnx_file, "_graph", lambda model, maps=False: graphs[maps])
    return exported[0]


def test_images_of_one_s_own_are_compared_too(once, files, tmp_path, capsys):
    measured = export(once, out=tmp_path / "again.onnx", check=[files["png"], files["dicom"], files["text"]])
    assert (measured.made, measured.given) == (12, 2)
    assert "12 made and 2 given images" in capsys.readouterr().out


def test_only_an_export_is_replaced(once, tmp_path):
    mine = tmp_path / "mine.onnx"
    for written in ([mine], [tmp_path / "mine.onnx.json"], [mine, tmp_path / "mine.onnx.json"]):
        for file in written:
            file.write_text("mine")
        with pytest.raises(MedtlError, match=f"{written[0].name} exists and is no export of medtl, so it is left alone"):
            export(once, out=mine)
        assert {file.read_text() for file in written} == {"mine"}
        for file in written:
            file.unlink()
    export(once, out=mine)
    export(once, out=mine)
    with mine.open("ab") as changed:
        changed.write(b"x")
    with pytest.raises(MedtlError, match="is no export of medtl"):
        export(once, out=mine)


def test_sets_are_said_not_to_be_in_the_graph(exported, tmp_path, capsys):
    folder, file, beside = exported
    assert beside["decision"]["conformal"] is None
    assert not any("sets" in each for each in beside["not_in_the_graph"])
    model = Model.load(folder)
    sets = {"alpha": 0.1}
    model.package = model.package.model_copy(update={"conformal": sets})
    measured = parity.Parity(**{each: beside["parity"][each] for each in parity.Parity.__dataclass_fields__})
    told = onnx_file._contract(model.package, file.name, b"", "1", measured)
    assert told["decision"]["conformal"] == sets
    assert told["not_in_the_graph"][-1].startswith("the sets")
    assert any("scope, gate, sets and quality are not in it" in line for line in _said(model, file, measured))


def test_what_is_not_equal_is_not_written(once, tmp_path, monkeypatch):
    class Wrong(OnnxEngine):
        def __call__(self, images):
            logits, *others = super().__call__(images)
            return logits + np.float32(0.01), *others

    monkeypatch.setattr(onnx_file, "OnnxEngine", Wrong)
    said = CliRunner().invoke(app, ["export", str(once), "--out", str(tmp_path / "x.onnx")])
    assert said.exit_code == 3
    assert "the graph is not the package, so it is not used: logits differ by up to 0.01" in said.output
    assert not list(tmp_path.glob("x.onnx*"))


def test_a_missing_library_is_named(monkeypatch, package, tmp_path):
    monkeypatch.setattr(onnx_engine, "_LIBRARIES", ("onnx", "no_such_library"))
    with pytest.raises(MedtlError, match=r"needs no_such_library, which is not installed here: pip install 'medtl\[export\]'"):
        export(package(tmp_path / "model"), out=tmp_path / "x.onnx")


def test_mistakes_are_one_sentence(package, tmp_path, files):
    folder = package(tmp_path / "model")
    with pytest.raises(MedtlError, match="--to onx: is no format; did you mean 'onnx'"):
        export(folder, to="onx")
    with pytest.raises(MedtlError, match=r"exists and is no export of medtl, so it is left alone"):
        export(folder, out=files["png"])
    with pytest.raises(MedtlError, match="none of 1 files can be read"):
        export(folder, out=tmp_path / "x.onnx", check=[files["text"]])


def test_the_page_s_desk_answers_and_explains_by_one_run_of_the_graph(once, files, monkeypatch):
    from medtl.app.desk import Desk
    from medtl.app.engines import desk_of

    desk = desk_of([once], "onnxruntime")
    asked = []
    engine = desk.model("lungs").engine
    assert isinstance(engine, OnnxEngine)
    run = engine._run
    monkeypatch.setattr(engine, "_run", lambda wanted, images: (asked.append(len(images)), run(wanted, images))[1])
    monkeypatch.setattr(Network, "maps", lambda *_: pytest.fail("torch ran the network too"))
    found = desk.answer("lungs", files["dicom"])
    assert asked == [1]
    monkeypatch.undo()
    expected = Desk([once]).answer("lungs", files["dicom"])
    assert found.decision == expected.decision
    assert found.probabilities == pytest.approx(expected.probabilities, abs=1e-6)
    np.testing.assert_allclose(found.maps["ill"], expected.maps["ill"], atol=1e-4)
    with pytest.raises(MedtlError, match="--engine onnx: is none; there are: torch, onnxruntime"):
        desk_of([once], "onnx")


def test_a_graph_with_other_maps_is_not_used(once, monkeypatch):
    class Wrong(OnnxEngine):
        def with_maps(self, images):
            logits, features, maps = super().with_maps(images)
            return logits, features, [[[1.01 * stage for stage in view] for view in member] for member in maps]

    monkeypatch.setattr(onnx_file, "OnnxEngine", Wrong)
    with pytest.raises(GateRefusal, match="feature maps are not the package's"):
        onnx_file.engine_of(Model.load(once))


def test_a_graph_is_made_once_and_measured_every_time(once, monkeypatch, tmp_path):
    monkeypatch.setenv("MEDTL_CACHE", str(tmp_path))
    made, graph = [], onnx_file._graph
    monkeypatch.setattr(onnx_file, "_graph", lambda *given, **how: (made.append(1), graph(*given, **how))[1])
    images = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    first = onnx_file.engine_of(Model.load(once))(images)
    second = onnx_file.engine_of(Model.load(once))(images)
    assert len(made) == 1
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    [kept] = tmp_path.rglob("*.onnx")
    for damaged in (kept.read_bytes()[:-100], kept.read_bytes()[:-4] + b"\x7f\x7f\x7f\x7f", b""):
        kept.write_bytes(damaged)
        np.testing.assert_array_equal(onnx_file.engine_of(Model.load(once))(images)[0], first[0])
    assert len(made) >= 3, "cut files are no graphs"
    assert prune(tmp_path) == 0
    monkeypatch.setenv("MEDTL_CACHE_GB", "1e-9")
    assert prune(tmp_path) > 0, "it counts as what the cache holds"
    assert not [*tmp_path.rglob("*.onnx")]


def test_the_gate_judges_by_the_graph_s_features(once, files, monkeypatch):
    """Scores of how unlike an image is, by both engines."""
    from medtl.decisions import outlyingness
    from medtl.model.gate import Gate

    model, other = Model.load(once), Model.load(once)
    features = np.random.default_rng(0).normal(size=(40, 96))
    detector = outlyingness.fit(features, "mahalanobis")
    model.gate = other.gate = Gate(detector, outlyingness.limit(np.ones(40), range(40), 0.05), 0.05, {}, {})
    other.engine = onnx_file.engine_of(other)
    images = np.random.default_rng(3).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_allclose(other.look(images)[1], model.look(images)[1], rtol=1e-4)
