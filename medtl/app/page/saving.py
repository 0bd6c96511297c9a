"""Files made in memory for the browser to save (`window.medtlSave` of page.js): they are never on disk and have no address."""

from __future__ import annotations

import base64
from typing import Any


def file_of(name: str, kind: str, content: bytes) -> dict[str, Any]:
    """What `window.medtlSave` takes. `kind`: the media type."""
    return {"name": name, "type": kind, "content": base64.b64encode(content).decode()}
