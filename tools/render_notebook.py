"""Run a notebook and write it as Markdown with its figures, for docs/notebooks: code, tables, pictures, and no path of this machine.

python tools/render_notebook.py NOTEBOOK.ipynb FOLDER     (what it reads is named in the environment: see its first cell)
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

_PICTURES = {"image/svg+xml": "svg", "image/png": "png"}
_PATH = re.compile(r"(?<![\w.])/(?:[\w.+-]+/)+([\w.+-]*)")


def main() -> None:
    notebook, folder = Path(sys.argv[1]), Path(sys.argv[2])
    os.environ.setdefault("TERM", "dumb")
    print(render(notebook, folder))


def render(notebook: Path, folder: Path) -> Path:
    """Execute `notebook` and write `<folder>/<name>.md`, with its pictures below `<folder>/<name>/`; gives the Markdown file."""
    book = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(book, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(notebook.parent)}}).execute()
    pictures = folder / notebook.stem
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.iterdir():
        old.unlink()
    parts = [part for number, cell in enumerate(book.cells) for part in _cell(cell, number, pictures)]
    target = folder / f"{notebook.stem}.md"
    target.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return target


def _cell(cell: Any, number: int, pictures: Path) -> Iterator[str]:
    if cell.cell_type == "markdown":
        yield cell.source
        return
    yield f"```python\n{cell.source}\n```"
    for place, output in enumerate(cell.outputs):
        yield from _output(output, f"{number}-{place}", pictures)


def _output(output: Any, name: str, pictures: Path) -> Iterator[str]:
    """One output: a picture as a file, all else as text; progress and warnings, which go to stderr, are left out."""
    if output.output_type == "stream":
        if output.name == "stdout":
            yield _block(output.text)
        return
    data = output.get("data", {})
    for kind, ending in _PICTURES.items():
        if kind in data:
            file = pictures / f"{name}.{ending}"
            file.write_bytes(data[kind].encode() if ending == "svg" else base64.b64decode(data[kind]))
            yield f"![]({pictures.name}/{file.name})"
            return
    if "text/plain" in data:
        yield _block(data["text/plain"])


def _block(text: str) -> str:
    return f"```text\n{without_paths(text.rstrip())}\n```"


def without_paths(text: str) -> str:
    """Text with absolute paths cut to their last name.

    >>> without_paths("written to /data/runs/a.csv, 3/4 of it")
    'written to a.csv, 3/4 of it'
    """
    return _PATH.sub(r"\1", text)


if __name__ == "__main__":
    main()
