"""Who comes in: hashed passwords, waits after wrong ones, sessions that end, ways in that are refused."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess

import pytest
from typer.testing import CliRunner

from medtl.app.door import lockout, passwords, sessions
from medtl.app.door.lockout import Lockout
from medtl.app.door.passwords import Users
from medtl.app.door.sessions import Sessions
from medtl.app.door.ways import ways
from medtl.cli.commands import app
from medtl.errors import MedtlError

SECRET = "correct horse battery"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path):
    passwords.add(tmp_path / "users.json", "anna", SECRET)
    return tmp_path / "users.json"


def test_the_file_holds_no_password_and_is_one_s_own(file):
    assert SECRET not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first = json.loads(file.read_text())["users"]["anna"]
    passwords.add(file, "anna", SECRET)
    assert json.loads(file.read_text())["users"]["anna"]["hash"] != first["hash"], "a salt of its own each time"


def test_scrypt_is_that_of_the_standard(file):
    """RFC 7914, section 12, the third vector; and ours against the library's."""
    import base64
    import hashlib

    expected = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
    assert hashlib.scrypt(b"pleaseletmein", salt=b"SodiumChloride", n=16384, r=8, p=1, dklen=64).hex().startswith(expected)
    stored = json.loads(file.read_text())["users"]["anna"]
    assert (stored["n"], stored["r"], stored["p"]) == (65536, 8, 2)
    salt = base64.b64decode(stored["salt"])
    again = hashlib.scrypt(SECRET.encode(), salt=salt, n=65536, r=8, p=2, maxmem=1 << 28, dklen=32)
    assert base64.b64encode(again).decode() == stored["hash"]


def test_right_and_wrong(file):
    users = Users(file)
    assert users.right("anna", SECRET)
    assert not users.right("anna", SECRET + " ")
    assert not users.right("berta", SECRET)
    assert not users.right("", "")


def test_the_file_is_read_again_when_it_changes(file):
    users = Users(file)
    passwords.add(file, "berta", "another long password")
    assert users.right("berta", "another long password")
    passwords.remove(file, "anna")
    assert not users.right("anna", SECRET)
    assert users.mark("anna") == ""


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [
        ("a b", SECRET, "is no name"),
        ("../x", SECRET, "is no name"),
        ("anna", "short", "too easy to guess"),
        ("anna", "anna-anna-anna-anna", "too easy to guess"),
        ("anna", "aaaaaaaaaaaaaaaaaaa", "too easy to guess"),
    ],
)
def test_names_and_passwords_that_will_not_do(tmp_path, name, password, sentence):
    with pytest.raises(MedtlError, match=sentence):
        passwords.add(tmp_path / "users.json", name, password)
    assert not list(tmp_path.iterdir())


def test_the_command_takes_a_password_from_a_pipe_and_never_shows_it(tmp_path):
    file = str(tmp_path / "users.json")
    said = CliRunner().invoke(app, ["users", file, "--add", "anna"], input=f"{SECRET}\n")
    assert said.exit_code == 0
    assert said.output == f"{file}: anna\n"
    assert CliRunner().invoke(app, ["users", file, "--remove", "anna"]).output == f"{file}: nobody\n"
    assert CliRunner().invoke(app, ["users", file, "--remove", "anna"]).exit_code == 2


def test_a_file_that_others_read_or_that_is_none_is_refused(file, tmp_path):
    file.chmod(0o644)
    with pytest.raises(MedtlError, match="others may read or change it; take that away with: chmod 600"):
        Users(file)
    (tmp_path / "x").write_text("[]")
    (tmp_path / "x").chmod(0o600)
    with pytest.raises(MedtlError, match="is cut or damaged"):
        Users(tmp_path / "x")
    with pytest.raises(MedtlError, match="there is no such users file"):
        Users(tmp_path / "y")


