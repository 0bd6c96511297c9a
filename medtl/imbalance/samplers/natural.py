"""Every image once per epoch, in a new order."""

from __future__ import annotations

from typing import Literal

from medtl import registry


class Settings(registry.Settings):
    name: Literal["natural"] = "natural"
