"""Who is cited where. `references.bib` holds the bibliographic facts; docstrings cite in free text, by first author and year.

So no component names a key: "Lin et al., ICCV 2017" in a docstring is the entry `lin2017`. A test holds that every such citation in the
rooms that a training and its judgement pass through has its entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from medtl.paper.docstrings import choice, docstrings, source_of

FILE = "references.bib"
_YEAR = r"\b(?:18|19|20)\d\d\b"
_ENTRY = re.compile(r"^@\w+\{(\w+),\n(.*?)^\}\n", flags=re.MULTILINE | re.DOTALL)
_AUTHOR = re.compile(r"author = \{(.*?),", flags=re.DOTALL)


@cache
def entries() -> dict[str, str]:
    """Key → the entry as BibTeX, in the order of the file."""
    text = (Path(__file__).parent / FILE).read_text(encoding="utf-8")
    return {found[1]: found[0] for found in _ENTRY.finditer(text)}


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    """Key → the first author's surname with the entry's year, no other year in between."""
    patterns = {}
    for key, entry in entries().items():
        author = _AUTHOR.search(entry)
        assert author, f"{FILE}: {key} has no author"
        surname = re.escape(author[1].strip("{}"))
        patterns[key] = re.compile(rf"\b{surname}\b(?:(?!{_YEAR}).){{0,200}}?\b{key[-4:]}\b")
    return patterns


def citations(text: str) -> dict[int, str]:
    """Where each citation in a text ends → its key, in order."""
    found = {match.end(): key for key, pattern in _patterns().items() for match in pattern.finditer(text)}
    return dict(sorted(found.items()))


def unknown_citations(text: str) -> list[str]:
    """What looks like a citation (a year, with the words before it) and has no entry."""
    known = citations(text)
    return [text[max(0, year.start() - 60) : year.end()] for year in re.finditer(_YEAR, text) if year.end() not in known]


def cite(module: str, name: str = "", value: str = "") -> str:
    """` [@lin2017]`: what the docstring of `name` in `medtl.<module>` cites (of a choice, what it says of `value`); empty where nothing.

    >>> cite("imbalance.losses.class_balanced")
    ' [@cui2019]'
    """
    text = docstrings(module).get(name, "")
    return bracketed(citations(choice(text, value) if value else text).values())


def cite_file(room: str, name: str) -> str:
    """As :func:`cite`, of the file of `medtl/<room>` that is called as a method is; empty where there is no such file.

    >>> cite_file("decisions", "prior"), cite_file("decisions", "nothing-of-ours")
    (' [@saerens2002]', '')
    """
    module = f"{room}.{name.replace('-', '_')}"
    return cite(module) if source_of(module).is_file() else ""


def bracketed(keys: Iterable[str]) -> str:
    """` [@lin2017; @cui2019]`, as pandoc reads it; empty for none. Raises KeyError for a key without an entry."""
    unique = list(dict.fromkeys(keys))
    for key in unique:
        entries()[key]
    return f" [{'; '.join(f'@{key}' for key in unique)}]" if unique else ""


def bibliography(text: str) -> str:
    """The entries that a text cites (`@lin2017`), as a .bib file."""
    cited = dict.fromkeys(re.findall(r"@([a-z]+\d{4})\b", text))
    return "\n".join(entries()[key] for key in sorted(cited))