def test_after_five_wrong_passwords_a_name_waits_longer_and_longer():
    clock = Clock()
    locked = Lockout(clock)
    for _ in range(lockout.FREE_BY_NAME - 1):
        locked.wrong("anna", "10.0.0.1")
    assert locked.wait("anna", "10.0.0.2") == 0
    locked.wrong("Anna", "10.0.0.1")
    assert locked.wait("anna", "10.0.0.2") == 60
    assert locked.wait("berta", "10.0.0.1") == 0, "her colleague at the same machine may come in"
    clock.now += 60
    assert locked.wait("anna", "10.0.0.2") == 0
    locked.wrong("anna", "10.0.0.1")
    assert locked.wait("anna", "10.0.0.2") == 120
    for _ in range(50):
        locked.wrong("anna", "10.0.0.1")
    assert locked.wait("anna", "10.0.0.2") == lockout.LONGEST


def test_many_names_from_one_address_wait_too_and_a_right_password_does_not_clear_that():
    locked = Lockout(Clock())
    for i in range(lockout.FREE_BY_ADDRESS):
        locked.wrong(f"name{i}", "10.0.0.1")
    assert locked.wait("anna", "10.0.0.1") == 60
    locked.right("anna", "10.0.0.1")
    assert locked.wait("anna", "10.0.0.1") == 60
    assert locked.wait("anna", "10.0.0.2") == 0


def test_a_right_password_ends_the_name_s_count_and_memory_is_bounded():
    locked = Lockout(Clock())
    for _ in range(4):
        locked.wrong("anna", "10.0.0.1")
    locked.right("anna", "10.0.0.1")
    locked.wrong("anna", "10.0.0.1")
    assert locked.wait("anna", "10.0.0.3") == 0
    for i in range(12_000):
        locked.wrong(f"n{i}", f"a{i}")
    assert len(locked._tries) <= 10_000


def test_sessions_end_by_time_by_logging_out_and_by_another_password():
    clock, marks = Clock(), {"anna": "1"}
    kept = Sessions(clock)
    token = kept.begin("anna", "1")
    assert kept.who(token, lambda name: marks.get(name, "")) == "anna"
    assert kept.who(token + "x", marks.get) == ""
    clock.now += sessions.IDLE + 1
    assert kept.who(token, lambda name: marks.get(name, "")) == ""
    token = kept.begin("anna", "1")
    marks["anna"] = "2"
    assert kept.who(token, lambda name: marks.get(name, "")) == ""
    token = kept.begin("anna", "2")
    for _ in range(30):
        clock.now += sessions.IDLE - 1
        alive = kept.who(token, lambda name: marks.get(name, ""))
    assert alive == "", "twelve hours are enough"
    token = kept.begin("anna", "2")
    kept.end(token)
    assert kept.who(token, lambda name: marks.get(name, "")) == ""
    assert token not in repr(vars(kept)), "tokens themselves are not kept"


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    """A certificate for localhost and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on this machine")
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", place / "key.pem", "-out", place / "cert.pem", "-days", "2",
         "-subj", "/CN=localhost"], check=True, capture_output=True,
    )  # fmt: skip
    return place / "cert.pem", place / "key.pem"


def test_ways_in(file, pair, tmp_path):
    certificate, key = pair
    assert ways().hosts == ["127.0.0.1", "localhost"]
    assert ways("0.0.0.0", file, certificate, key).hosts == ["*"]
    assert ways("0.0.0.0", file, behind_proxy="https://medtl.example/x/").hosts == ["medtl.example", "127.0.0.1", "localhost"]
    for arguments, sentence in (
        ({"host": "0.0.0.0"}, "without a login it opens on 127.0.0.1 only"),
        ({"host": "0.0.0.0", "users": file}, "would cross the network unencrypted"),
        ({"host": "::", "users": file}, "would cross the network unencrypted"),
        ({"behind_proxy": "https://medtl.example"}, "^--behind-proxy https://medtl.example: .*without a login"),
        ({"host": "0.0.0.0", "users": file, "behind_proxy": "http://medtl.example"}, "give the https address"),
        ({"certificate": certificate}, "belong together"),
        ({"certificate": certificate, "key": certificate}, "are no pair of PEM files"),
        ({"certificate": tmp_path / "nowhere", "key": key}, "there is no such file"),
    ):
        with pytest.raises(MedtlError, match=sentence):
            ways(**arguments)
