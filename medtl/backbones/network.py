"""A CNN without its classifier: pixels in [0, 1] in, features out, whatever library and weights it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medtl.backbones import BackboneSettings
from medtl.backbones.description import Description, parse_description
from medtl.backbones.families import family, library_of
from medtl.backbones.fitting import fit, fits_entirely
from medtl.backbones.weights import Weights, open_structure, open_weights
from medtl.errors import MedtlError
from medtl.imaging.settings import ImageSettings


class Network(nn.Module):
    """Normalisation, feature maps and pooling of one CNN; use with `.to(memory_format=torch.channels_last)`.

    Grey pixels into an RGB network: the missing channel axis is broadcast in the normalisation, so that the first convolution sums its
    weights over the colours. That is what three equal channels give, bit for bit, with each colour's own mean and deviation and the
    true zero padding (summing the weights beforehand is only near it), for any kind of first convolution.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, description: Description, provenance: Mapping[str, Any] | None = None):
        super().__init__()
        self.backbone = backbone
        self._description = description
        self.provenance: dict[str, Any] = dict(provenance or {"source": "none"})
        """Where the weights are from, what fitted and what did not (see `fitting.fit`)."""
        self.register_buffer("mean", torch.tensor(description.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(description.std).view(1, -1, 1, 1), persistent=False)
        self.dims = (description.dim,) if description.dim and description.features == "last" else self._measured_dims()
        """How many features come from each of the maps."""
        self.dim = sum(self.dims)
        """Number of features D."""

    @property
    def description(self) -> dict[str, Any]:
        """JSON for `rebuild`: architecture, library, options, mean, std, dim."""
        return {**self._description.model_dump(mode="json"), "dim": self.dim}

    def maps(self, x: Tensor) -> list[Tensor]:
        """(B, C, S, S) in [0, 1], C = 1 or the network's own -> what features are pooled from, (B, F, h, w) each: the last maps; with
        `features: stages` every stage's, the last ones at the end."""
        given = (x - self.mean) / self.std
        if self._description.features == "last":
            return [self.backbone.forward_features(given)]
        last, stages = self.backbone.forward_intermediates(given)
        return [*(stages[:-1] if stages[-1].shape == last.shape else stages), last]

    def pool(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps as of :meth:`maps` -> features (B, D): the mean of earlier stages; of the last maps global pooling and what the network
        has between it and its classifier."""
        *earlier, last = maps
        top: Tensor = self.backbone.forward_head(last, pre_logits=True)
        top = top.reshape(top.shape[0], self.dims[-1], -1).mean(dim=2)  # some leave the averaging to their classifier
        return torch.cat([*(each.mean(dim=(2, 3)) for each in earlier), top], dim=1) if earlier else top

    def features(self, x: Tensor) -> Tensor:
        """(B, C, S, S) in [0, 1] -> (B, D)."""
        return self.pool(self.maps(x))

    forward = features

    def _measured_dims(self) -> tuple[int, ...]:
        """By one forward of a small black image; training mode afterwards."""
        self.eval()
        with torch.no_grad():
            *earlier, last = self.maps(torch.zeros(1, self.mean.shape[1], 128, 128))
            top: int = self.backbone.forward_head(last, pre_logits=True).shape[1]
        self.train()
        return (*(each.shape[1] for each in earlier), top)

    def stages(self) -> list[list[str]]:
        """Names of the parameters in groups, from the input to the features: for tuning a part of the network.

        The library's own groups; one of nothing but norms and biases (DenseNet's and ConvNeXt's last) belongs to the one before it.
        """
        shapes = {name: parameter.ndim for name, parameter in self.named_parameters()}
        stages: list[list[str]] = []
        for group in family(self._description.library).stages(self.backbone):
            names = [f"backbone.{name}" for name in group]
            if stages and all(shapes[name] <= 1 for name in names):
                stages[-1] += names
            else:
                stages.append(names)
        return stages

    def auxiliary(self) -> tuple[nn.Module, int] | None:
        """The layer after which the network's makers put an auxiliary classifier, and its channels; None where they put none."""
        layer = getattr(self.backbone, "Mixed_6e", None)  # Inception-v3, in timm and torchvision alike
        return None if layer is None else (layer, 768)


def build_network(settings: BackboneSettings, image: ImageSettings, root: Path, seed: int = 0, pretrained: bool = True) -> Network:
    """The network of the settings with its weights in it; `seed` decides what stays random (everything with `weights: none`).

    Not `pretrained`: the same structure, all random, so that training from scratch differs in the weights alone.
    A relative `weights` path is below `root`. Raises MedtlError: unknown name, option or file; weights that do not fit; an
    unreachable hub; channels or a size that the network cannot take.
    """
    given = open_weights(settings, root) if pretrained else open_structure(settings, root)
    description = _describe(settings, given)
    network = _create(description, seed)
    if given.state is not None:
        network.provenance = {**given.provenance, **_fitted(network.backbone, description, given)}
    _check_input(network, image)
    return network


def rebuild(description: Mapping[str, Any]) -> Network:
    """The same structure as a `Network` with this `description`, for weights that are loaded into it next."""
    return _create(parse_description(description, "model package"), seed=0)


def _describe(settings: BackboneSettings, given: Weights) -> Description:
    """Settings and what stands beside the weights, brought together; MedtlError where they contradict each other."""
    if given.architecture is not None and given.architecture.partition(".")[0] != settings.name.partition(".")[0]:
        raise MedtlError(
            f"backbone.name is '{settings.name}', but the weights {settings.weights} are of '{given.architecture}'; "
            f"set backbone.name: {given.architecture}, or choose other weights"
        )
    clashes = [key for key, value in given.options.items() if settings.options.get(key, value) != value]
    if clashes:
        pairs = ", ".join(f"{key} (config {settings.options[key]!r}, weights {given.options[key]!r})" for key in clashes)
        raise MedtlError(
            f"backbone.options contradict what stands beside the weights {settings.weights}: {pairs}; leave them out of the config"
        )
    options = {**given.options, **settings.options}
    library = given.library or library_of(settings.name)
    if not family(library).has(settings.name):
        raise MedtlError(f"the weights {settings.weights} are of {library}, which has no network '{settings.name}'")
    mean, std = family(library).statistics(settings.name, options)
    return Description(
        architecture=settings.name,
        library=library,
        options=options,
        mean=given.mean or mean,
        std=given.std or std,
        features=settings.features,
    )


def _create(description: Description, seed: int) -> Network:
    """Random weights from `seed`; torch's own generator stays as it was."""
    library = family(description.library)
    if not library.has(description.architecture):
        raise MedtlError(f"this machine's {description.library} has no network '{description.architecture}'; a newer version may have it")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            body = library.build(description.architecture, dict(description.options))
        except (TypeError, ValueError, KeyError, AssertionError, RuntimeError) as fault:
            options = ", ".join(f"{key}: {value}" for key, value in description.options.items()) or "none"
            raise MedtlError(f"backbone: {description.architecture} cannot be built with the options {{{options}}}: {fault}") from None
    return Network(body, description)


def _fitted(body: nn.Module, description: Description, given: Weights) -> dict[str, Any]:
    assert given.state is not None
    library = family(description.library)
    state = given.state if fits_entirely(body, given.state) else library.translate(body, given.state)
    who = f"backbone.weights: {given.provenance.get('file')} does not fit {description.architecture}"
    return fit(body, state, library.heads(description.architecture), who)


def _check_input(network: Network, image: ImageSettings) -> None:
    """One forward of a black image, at most 224 pixels wide: refuses channels and sizes that the network cannot take."""
    own, side = network.mean.shape[1], min(image.size, 224)
    if own == 1 and image.channels != 1:
        raise MedtlError(f"the network takes one grey channel, but image.channels is {image.channels}; set image.channels: 1")
    name = network.description["architecture"]
    network.eval()
    try:
        with torch.no_grad():
            maps = network.maps(torch.zeros(1, image.channels, side, side))
            network.pool(maps)
    except RuntimeError:
        raise MedtlError(f"{name} cannot take images of {image.size} pixels; choose a larger image.size, such as 224") from None
    network.train()
    last = maps[-1]
    if last.ndim != 4 or last.shape[2] != last.shape[3] or last.shape[2] > side // 2:
        raise MedtlError(
            f"backbone.name: '{name}' gives no maps of features over the image (it is no CNN); choose one such as convnext_tiny"
        )
