"""A real browser before a real page; the models and files are those of tests/app."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from medtl.decisions import outlyingness
from medtl.model.gate import Gate

_HOME = Path(__file__).parents[1] / "app" / "conftest.py"
_spec = importlib.util.spec_from_file_location("medtl_app_fixtures", _HOME)
assert _spec is not None
assert _spec.loader is not None
_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_fixtures)
package, marker, files, served = _fixtures.package, _fixtures.marker, _fixtures.files, _fixtures.served
judged, labelled_cases = _fixtures.judged, _fixtures.labelled_cases

SKIN = ("actinic-keratosis", "basal-cell-carcinoma", "benign-keratosis", "dermatofibroma", "melanoma", "nevus", "vascular")


@pytest.fixture(scope="session")
def models(package: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both tasks: two classes with a threshold, several without; and one whose gate knows three equal images and refuses all others."""
    place = tmp_path_factory.mktemp("models")
    detector = outlyingness.fit(np.zeros((3, 96)), "mahalanobis")
    gate = Gate(detector, outlyingness.limit([0.0, 0.0, 0.0], [1, 2, 3], 0.01), 0.01, {"mahalanobis": {"noise": 1.0}}, {})
    return [
        package(place / "chest", ("normal", "pneumonia"), name="chest"),
        package(place / "skin", SKIN, name="skin", members=2),
        package(place / "narrow", ("normal", "pneumonia"), name="narrow", gate=gate),
    ]


@pytest.fixture(scope="session")
def opened(served: Callable[..., Any], models: list[Path]) -> Iterator[Any]:
    """The page, in a process of its own."""
    with served(*models) as page:
        yield page


@pytest.fixture(scope="session")
def requests() -> list[str]:
    """Every address that any tab asked for."""
    return []


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(chromium: Any, opened: Any, requests: list[str]) -> Iterator[Callable[..., Any]]:
    """`tab(width=1280, dark=False, model="chest", asks=False)`: a new tab on the page, with a privacy of its own, this model chosen."""
    contexts: list[Any] = []
    errors: list[str] = []

    def new(width: int = 1280, dark: bool = False, model: str = "chest", asks: bool = False) -> Any:
        size = {"width": width, "height": 844 if width < 500 else 800}
        context = chromium.new_context(viewport=size, color_scheme="dark" if dark else "light")
        contexts.append(context)
        context.set_default_timeout(60_000)
        context.on("request", lambda request: requests.append(request.url))
        page = context.new_page()
        page.goto(opened.address)
        page.wait_for_selector(".medtl-model dl")
        page.on("pageerror", lambda error: errors.append(str(error)))
        if model:
            page.get_by_label("Model").first.click()
            page.get_by_role("option", name=model, exact=True).click()
            page.wait_for_selector(".medtl-model table")
        if not asks:
            page.get_by_label("Ask me what a file does not say").uncheck()
        return page

    yield new
    for context in contexts:
        context.close()
    assert errors == [], "no script of the page fails"


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """`keep(tab, name)`: a picture of the whole page, in the folder that MEDTL_SCREENSHOTS names (else nowhere)."""
    folder = os.environ.get("MEDTL_SCREENSHOTS")

    def shot(page: Any, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            page.wait_for_timeout(300)  # transitions end
            page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)

    return shot


@pytest.fixture
def hosts(requests: list[str]) -> Callable[[], set[str]]:
    """Where the page's requests went; data: and blob: stay in the browser."""
    return lambda: {urlsplit(url).hostname or "" for url in requests if not url.startswith(("data:", "blob:"))}
