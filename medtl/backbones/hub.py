"""Pretrained weights by name: from this machine's caches, else from the hub, whose absence is known within seconds.

Proxies (HTTPS_PROXY, NO_PROXY), a mirror (HF_ENDPOINT), the caches' places (HF_HOME, TORCH_HOME), offline mode (HF_HUB_OFFLINE) and
the system's certificates (else SSL_CERT_FILE) are those of huggingface_hub and urllib.
"""

from __future__ import annotations

import ssl
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from medtl.errors import MedtlError

PATIENCE = 5.0
"""Seconds in which the hub has to give any answer."""


@dataclass(frozen=True)
class HubFile:
    """A repository on the Hugging Face hub and the file names to try, in order."""

    repository: str
    filenames: tuple[str, ...]


@dataclass(frozen=True)
class UrlFile:
    """A file at an address; the eight hexadecimals in its name begin its sha256."""

    url: str


def fetch(source: HubFile | UrlFile, name: str) -> Path:
    """The weights file of network `name`, from the cache without any network, else downloaded into it.

    Raises MedtlError with the ways to bring the weights where they are not here and cannot be had.
    """
    return at_hand(source) or (_fetch_from_hub(source, name) if isinstance(source, HubFile) else _fetch_from_url(source, name))


def at_hand(source: HubFile | UrlFile) -> Path | None:
    """The file in this machine's cache, None where it is not there; no network is asked."""
    if isinstance(source, UrlFile):
        file = _place_of(source)
        return file if file.is_file() else None
    from huggingface_hub import try_to_load_from_cache

    cached = (try_to_load_from_cache(source.repository, filename) for filename in source.filenames)
    return next((Path(file) for file in cached if isinstance(file, str)), None)


def _fetch_from_hub(source: HubFile, name: str) -> Path:
    from huggingface_hub import constants, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    if constants.HF_HUB_OFFLINE:
        raise _not_here(name, source.repository, "HF_HUB_OFFLINE forbids asking the hub")
    address = hf_hub_url(source.repository, source.filenames[0])
    silence = why_silent(address)
    if silence:
        raise _not_here(name, source.repository, f"the hub {_host(address)} cannot be reached ({silence})")
    for filename in source.filenames:
        try:
            return Path(hf_hub_download(source.repository, filename, etag_timeout=PATIENCE))
        except LocalEntryNotFoundError:
            raise _not_here(name, source.repository, f"the hub {_host(address)} stopped answering") from None
        except EntryNotFoundError:
            continue
        except HfHubHTTPError as fault:
            status = getattr(fault.response, "status_code", "an error")
            raise _not_here(name, source.repository, f"the hub {_host(address)} answered {status}") from None
        except OSError as fault:
            raise _not_here(name, source.repository, f"the download failed ({type(fault).__name__})") from None
    raise _not_here(name, source.repository, f"the hub {_host(address)} holds none of {', '.join(source.filenames)}")


def _fetch_from_url(source: UrlFile, name: str) -> Path:
    from torch import hub

    file = _place_of(source)
    silence = why_silent(source.url)
    if silence:
        raise _not_here(name, file.name, f"the server {_host(source.url)} cannot be reached ({silence})")
    file.parent.mkdir(parents=True, exist_ok=True)
    checksum = hub.HASH_REGEX.search(file.name)
    try:
        hub.download_url_to_file(source.url, str(file), checksum.group(1) if checksum else None)
    except (OSError, RuntimeError) as fault:  # RuntimeError: the checksum is another
        raise _not_here(name, file.name, f"the download from {_host(source.url)} failed ({type(fault).__name__})") from None
    return file


def _place_of(source: UrlFile) -> Path:
    """Where torch keeps what it downloads."""
    from torch import hub

    return Path(hub.get_dir()) / "checkpoints" / Path(urlsplit(source.url).path).name


def why_silent(address: str, patience: float = PATIENCE) -> str:
    """Why `address` gives no answer within `patience` seconds; empty where it answers, with whatever status.

    In a thread of its own, for neither name resolution nor a proxy's handshake is bounded by a socket's timeout.
    """
    outcome = [f"no answer within {patience:g} s"]

    def ask() -> None:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=patience):
                outcome[0] = ""
        except urllib.error.HTTPError as answer:
            outcome[0] = "the proxy wants a login" if answer.code == 407 else ""
        except urllib.error.URLError as fault:
            outcome[0] = _reason(fault.reason)
        except OSError as fault:
            outcome[0] = _reason(fault)

    thread = threading.Thread(target=ask, daemon=True, name="is the hub there")
    thread.start()
    thread.join(patience)
    return outcome[0]


def _reason(fault: object) -> str:
    if isinstance(fault, ssl.SSLCertVerificationError):
        return ""  # it answers; whether its certificate is trusted is for the downloading client's own store to say
    if isinstance(fault, TimeoutError):
        return "no answer in time"
    return str(getattr(fault, "strerror", None) or type(fault).__name__)


def _host(address: str) -> str:
    return urlsplit(address).hostname or address


def _not_here(name: str, what: str, why: str) -> MedtlError:
    return MedtlError(
        f"the pretrained weights of '{name}' ({what}) are not on this machine, and {why}. Ways to bring them:\n"
        f"  - on a machine with network: medtl weights {name} --out {name}.safetensors; carry the file and its .json here; then "
        f"--weights {name}.safetensors\n"
        "  - copy that machine's Hugging Face cache and name its folder in HF_HOME\n"
        "  - through a proxy or a mirror: HTTPS_PROXY, HF_ENDPOINT; with the network's own certificate: SSL_CERT_FILE\n"
        "  - without pretrained weights: backbone.weights: none and transfer.strategy: scratch"
    )
