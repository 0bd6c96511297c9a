"""`make env` hands pip's settings on to uv, and takes uv itself from the lock."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "environment.py"), run_name="environment")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("UV_DEFAULT_INDEX", "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS", "SSL_CERT_FILE", "ALL_PROXY", "UV_NO_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_mirror_proxy_certificate_and_timeout_are_handed_on(tool: dict[str, Any], bare: pytest.MonkeyPatch) -> None:
    given = {"index-url": "https://mirror.example/simple", "proxy": "http://proxy.example:3128", "cert": "/etc/ca.pem", "timeout": "60"}
    environment = tool["uv_environment"](given)
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert environment["ALL_PROXY"] == "http://proxy.example:3128"
    assert environment["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert environment["UV_HTTP_TIMEOUT"] == "60"
    assert environment["UV_SYSTEM_CERTS"] == "1"


def test_what_uv_was_told_itself_wins(tool: dict[str, Any], bare: pytest.MonkeyPatch) -> None:
    bare.setenv("UV_DEFAULT_INDEX", "https://own.example/simple")
    assert tool["uv_environment"]({"index-url": "https://mirror.example/simple"})["UV_DEFAULT_INDEX"] == "https://own.example/simple"


def test_a_folder_of_wheels_replaces_the_index_only_where_pip_has_none(tool: dict[str, Any], bare: pytest.MonkeyPatch) -> None:
    assert "UV_FIND_LINKS" not in tool["uv_environment"]({"find-links": "/wheels"})
    environment = tool["uv_environment"]({"find-links": "/wheels /more", "no-index": "true"})
    assert (environment["UV_NO_INDEX"], environment["UV_FIND_LINKS"]) == ("1", "/wheels,/more")


def test_pip_settings_are_read_as_pip_lists_them(tool: dict[str, Any], tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\ncat <<'END'\n:env:.cert='/ca.pem'\nglobal.index-url='https://a.example/simple?x=1'\nEND\n", encoding="utf-8"
    )
    python.chmod(0o755)
    assert tool["pip_settings"](str(python)) == {"cert": "/ca.pem", "index-url": "https://a.example/simple?x=1"}


def test_uv_comes_from_the_lock_with_its_hashes(tool: dict[str, Any]) -> None:
    lines = tool["locked"]("uv").splitlines()
    assert lines[0].startswith("uv==")
    assert sum("--hash=sha256:" in line for line in lines) > 5
    assert not any(line.startswith("uvicorn") for line in lines)


def test_an_interpreter_that_does_not_start_has_no_version(tool: dict[str, Any], tmp_path: Path) -> None:
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    assert tool["python_version"](str(shim)) == (0,)
