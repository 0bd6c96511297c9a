"""Which library decodes which transfer syntax fastest, and how each ends on corrupt data: what decision 11 rests on.

    python benchmarks/decoders.py [FILE.dcm ...] [--mutants 300] [--repeat 5] [--json FILE]

Without files: a made radiograph of 2048 x 2500 pixels and 12 bits. Compared are medtl's decoders and every decoder that pydicom finds here
(install gdcm or pylibjpeg-libjpeg to see them too): CPU milliseconds per frame (the least of the repeats), the largest difference from
medtl's values, and how a child process ends on mutants of a small frame: values, an exception, out of time (5 s), killed by a signal.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import logging
import os
import random
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, uid
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders.base import RLELosslessEncoder

from medtl.imaging.decoders import Header, decode

SECONDS, MEMORY = 5, 4 << 30
Values = NDArray[Any]


def wavelets(stored: Values, **how: Any) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(stored, codecformat="j2k", bitspersample=12, resolutions=6, **how))


ENCODERS: dict[uid.UID, Callable[[Values], bytes]] = {
    uid.RLELossless: lambda a: RLELosslessEncoder.encode(
        a, rows=a.shape[0], columns=a.shape[1], samples_per_pixel=1, bits_allocated=16, bits_stored=12, pixel_representation=0,
        number_of_frames=1, photometric_interpretation="MONOCHROME2", encoding_plugin="pydicom",
    ),
    uid.JPEGLSLossless: lambda a: imagecodecs.jpegls_encode(a),
    uid.JPEGLosslessSV1: lambda a: imagecodecs.jpeg8_encode(a, lossless=True, bitspersample=16),
    uid.JPEGExtended12Bit: lambda a: imagecodecs.jpeg8_encode(a, level=92, bitspersample=12),
    uid.JPEG2000Lossless: lambda a: wavelets(a, reversible=True, level=0),
    uid.JPEG2000: lambda a: wavelets(a, reversible=False, level=50),
    uid.HTJ2KLossless: lambda a: imagecodecs.htj2k_encode(a, resolutions=5),
}  # fmt: skip


def made(height: int, width: int) -> Values:
    """Uint16 of 12 bits: lungs, ribs and the noise of a detector."""
    rows, columns = np.mgrid[0:height, 0:width] / max(height, width)
    lungs = 0.7 - 0.4 * sum(np.exp(-(((columns - at) / 0.14) ** 2) - ((rows - 0.5) / 0.3) ** 2) for at in (0.25, 0.6))
    ribs = 0.03 * np.sin(60 * rows + 8 * np.cos(5 * columns))
    noise = np.random.default_rng(0).normal(0, 0.004, rows.shape)
    return np.rint(np.clip(lungs + ribs + noise, 0, 1) * 4095).astype(np.uint16)


def wrapped(stored: Values, syntax: uid.UID) -> Dataset:
    """A data set with one compressed frame."""
    dataset = Dataset()
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelData = encapsulate([bytes(ENCODERS[syntax](stored))])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def ours(dataset: Dataset) -> Values:
    stream = get_frame(dataset.PixelData, 0, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    header = Header(dataset.Rows, dataset.Columns, dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored)
    return decode(stream, dataset.file_meta.TransferSyntaxUID, header).words


def decoders_of(syntax: uid.UID) -> Iterator[tuple[str, Callable[[Dataset], Values]]]:
    yield "medtl", ours
    decoder = get_decoder(syntax)
    for name in decoder.available_plugins:
        yield name, lambda dataset, name=name: decoder.as_array(dataset, index=0, raw=True, decoding_plugin=name)[0]


def fastest(work: Callable[[Dataset], Values], dataset: Dataset, repeat: int) -> tuple[float, Values]:
    """CPU milliseconds, values."""
    took = []
    for _ in range(repeat):
        start = time.process_time()
        values = work(dataset)
        took.append(1000 * (time.process_time() - start))
    return min(took), values


def mutant(stream: bytes, number: int) -> bytes:
    """Bytes changed, left out or put in, most of them near the beginning, where the headers are; or the rest cut off."""
    chance, data = random.Random(number), bytearray(stream)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        at = chance.randrange(min(len(data), 200) if chance.random() < 0.6 else len(data))
        match chance.choice("rrrrrffdic"):
            case "r":
                data[at] = chance.randrange(256)
            case "f":
                data[at] ^= 1 << chance.randrange(8)
            case "d":
                del data[at : at + chance.randrange(1, 9)]
            case "i":
                data[at:at] = chance.randbytes(chance.randrange(1, 9))
            case "c":
                del data[at + 1 :]
        data = data or bytearray(1)
    return bytes(data)


def endings(work: Callable[[Dataset], Values], dataset: Dataset, mutants: int) -> collections.Counter[str]:
    """How decoding mutants of a frame ends, each in a child process that goes on until one kills it."""
    stream, ends, number = get_frame(dataset.PixelData, 0, number_of_frames=1), collections.Counter[str](), 0
    while number < mutants:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            for each in range(number, mutants):
                signal.alarm(SECONDS)
                with contextlib.redirect_stderr(io.StringIO()):
                    try:
                        broken = Dataset(dataset)
                        broken.file_meta, broken.PixelData = dataset.file_meta, encapsulate([mutant(stream, each)])
                        work(broken)
                        os.write(writing, b"v")
                    except Exception:
                        os.write(writing, b"e")
                    except BaseException:
                        os.write(writing, b"p")
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as answers:
            got = answers.read()
        status = os.waitpid(child, 0)[1]
        ends.update({"v": "values", "e": "exception", "p": "panic"}[chr(each)] for each in got)
        number += len(got)
        if os.WIFSIGNALED(status):
            ends["out of time" if os.WTERMSIG(status) == signal.SIGALRM else "killed"] += 1
            number += 1
    return ends


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    cv2.setNumThreads(1)
    subjects = [(path.name, dcmread(path)) for path in asked.files] or [
        (f"made 2048 x 2500, {syntax.name}", wrapped(made(2500, 2048), syntax)) for syntax in ENCODERS
    ]
    rows = []
    for subject, dataset in subjects:
        syntax = dataset.file_meta.TransferSyntaxUID
        small = wrapped(made(120, 90), syntax) if syntax in ENCODERS and asked.mutants else None
        expected: Values | None = None
        for name, work in decoders_of(syntax):
            row: dict[str, Any] = {"frame": subject, "syntax": syntax.name, "decoder": name}
            try:
                row["ms"], values = fastest(work, dataset, asked.repeat)
                expected = values if expected is None else expected
                row["largest_difference"] = int(np.abs(values.astype(np.int64) - expected).max())
                row["endings"] = dict(endings(work, small, asked.mutants)) if small is not None else {}
            except Exception as error:
                row["error"] = type(error).__name__
            rows.append(row)
            shown = (
                f"{row['ms']:8.1f} ms   differs by {row['largest_difference']}   {row['endings']}" if "error" not in row else row["error"]
            )
            print(f"{subject[:58]:58}  {name:10} {shown}", flush=True)
    if asked.json:
        asked.json.write_text(json.dumps({"format": 1, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
