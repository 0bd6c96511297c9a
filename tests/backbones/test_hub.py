"""The hub's road, without the internet: a made cache, a server of our own as the mirror, and hubs that do not answer."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FETCH = """
import sys, time
from medtl.backbones.hub import HubFile, fetch
from medtl.errors import MedtlError
import huggingface_hub
start = time.perf_counter()
try:
    print(fetch(HubFile("timm/a_network.tag_in1k", ("model.safetensors", "pytorch_model.bin")), "a_network"))
except MedtlError as refusal:
    print(refusal)
print(time.perf_counter() - start, file=sys.stderr)
assert "torch" not in sys.modules
"""
COMMIT = "0" * 40


def fetched(home: Path, **environment: str) -> tuple[str, float]:
    """What `fetch` answers in a process with this environment, and after how many seconds."""
    clean = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy") and not key.startswith("HF_")}
    clean |= {"HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    done = subprocess.run([sys.executable, "-c", FETCH], env=clean, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), float(done.stderr.splitlines()[-1])


def made_cache(home: Path, repository: str, content: bytes) -> Path:
    """A cache as huggingface_hub lays it out: refs, blobs, a snapshot of links."""
    folder = home / "hub" / f"models--{repository.replace('/', '--')}"
    blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
    snapshot = folder / "snapshots" / COMMIT / "model.safetensors"
    for path in (blob, snapshot, folder / "refs" / "main"):
        path.parent.mkdir(parents=True)
    blob.write_bytes(content)
    snapshot.symlink_to(blob)
    (folder / "refs" / "main").write_text(COMMIT)
    return snapshot


class Mirror(BaseHTTPRequestHandler):
    """Answers for one repository as the hub does, which has the older of the two files only."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        found = self.path == "/timm/a_network.tag_in1k/resolve/main/pytorch_model.bin"
        content = b"weights" if found else b""
        self.send_response(200 if found else 404)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(content)))
        if not found:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Silence."""


@pytest.fixture
def mirror() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_mirror_is_asked_once_and_then_the_cache(tmp_path: Path, mirror: str) -> None:
    answer, _ = fetched(tmp_path, HF_ENDPOINT=mirror)
    file = Path(answer)
    assert file.read_bytes() == b"weights"
    assert file.name == "pytorch_model.bin"
    assert tmp_path in file.parents
    again, seconds = fetched(tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{closed_port()}")
    assert again == answer
    assert seconds < 2, "cached weights ask nobody"


def test_a_cache_needs_no_network(tmp_path: Path) -> None:
    snapshot = made_cache(tmp_path, "timm/a_network.tag_in1k", b"carried here")
    answer, _ = fetched(tmp_path, HF_HUB_OFFLINE="1")
    assert Path(answer) == snapshot


def test_offline_without_a_cache_is_said_at_once(tmp_path: Path) -> None:
    answer, seconds = fetched(tmp_path, HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE forbids asking the hub" in answer
    assert seconds < 2


def test_a_refused_connection_is_answered_with_the_ways(tmp_path: Path) -> None:
    answer, seconds = fetched(tmp_path, HF_ENDPOINT=f"http://somebody:secret@127.0.0.1:{closed_port()}")
    assert answer.startswith(
        "the pretrained weights of 'a_network' (timm/a_network.tag_in1k) are not on this machine, and the hub 127.0.0.1 cannot be reached ("
    )
    for way in (
        "medtl weights a_network --out a_network.safetensors",
        "--weights a_network.safetensors",
        "HF_HOME",
        "HF_ENDPOINT",
        "strategy: scratch",
    ):
        assert way in answer
    assert "secret" not in answer
    assert seconds < 6


def test_a_hub_that_accepts_and_never_answers_is_given_up_within_seconds(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        answer, seconds = fetched(tmp_path, HF_ENDPOINT=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "the hub 127.0.0.1 cannot be reached (no answer" in answer
    assert "Ways to bring them" in answer
    assert 4 < seconds < 6.5


def test_a_network_is_built_from_the_cache_and_saved_for_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm
    import torch
    from huggingface_hub import constants
    from safetensors.torch import load_file, save

    from medtl.backbones import BackboneSettings
    from medtl.backbones.network import build_network
    from medtl.errors import MedtlError
    from medtl.flows.weights import save_weights
    from medtl.imaging.settings import ImageSettings

    torch.manual_seed(3)
    state = timm.create_model("test_resnet").state_dict()
    made_cache(tmp_path, "timm/test_resnet.r160_in1k", save(state))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    settings = BackboneSettings(name="test_resnet")
    network = build_network(settings, ImageSettings(size=64), tmp_path)
    assert network.provenance["source"] == "imagenet"
    assert network.provenance["origin"] == "timm/test_resnet.r160_in1k"
    assert network.provenance["fitted"] == network.provenance["tensors"]
    assert torch.equal(network.backbone.state_dict()["conv1.0.weight"], state["conv1.0.weight"])

    out = save_weights("test_resnet", tmp_path / "carry" / "w.safetensors")
    assert load_file(out).keys() == state.keys()
    about = json.loads((out.parent / "w.safetensors.json").read_text())
    assert about["architecture"] == "test_resnet"
    assert about["origin"] == "timm/test_resnet.r160_in1k"
    carried = build_network(BackboneSettings(name="test_resnet", weights=out.name), ImageSettings(size=64), out.parent)
    assert all(torch.equal(a, b) for a, b in zip(carried.parameters(), network.parameters(), strict=True))
    with pytest.raises(MedtlError, match="exists and is not overwritten"):
        save_weights("test_resnet", out)
    with pytest.raises(MedtlError, match=r"try w\.safetensors"):
        save_weights("test_resnet", tmp_path / "w.pth")
    with pytest.raises(MedtlError, match="did you mean 'test_resnet'"):
        save_weights("test_resnt", tmp_path / "w.safetensors")
    with pytest.raises(MedtlError, match="is no plain name of a network"):
        save_weights("hf-hub:timm/x", tmp_path / "w.safetensors")


class Download(BaseHTTPRequestHandler):
    """A plain server of files, as torchvision's."""

    def do_HEAD(self) -> None:
        self.send_response(405)
        self.end_headers()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "7")
        self.end_headers()
        self.wfile.write(b"weights")

    def log_message(self, format: str, *arguments: object) -> None:
        """Silence."""


def test_torchvisions_address_with_its_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from medtl.backbones.hub import UrlFile, fetch
    from medtl.errors import MedtlError

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Download)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/models"
    right = hashlib.sha256(b"weights").hexdigest()[:8]
    try:
        file = fetch(UrlFile(f"{address}/alexnet-{right}.pth"), "alexnet")
        assert file.read_bytes() == b"weights"
        with pytest.raises(MedtlError, match=r"the download from 127\.0\.0\.1 failed"):
            fetch(UrlFile(f"{address}/alexnet-00000000.pth"), "alexnet")
    finally:
        server.shutdown()
        server.server_close()
    assert fetch(UrlFile(f"{address}/alexnet-{right}.pth"), "alexnet") == file, "from the cache, the server is gone"
    with pytest.raises(MedtlError, match=r"the server 127\.0\.0\.1 cannot be reached \(Connection refused\)"):
        fetch(UrlFile(f"{address}/vgg-{right}.pth"), "vgg")
