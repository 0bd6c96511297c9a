"""Docstrings read from the source, without importing what they describe: the components of a training need torch, a paper does not."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import medtl


@cache
def docstrings(module: str) -> dict[str, str]:
    """Of `medtl.<module>`: its own under `""`, those of its classes, functions and documented attributes under their names.

    >>> sorted(docstrings("imbalance.losses.focal"))[:4]
    ['', 'build', 'gamma', 'log_prior_shift']
    """
    tree = ast.parse(source_of(module).read_text(encoding="utf-8"))
    found = {"": ast.get_docstring(tree) or ""}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.setdefault(node.name, ast.get_docstring(node) or "")
        for name, text in _attributes(getattr(node, "body", None)):
            found.setdefault(name, text)
    return {name: " ".join(text.split()) for name, text in found.items() if text}


def source_of(module: str) -> Path:
    """The file of `medtl.<module>`, whether it is there or not."""
    place = Path(medtl.__file__).parent.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _attributes(body: object) -> list[tuple[str, str]]:
    """Names that are assigned in a body, each with the text on the line below it."""
    if not isinstance(body, list):
        return []
    found = []
    for node, after in pairwise(body):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found.append((target.id, str(after.value.value)))
    return found


def choice(text: str, value: str) -> str:
    """Of a text that describes several values, the part about one: what follows "`value`:" up to the next.

    >>> choice("`a`: one thing (Lin 2017). `b`: another (Cui 2019).", "b")
    'another (Cui 2019).'
    """
    parts = re.split(r"`([\w-]+)`: ", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(value, "").strip()
