"""Members of a package as safetensors files: the same weights are the same bytes, and nothing in them is executable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from medtl.errors import MedtlError, listed
from medtl.files import share

if TYPE_CHECKING:
    from medtl.decisions.settings import Flips
    from medtl.module.classifier import Classifier

# One entry only: safetensors keeps metadata in an unordered map, and two would make equal weights unequal files.
_METADATA = {"format": "pt"}


def save_member(member: Classifier, path: Path) -> None:
    """Write `member.state_dict()` in plain row-major memory (whatever the training's memory format was).

    Raises MedtlError where a weight is not finite: such a model answers nothing.
    """
    state = {key: value.detach().to("cpu").contiguous().clone() for key, value in member.state_dict().items()}
    broken = [key for key, value in state.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if broken:
        raise MedtlError(
            f"the trained weights are not finite ({listed(broken, most=3)}), so there is no model to package; lower `transfer.rate`"
        )
    save_file(state, path, metadata=_METADATA)
    share(path)


def load_member(path: Path, description: Mapping[str, Any], outputs: Sequence[int], flips: Flips = "none") -> Classifier:
    """Rebuild the network and fill it; `outputs` of its head belong to each class.

    Raises MedtlError where the file is cut, or does not fit the description.
    """
    from medtl.backbones.network import rebuild
    from medtl.module.classifier import Classifier

    try:
        state = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise MedtlError(f"{path}: is cut or no safetensors file ({type(error).__name__}); copy the package again") from None
    with torch.random.fork_rng(devices=[]):  # initial values are overwritten; the caller's random state stays as it was
        member = Classifier(rebuild(dict(description)), outputs, flips=flips)
    expected = member.state_dict()
    missing, unexpected = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    misshapen = [key for key in expected.keys() & state.keys() if expected[key].shape != state[key].shape]
    if missing or unexpected or misshapen:
        found = ((missing, "missing"), (unexpected, "not in the network"), (sorted(misshapen), "of another shape"))
        parts = [f"{len(keys)} {what} ({listed(keys, most=3)})" for keys, what in found if keys]
        raise MedtlError(f"{path}: does not fit the network that model.json describes: {'; '.join(parts)}; copy the package again")
    member.load_state_dict(state)
    member.eval().requires_grad_(False)
    return member
