"""A person logs in by a browser, and reads under that name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from medtl.app.door.passwords import hashed
from medtl.contracts import FORMAT
from medtl.files import write_json

pytestmark = pytest.mark.system
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def opened(served, models, study, tmp_path_factory) -> Iterator[Any]:
    users = tmp_path_factory.mktemp("users") / "users.json"
    write_json(users, {"format": FORMAT, "users": {"anna": hashed(PASSWORD)}})
    users.chmod(0o600)
    with served(models[0], options=["--users", users, "--reading-first", "--study", study]) as page:
        yield page


def test_the_login_is_the_reader(chromium, opened, study, files):
    context = chromium.new_context()
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(opened.address)
    page.get_by_label("Name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector(".medtl-model")
    page.get_by_label("Ask me what a file does not say").uncheck()
    page.set_input_files("#medtl-upload input[type=file]", str(files["png"]))
    page.wait_for_selector("#medtl-begin")
    assert not page.get_by_label("Your reader code").is_visible()
    page.click("#medtl-begin")
    page.locator("#medtl-called").get_by_label("normal", exact=True).check()
    page.get_by_label("How probable is pneumonia").fill("20")
    page.click("#medtl-show")
    page.wait_for_selector("#medtl-said .medtl-answer:not(.empty)")
    context.close()
    assert (study / "readings-anna.csv").read_text().splitlines()[1].startswith("anna,without model,")
