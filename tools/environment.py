"""Build `.venv` from `requirements.lock`: what `make env` runs. Needs nothing but a Python 3.11 - 3.13 and pip (or uv).

uv does the work, for it is many times faster than pip; where it is missing, pip fetches the version of the lock, hash-checked,
into `.tools/`. What the machine's pip is told about mirrors, proxies and certificates is handed on to uv, which does not read it.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
COMPLETE = VENV / ".complete"
PYTHONS = ((3, 11), (3, 12), (3, 13))
COMPILE = "compile"
OLDEST_UV = (0, 11)  # knows --system-certs

UV_NAME_OF = {
    "index-url": "UV_DEFAULT_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
"""pip's setting -> the variable by which uv takes the same."""


def main() -> None:
    started = time.monotonic()
    python = suitable_python()
    environment = uv_environment(pip_settings(python))
    uv = installed_uv(python)

    def run_uv(*arguments: str) -> None:
        subprocess.run([uv, *arguments], cwd=ROOT, env=environment, check=True)

    COMPLETE.unlink(missing_ok=True)
    if not venv_is_usable():
        shutil.rmtree(VENV, ignore_errors=True)
        run_uv("venv", "--quiet", "--python", python, str(VENV))
    into = ("--python", str(venv_python()), "--quiet")
    run_uv("pip", "sync", *into, "--require-hashes", str(LOCK))
    run_uv("pip", "install", *into, "--no-deps", "--no-build-isolation", "--editable", ".")
    COMPLETE.touch()
    compile_in_background()
    version = ".".join(map(str, python_version(str(venv_python()))))
    print(f"environment complete in {time.monotonic() - started:.0f} s: .venv, Python {version}")


def suitable_python() -> str:
    """The running Python if its version fits, else the newest that does and is on the PATH."""
    named = [f"python{major}.{minor}" for major, minor in reversed(PYTHONS)]
    for candidate in [sys.executable, *filter(None, map(shutil.which, named))]:
        if python_version(candidate)[:2] in PYTHONS:
            return candidate
    sys.exit(
        f"medtl needs Python 3.11, 3.12 or 3.13; python3 is {sys.version.split()[0]}. Name another one: make env PYTHON=/path/to/python3.12"
    )


def python_version(python: str) -> tuple[int, ...]:
    """Version of an interpreter, (0,) where it does not start (a shim without a version behind it)."""
    answer = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:3])"], capture_output=True, text=True)
    return tuple(map(int, answer.stdout.split())) if answer.returncode == 0 else (0,)


def venv_python() -> Path:
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def venv_is_usable() -> bool:
    return venv_python().exists() and python_version(str(venv_python()))[:2] in PYTHONS


def compile_in_background() -> None:
    """Compile 19,000 files to bytecode at the lowest priority: a minute that nobody has to wait for.

    A program started meanwhile compiles what it imports itself, so the two only save each other work.
    """
    quiet = subprocess.DEVNULL
    subprocess.Popen([str(venv_python()), __file__, COMPILE], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def compile_all() -> None:
    """The background process: ends by itself when the environment is removed or rebuilt."""
    getattr(os, "nice", int)(19)
    for source in sorted((VENV / "lib").rglob("*.py")):
        if not COMPLETE.exists():
            return
        if not {"test", "tests"} & set(source.parts):
            compileall.compile_file(source, quiet=2)


def pip_settings(python: str) -> dict[str, str]:
    """What pip's files and PIP_* variables say: `{"index-url": …}`; nothing where there is no pip."""
    answer = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True)
    lines = re.findall(r"^[^=]*?\.([a-z-]+)='(.*)'$", answer.stdout, flags=re.MULTILINE)  # global.index-url='…', :env:.cert='…'
    return dict(lines)


def uv_environment(pip: dict[str, str]) -> dict[str, str]:
    """This process's environment with pip's settings in uv's words; what the user told uv itself wins."""
    environment = dict(os.environ)
    environment.setdefault("UV_SYSTEM_CERTS", "1")
    for name, uv_name in UV_NAME_OF.items():
        if name in pip:
            environment.setdefault(uv_name, pip[name])
    if "no-index" in pip and "find-links" in pip:  # a folder of wheels instead of an index
        environment.setdefault("UV_NO_INDEX", "1")
        environment.setdefault("UV_FIND_LINKS", ",".join(pip["find-links"].split()))
    return environment


def installed_uv(python: str) -> str:
    """A uv that is new enough: on the PATH, else in `.tools/`, fetched there by pip at the first call."""
    private = TOOLS / "bin" / "uv"
    for candidate in filter(None, (shutil.which("uv"), shutil.which(str(private)))):
        if uv_version(candidate) >= OLDEST_UV:
            return candidate
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "uv.txt"
        wanted.write_text(locked("uv"), encoding="utf-8")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        as_root_too = {**os.environ, "PIP_ROOT_USER_ACTION": "ignore"}
        if subprocess.run([*pip, "--upgrade", "--target", str(TOOLS), "-r", str(wanted)], env=as_root_too).returncode:
            sys.exit("pip could not fetch uv: see its message above. Bring pip (python3-pip, python3-venv) or uv itself onto the PATH.")
    return str(private)


def uv_version(uv: str) -> tuple[int, ...]:
    answer = subprocess.run([uv, "--version"], capture_output=True, text=True)
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", answer.stdout) if answer.returncode == 0 else None
    return tuple(map(int, found.groups())) if found else (0,)


def locked(package: str) -> str:
    """The lines of the lock that pin one package and its hashes."""
    found = re.search(rf"^{re.escape(package)}==.*?(?=^\S)", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert found, f"{LOCK.name} does not pin {package}"
    return found.group()


if __name__ == "__main__":
    try:
        compile_all() if sys.argv[1:] == [COMPILE] else main()
    except subprocess.CalledProcessError as failure:
        sys.exit(f"make env: uv stopped with exit status {failure.returncode}; its message is above")
