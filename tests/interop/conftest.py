"""Small packages and images, those of tests/app."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_HOME = Path(__file__).parents[1] / "app" / "conftest.py"
_spec = importlib.util.spec_from_file_location("medtl_app_fixtures_of_interop", _HOME)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
package, marker, files = _fixtures.package, _fixtures.marker, _fixtures.files
