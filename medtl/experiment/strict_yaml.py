"""YAML as people read it: the core schema of YAML 1.2, no repeated keys, nothing executable, and the line of every value.

Over PyYAML's parser. Only `true` and `false` are booleans (`no` and `on` are strings), `1e-3` is a number, dates stay strings, numbers
with leading zeros stay strings (they are ids), keys are always strings. Tags, anchors and aliases are refused: a config needs none, and
they are how YAML files run code or swell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from medtl.errors import MedtlError, Mistakes

Path = tuple[str | int, ...]
LARGEST = 1_000_000
"""Characters; a config is a page, so a larger file is another kind of file."""
DEEPEST = 30

_CORE = "tag:yaml.org,2002:"
_SCALARS = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
)


@dataclass(frozen=True)
class Document:
    """Plain data (dict, list, str, int, float, bool, None) and the line, from 1, where each path in it begins."""

    data: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)


class StrictLoader(yaml.SafeLoader):
    """PyYAML's parser with YAML 1.2's scalars; used to compose nodes only, never to construct objects."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.composer.ComposerError(None, None, "an alias", event.start_mark)
        return super().compose_node(parent, index)


class StrictDumper(yaml.SafeDumper):
    """Writes plain only what both YAML 1.1 and 1.2 read back as the same value (so `no` is quoted)."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        # PyYAML's own choice of quotes loses some line breaks (U+0085)
        return self.represent_scalar(f"{_CORE}str", data, style=None if data.isprintable() else '"')


StrictDumper.add_representer(str, StrictDumper.represent_str)


def _resolvers() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """First character of a plain scalar → the types it may be of, as PyYAML keeps them."""
    table: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for name, pattern, first in _SCALARS:
        for character in ["", *first] if name == "null" else first:
            table.setdefault(character, []).append((_CORE + name, re.compile(rf"^(?:{pattern})$")))
    return table


StrictLoader.yaml_implicit_resolvers = _resolvers()
StrictDumper.yaml_implicit_resolvers = {
    character: _resolvers().get(character, []) + list(yaml.SafeDumper.yaml_implicit_resolvers.get(character, []))
    for character in {*_resolvers(), *yaml.SafeDumper.yaml_implicit_resolvers}
}


def parse(text: str, where: str) -> Document:
    """The mapping that `text` holds. `where` (a file name) begins every mistake. Raises :class:`Mistakes`."""
    if len(text) > LARGEST:
        raise MedtlError(f"{where}: {len(text):,} characters; a config has at most {LARGEST:,}")
    reader = _Reader(where)
    node = _compose(text, where)
    data = reader.value(node, ()) if node is not None else {}
    if not reader.mistakes and not isinstance(data, dict):
        reader.complain(
            node, "the file must be a mapping (lines of `key: value`), and is a " + ("list" if isinstance(data, list) else "single value")
        )
    if reader.mistakes:
        raise Mistakes(f"{where} is no readable config:", reader.mistakes)
    return Document(data, reader.lines)


def parse_value(text: str, where: str) -> Any:
    """One value, as it may stand behind a key: a scalar, `[a, b]` or `{a: 1}`. Raises :class:`Mistakes`."""
    reader = _Reader(where, numbered=False)
    node = _compose(text, where, numbered=False)
    value = reader.value(node, ()) if node is not None else None
    if reader.mistakes:
        raise Mistakes(f"{where} is no readable value:", reader.mistakes)
    return value


def dump(data: Any) -> str:
    """YAML that :func:`parse` reads back as the same data: mappings in their order, short lists on one line."""
    return yaml.dump(data, Dumper=StrictDumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)


def _compose(text: str, where: str, numbered: bool = True) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark and numbered else where
        raise Mistakes(f"{where} is no readable config:", [f"{place}: {_explained(error, text)}"]) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", "it is no YAML text")
        raise Mistakes(f"{where} is no readable config:", [f"{where}: {reason}"]) from None
    except RecursionError:
        raise Mistakes(f"{where} is no readable config:", [f"{where}: nested too deeply; allowed: {DEEPEST} levels"]) from None


def _explained(error: yaml.MarkedYAMLError, text: str) -> str:
    """PyYAML's complaint, and for the usual slips what to do."""
    problem = error.problem or "cannot be read"
    line = text.splitlines()[error.problem_mark.line] if error.problem_mark and error.problem_mark.line < len(text.splitlines()) else ""
    if "\t" in problem or "\t" in line[: len(line) - len(line.lstrip())]:
        return "a tab; YAML is indented with spaces only"
    if "alias" in problem:
        return "an anchor or alias (&name, *name); these are not allowed, write the value out"
    if "single document" in str(error.context):
        return "a second document (---); a config is one document"
    if "mapping values are not allowed" in problem:
        return "a ':' where none can stand; check the indentation, or quote the text that holds it"
    if "found character" in problem and "cannot start" in problem:
        return f"{problem}; quote the text that begins with it"
    return problem


class _Reader:
    """Turns nodes into plain data, keeping lines and collecting mistakes."""

    def __init__(self, where: str, numbered: bool = True):
        self.where = where
        self.numbered = numbered
        self.lines: dict[Path, int] = {}
        self.mistakes: list[str] = []

    def complain(self, node: yaml.Node | None, sentence: str) -> None:
        line = node.start_mark.line + 1 if node is not None else 1
        self.mistakes.append(f"{self.where}:{line}: {sentence}" if self.numbered else f"{self.where}: {sentence}")

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if len(path) > DEEPEST:
            return self.complain(node, f"nested too deeply; allowed: {DEEPEST} levels")
        kind = node.tag.removeprefix(_CORE)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self.value(item, (*path, position)) for position, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and kind in ("null", "bool", "int", "float", "str"):
            return self._scalar(node, kind)
        return self.complain(node, f"the tag '{kind if node.tag != kind else node.tag}'; a config holds plain values only and runs nothing")

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                self.complain(key_node, "a key must be a word")
                continue
            key = key_node.value
            line = key_node.start_mark.line + 1
            if key in result:
                before = f" (first in line {self.lines[(*path, key)]})" if self.numbered else ""
                self.complain(key_node, f"{'.'.join(map(str, (*path, key)))}: given twice{before}; keep one")
                continue
            self.lines[(*path, key)] = line
            result[key] = self.value(value_node, (*path, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, kind: str) -> Any:
        text: str = node.value
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return text.lower() == "true"
            if kind == "int":
                return int(text, 0)
            if kind == "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:  # an explicit `!!int ten`, or more digits than Python converts
            return self.complain(node, f"'{text[:40]}' is no number")
        return text
