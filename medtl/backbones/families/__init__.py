"""Where networks come from. Contract of a file (a library), asked in the order of `LIBRARIES`:

- `names() -> list[str]`: the plain names it has; `has(name) -> bool`;
- `successor(name) -> str`: what a network is called now that had this name before, else empty;
- `build(name, options) -> nn.Module`: random weights, no classifier, with `forward_features(x (B, C, S, S)) -> (B, F, h, w)` and
  `forward_head(maps, pre_logits=True) -> (B, D)` or `(B, D, h, w)`; `forward_intermediates(x) -> (last maps, [maps of every stage])`.
  Unknown options: TypeError;
- `statistics(name, options) -> (mean, std)`: of the input channels the network has with these options;
- `hub_source(name) -> HubFile | UrlFile | None`: where its ImageNet weights are, None where there are none;
- `heads(name) -> tuple[str, ...]`: what the state's keys of the (left out) classifiers begin with;
- `translate(body, state) -> state`: a foreign checkpoint's keys into the body's own;
- `stages(body) -> list[list[str]]`: parameter names in groups, from the input to the features.
"""

from __future__ import annotations

from types import ModuleType

from medtl.errors import MedtlError, did_you_mean
from medtl.registry import component

LIBRARIES = ("timm", "torchvision")


def family(library: str) -> ModuleType:
    """The file of one library."""
    return component("backbones.families", library)


def library_of(name: str) -> str:
    """The first library that has a network of this name; MedtlError with the nearest name where none has."""
    for library in LIBRARIES:
        if family(library).has(name):
            return library
    now = next(filter(None, (family(library).successor(name) for library in LIBRARIES)), "")
    if now:
        raise MedtlError(f"backbone.name: '{name}' is called '{now}' now; set backbone.name: {now}")
    known = [known for library in LIBRARIES for known in family(library).names()]
    raise MedtlError(
        f"backbone.name: no network '{name}' in timm or torchvision{did_you_mean(name, known)} "
        "(for example mobilenetv2_100, resnet50, densenet121, efficientnet_b0, convnext_tiny, inception_v3, alexnet)"
    )
