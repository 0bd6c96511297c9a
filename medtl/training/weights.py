"""The weights of a classifier as a file."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file

from medtl.files import write_atomically
from medtl.module.classifier import Classifier


def save_weights(classifier: Classifier, path: Path) -> None:
    """Weights alone, as safetensors, with the same bytes for the same weights."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in classifier.state_dict().items()}
    write_atomically(path, lambda temporary: save_file(tensors, temporary), load_file)


def load_weights(classifier: Classifier, path: Path) -> None:
    """The inverse of :func:`save_weights`."""
    classifier.load_state_dict(load_file(path))
