"""The page under load: a real `medtl serve`, asked as browsers ask it and by its HTTP API, by one, 8 and 32 at once.

    python benchmarks/serving_load.py [--network resnet50] [--engine torch] [--model RUN] [--rounds 20] [--json FILE]

The model is a linear probe of random weights on made radiographs (speed does not ask for others; `--model` takes a run), 224 pixels, with
gate and saliency. Asked about: made radiographs as PNG (512 pixels), as DICOM with 16 bits (2048 x 2500, uncompressed) and in JPEG 2000.
Prints seconds until the page is ready; wall seconds of an answer, median and 95th of a hundred; what 32 at once were told; whether each
answer is `medtl predict`'s (file hash, probability, sentence); memory. Everything runs on this machine, the clients too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from served import dicom, large, phantoms, png, probed_package
from visitors import Reply, Visitor, program, together

PEOPLE = 32


def files_of(place: Path) -> dict[str, list[Path]]:
    """By kind; every file another picture."""
    from jpeg2000_answer import written

    place.mkdir()
    made: dict[str, list[Path]] = {"PNG": [], "DICOM 16 bit": [], "JPEG 2000": [written(place)]}
    for number, (_, picture) in enumerate(phantoms(PEOPLE, 512)):
        made["PNG"].append(place / f"{number:02d}.png")
        made["PNG"][-1].write_bytes(png(picture.shown))
    for number, (case, picture) in enumerate(phantoms(2, 2500)):
        made["DICOM 16 bit"].append(place / f"{number}.dcm")
        made["DICOM 16 bit"][-1].write_bytes(dicom(case, large(picture)))
    return made


@contextlib.contextmanager
def served(model: Path, engine: str, place: Path) -> Iterator[tuple[str, int, float]]:
    """Address, process, seconds until it was ready."""
    place.mkdir()
    environment = {**os.environ, "TMPDIR": str(place)}
    command = [sys.executable, "-m", "medtl", "serve", str(model), "--no-browser", "--engine", engine]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        address = re.search(r"https?://\S+:\d+", process.stdout.readline())
        assert address, "the page did not open"
        yield address[0], process.pid, time.perf_counter() - start
        held = [path for path in place.rglob("*") if path.is_file()]
        print(f"files left in the private folder: {len(held)}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert not list(place.glob("medtl-page-*")), "the private folder is still there"


def memory(process: int) -> float:
    """Resident MB of the server."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def figures(name: str, replies: Sequence[Reply]) -> dict[str, Any]:
    """A line about so many replies."""
    answered = [each.seconds for each in replies if not each.error and (each.said or each.content)]
    row: dict[str, Any] = {"asked": name, "answered": len(answered), "told to wait": sum(each.told for each in replies)}
    row["errors"] = sorted({each.error for each in replies if each.error})
    if answered:
        row |= {key: round(float(np.percentile(answered, share)), 2) for key, share in (("p50", 50), ("p95", 95), ("most", 100))}
    row["load"] = round(os.getloadavg()[0], 1)
    print(json.dumps(row), flush=True)
    return row


Measured = tuple[list[dict[str, Any]], list[Reply], list[Reply]]


async def measure(address: str, label: str, files: dict[str, list[Path]], rounds: int) -> Measured:
    """The rows, and the replies of 32 different pictures by the page and by the API."""
    async with contextlib.AsyncExitStack() as door:
        people = [await door.enter_async_context(Visitor(address)) for _ in range(PEOPLE)]
        rows = [row for kind, some in files.items() for row in await _alone(people[0], address, label, kind, some, rounds)]
        mixed = [*files["PNG"][:6], *files["DICOM 16 bit"]]
        eight: dict[str, list[Reply]] = {"page": [], "API": []}
        for _ in range(max(2, rounds // 5)):
            eight["page"] += await together([person.ask(file, label) for person, file in zip(people[:8], mixed, strict=True)])
            eight["API"] += await together([program(address, file) for file in mixed])
        rows += [figures(f"{road}, 8 at once, 6 PNG and 2 DICOM", replies) for road, replies in eight.items()]
        page = await together([person.ask(file, label) for person, file in zip(people, files["PNG"], strict=True)])
        rows.append(figures("page, 32 at once", page))
    api = await together([program(address, file) for file in files["PNG"]])
    rows.append(figures("API, 32 at once, coming again when told", api))
    return rows, page, api


async def _alone(person: Visitor, address: str, label: str, kind: str, some: Sequence[Path], rounds: int) -> list[dict[str, Any]]:
    asked = [some[k % len(some)] for k in range(rounds)]
    by_page = figures(f"page, 1 person, {kind}", [await person.ask(file, label) for file in asked])
    return [by_page, figures(f"API, 1 program, {kind}", [await program(address, file) for file in asked])]


def equal(model: Path, page: Sequence[Reply], api: Sequence[Reply], place: Path) -> dict[str, Any]:
    """How many of the answers are `medtl predict`'s."""
    import pandas as pd

    from medtl.app import words
    from medtl.app.desk import Desk

    out = place / "answers.csv"
    paths = [str(each.file) for each in api]
    subprocess.run([sys.executable, "-m", "medtl", "predict", str(model), *paths, "--out", str(out)], check=True, stdout=subprocess.DEVNULL)
    known = pd.read_csv(out, keep_default_na=False).set_index("image")
    package = Desk([model]).package(Desk([model]).labels[0])
    right, largest, said, seen = 0, 0.0, 0, 0
    for reply in api:
        row = next(row for image, row in known.iterrows() if str(image).endswith(reply.file.name))
        given = reply.content.get("probabilities") or {}
        largest = max([largest, *(abs(p - float(row[f"p_{name}"])) for name, p in given.items())])
        same = reply.content.get("sha256") == hashlib.sha256(reply.file.read_bytes()).hexdigest()
        right += same and reply.content.get("decision") == row["decision"]
    for reply in page:
        if not reply.said:
            continue
        row = next(row for image, row in known.iterrows() if str(image).endswith(reply.file.name))
        probabilities = {name: float(row[f"p_{name}"] or "nan") for name in package.task.names}
        sentence = words.because(package, probabilities, row["decision"], row["reason"]).removeprefix("No answer, because ")
        seen += 1
        said += sentence[1:] in reply.said and hashlib.sha256(reply.file.read_bytes()).hexdigest() in reply.said
    return {
        "API": f"{right} of {len(api)} with predict's hash and decision, probabilities within {largest:.2g}",
        "page": f"{said} of {seen} with predict's sentence and the file's hash",
    }


def main() -> None:
    given = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    given.add_argument("--network", default="resnet50")
    given.add_argument("--engine", default="torch")
    given.add_argument("--model", type=Path)
    given.add_argument("--rounds", type=int, default=20)
    given.add_argument("--json", type=Path)
    asked = given.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        files = files_of(place / "files")
        if asked.model is None:
            (place / "made").mkdir()
        model = asked.model or probed_package(asked.network, place / "made")
        with served(model, asked.engine, place / "tmp") as (address, process, ready):
            print(f"{asked.network}, {asked.engine}: ready after {ready:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            import httpx

            label = httpx.get(f"{address}/api/v1/models", trust_env=False).json()[0]["model"]
            before = memory(process)
            rows, page, api = asyncio.run(measure(address, label, files, asked.rounds))
            print(f"memory of the server: {before:.0f} MB at first, {memory(process):.0f} MB at the end", flush=True)
        same = equal(model, page, api, place)
        print(json.dumps(same, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps({"ready": round(ready, 1), "rows": rows, "equal": same}, indent=1))


if __name__ == "__main__":
    main()
