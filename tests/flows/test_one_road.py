"""Training, `medtl predict` and the page see the same pixels of a file and give the same probabilities, alone and in a batch."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless, generate_uid

from medtl.app import reading
from medtl.app.desk import Desk
from medtl.backbones import BackboneSettings
from medtl.backbones.network import build_network
from medtl.decisions.calibration import Calibration
from medtl.experiment.schema import Experiment
from medtl.flows.judging import judge
from medtl.imaging.decoding import decode_many
from medtl.imaging.settings import ImageSettings
from medtl.imaging.store import Store, open_store
from medtl.model.model import Model
from medtl.model.package import save
from medtl.module.classifier import Classifier
from medtl.module.inference import logits_of

SETTINGS = [
    ImageSettings(size=64),
    ImageSettings(size=48, fit="crop", intensity="percentile", channels=1),
    ImageSettings(size=32, fit="squeeze", intensity="percentile", decode="reduced"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One kind of file each, none of them square: what a hospital hands over."""
    place = tmp_path_factory.mktemp("files")
    rows, columns = np.mgrid[0:150, 0:211]
    grey = ((rows * 3 + columns * 2) % 256).astype(np.uint8)
    grey[20:60, 15:25] = 255
    colour = np.stack([grey, np.roll(grey, 7, 0), 255 - grey], axis=2)
    Image.fromarray(grey).save(place / "grey.png")
    Image.fromarray(grey.astype(np.uint16) * 16 + 3).save(place / "sixteen.png")
    Image.fromarray(colour).save(place / "colour.jpg", quality=85)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(colour).save(place / "turned.jpg", quality=92, exif=exif)
    Image.fromarray(colour).save(place / "colour.webp", lossless=True)
    Image.fromarray(grey).save(place / "grey.tif", compression="tiff_lzw")
    nibabel.save(nibabel.Nifti1Image(np.asarray(grey.T[::-1, ::-1], np.int16) * 5 - 100, np.diag([0.4, 0.7, 1, 1])), place / "grey.nii.gz")
    _radiograph(place / "one.dcm", grey, PhotometricInterpretation="MONOCHROME1")
    _radiograph(place / "window.dcm", grey.astype(np.uint16) * 16, WindowCenter=1800, WindowWidth=2000, BitsStored=12, HighBit=11)
    _radiograph(place / "signed.dcm", grey.astype(np.int16) - 90, RescaleSlope=2, RescaleIntercept=-7)
    for name, syntax in (("rle.dcm", RLELossless), ("j2k.dcm", JPEG2000Lossless)):
        _radiograph(place / name, grey.astype(np.uint16) * 16, syntax, BitsStored=12, HighBit=11)
    (place / "no suffix").write_bytes((place / "grey.png").read_bytes())
    return place


def _radiograph(path: Path, stored: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: object) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = DigitalXRayImageStorageForPresentation, generate_uid(), "DX"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == JPEG2000Lossless:
        from pydicom.encaps import encapsulate

        coded = io.BytesIO()
        Image.fromarray(stored).save(coded, "JPEG2000", irreversible=False, no_jp2=True)
        dataset.PixelData = encapsulate([coded.getvalue()])
        dataset["PixelData"].VR = "OB"
        dataset.file_meta.TransferSyntaxUID = syntax
    elif syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax, encoding_plugin="pydicom")
    dataset.save_as(path, enforce_file_format=True)


def _stored(files: list[Path], settings: ImageSettings, cache: Path) -> Store:
    """As training reads them."""
    root = files[0].parent
    return open_store(pd.DataFrame({"image": [path.name for path in files], "frame": 0}), root, settings, cache)


def _same_everywhere(files: list[Path], settings: ImageSettings, cache: Path, shown: int = 1) -> Store:
    """The network's input from the store, from predict's road and (each `shown`-th) from the page's must be one array, bit by bit."""
    store = _stored(files, settings, cache)
    usable = [path for path, fine in zip(files, store.usable, strict=True) if fine]
    assert usable
    trained = dict(zip(usable, store.read(np.flatnonzero(store.usable)), strict=True))
    predicted = {files[number]: pixels for number, pixels, _ in decode_many([(path, 0) for path in files], settings)}
    for path in files:
        if path not in trained:
            assert predicted[path] is None, path.name
            continue
        np.testing.assert_array_equal(predicted[path], trained[path], err_msg=path.name)
    for path in usable[::shown]:
        np.testing.assert_array_equal(reading.read(path, None, settings).pixels, trained[path], err_msg=path.name)
    return store


