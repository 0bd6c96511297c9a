"""Plain cross-entropy, with optional label smoothing from the transfer settings."""

from __future__ import annotations

from typing import Literal

from medtl import registry


class Settings(registry.Settings):
    name: Literal["cross-entropy"] = "cross-entropy"
