"""The page behind a reverse proxy that does https and adds a path: what a proxy on this machine would ask it."""

from __future__ import annotations

import socket

import httpx
import pytest

from medtl.app.door import passwords

SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def proxied(served, package, tmp_path_factory):
    place = tmp_path_factory.mktemp("proxied")
    passwords.add(place / "users.json", "anna", SECRET)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    public = f"https://localhost:{port}/reading"  # what browsers would see; the page itself is asked without path and without https
    options = ["--users", place / "users.json", "--behind-proxy", public, "--port", port]
    with served(package(place / "lungs"), options=options):
        headers = {"host": "localhost", "x-forwarded-for": "192.0.2.1"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            yield client, public


def test_the_api_answers_and_knows_its_address(proxied):
    client, public = proxied
    assert client.get("/api/v1/health").json()["status"] == "ok", "without a login"
    assert client.get("/api/v1/models").status_code == 401
    assert client.get("/api/v1/models", auth=("anna", SECRET)).json()[0]["model"] == "lungs"
    schema = client.get("/api/v1/openapi.json", auth=("anna", SECRET)).json()
    assert schema["servers"] == [{"url": f"{public}/api/v1"}]


@pytest.mark.slow  # every wrong password costs a scrypt
def test_wrong_passwords_count_for_the_address_that_the_proxy_tells(proxied):
    client, _ = proxied
    tried = [client.post("/login", data={"username": f"nobody-{number}", "password": "x"}).status_code for number in range(21)]
    assert tried == [401] * 20 + [429]
    right = {"username": "anna", "password": SECRET}
    assert client.post("/login", data=right).status_code == 429
    assert client.post("/login", data=right, headers={"x-forwarded-for": "192.0.2.2"}).status_code == 200, "from elsewhere nobody waits"