@pytest.mark.parametrize("settings", SETTINGS, ids=["pad", "crop, grey", "squeeze, reduced"])
def test_the_networks_input_is_one_array_on_every_road(folder: Path, settings: ImageSettings, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())
    store = _same_everywhere(files, settings, tmp_path, shown=1 if settings == SETTINGS[0] else 3)
    assert store.usable.all(), store.measurements.loc[~store.usable, ["image", "reason"]].to_string()
    again = _stored(files, settings, tmp_path)
    assert again.decoded == 0
    np.testing.assert_array_equal(again.read(range(len(files))), store.read(range(len(files))))


def test_the_networks_input_of_real_dicom_files(shared: Callable[[str], Path], tmp_path: Path) -> None:
    for place in ("data/dicom/transfer_syntaxes", "data/dicom/chest_xray"):
        files = sorted(path for path in shared(place).iterdir() if path.stat().st_size < 3_000_000)
        store = _same_everywhere(files, ImageSettings(size=128), tmp_path, shown=4)
        assert store.usable.sum() >= 2 * len(files) // 3


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Classifier]]:
    """Two random members with lively heads, so that small differences of the input would show."""
    members = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        member = Classifier(build_network(BackboneSettings(name="test_resnet", weights="none"), SETTINGS[0], Path(), seed), 2)
        torch.nn.init.normal_(member.head.weight)
        members.append(member.eval())
    experiment = Experiment.model_validate(
        {
            "name": "road",
            "task": {"classes": {"normal": ["NORMAL"], "ill": ["ILL"]}, "positive": "ill"},
            "cohorts": [{"name": "folders"}],
            "image": {"size": SETTINGS[0].size},
            "backbone": {"name": "test_resnet", "weights": "none"},
            "transfer": {"strategy": "scratch"},
        }
    )
    folder = tmp_path_factory.mktemp("package") / "model"
    save(
        folder, members=members, experiment=experiment, calibration=Calibration(1.2, (0.1, -0.1)), threshold=0.4, prior_shift=[0.0, 0.3],
        training={"images": {"train": {"ill": 1}, "validation": {"ill": 1}}}, fitted_n=2,
    )  # fmt: skip
    return folder, members


def test_probabilities_agree_alone_in_a_batch_and_on_every_road(
    folder: Path, package: tuple[Path, list[Classifier]], tmp_path: Path
) -> None:
    files = sorted(folder.iterdir())
    model = Model.load(package[0], "cpu")
    store = _stored(files, SETTINGS[0], tmp_path)
    names = [f"p_{name}" for name in model.task.names]
    rows = pd.DataFrame({"image": [path.name for path in files], "frame": 0, "label": "", "split": "test"})

    together = model.predict(files)[names].to_numpy()
    assert np.ptp(together[:, 0]) > 0.05, "the files must be told apart for agreement to mean anything"
    judged = judge(model, rows, store, np.arange(len(files)))[names].to_numpy()
    np.testing.assert_allclose(judged, together, atol=1e-5)
    desk = Desk([package[0]])
    for path, expected in list(zip(files, together, strict=True))[::2]:
        alone = model.predict(path)[names].to_numpy()[0]
        np.testing.assert_allclose(alone, expected, atol=1e-5, err_msg=path.name)
        shown = desk.answer(desk.labels[0], path).probabilities
        np.testing.assert_allclose([shown[name] for name in model.task.names], alone, atol=1e-5, err_msg=path.name)


def test_raw_logits_of_training_are_those_of_the_package(folder: Path, package: tuple[Path, list[Classifier]], tmp_path: Path) -> None:
    """What threshold and calibration were chosen by is what the package computes."""
    files = sorted(folder.iterdir())
    store = _stored(files, SETTINGS[0], tmp_path)
    packaged = Model.load(package[0], "cpu").predict_arrays(store.read(range(len(files))))
    for member, logits in zip(package[1], packaged, strict=True):
        np.testing.assert_allclose(logits, logits_of(member, store, np.arange(len(files)), torch.device("cpu")), atol=1e-4)
