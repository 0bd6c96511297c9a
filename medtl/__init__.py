"""medtl: from a hospital's images and labels to a classifier that clinicians and reviewers can believe.

The public names are imported on first use, so that `import medtl` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# A name that is also a room's (audit, paper) would be hidden by that room once it is imported: then `module:name there`.
_HOME = {
    "read_image": "medtl.imaging.reader",
    "Image": "medtl.imaging.image",
    "load_experiment": "medtl.experiment.load",
    "shipped_config": "medtl.experiment.shipped",
    "audit_images": "medtl.flows.audit:audit",
    "rank": "medtl.flows.rank",
    "study": "medtl.flows.study",
    "train": "medtl.flows.train",
    "evaluate": "medtl.flows.evaluate",
    "shift_images": "medtl.flows.shift:shift",
    "release": "medtl.flows.later_release",
    "accept": "medtl.flows.accept",
    "compare": "medtl.flows.compare",
    "paper_kit": "medtl.flows.paper:paper",
    "load_run": "medtl.flows.run",
    "operating_points": "medtl.flows.operating_points",
    "Model": "medtl.model.package",
    "MedtlError": "medtl.errors",
}
_MODULES = ("plots",)
__all__ = [*_HOME, *_MODULES, "__version__"]

if TYPE_CHECKING:
    from medtl.errors import MedtlError as MedtlError


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"medtl.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'medtl' has no attribute '{name}'")
    module, _, own = _HOME[name].partition(":")
    return getattr(importlib.import_module(module), own or name)


def __dir__() -> list[str]:
    return __all__
