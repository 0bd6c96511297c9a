"""Strict YAML: YAML 1.2's scalars, lines, and refusal of everything that is not plain data."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from medtl.errors import MedtlError, Mistakes
from medtl.experiment.strict_yaml import dump, parse, parse_value


def sentences(text: str) -> list[str]:
    with pytest.raises(Mistakes) as caught:
        parse(text, "c.yaml")
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.5E+2", 150.0),
        (".5", 0.5),
        ("-3", -3),
        ("0x1F", 31),
        ("0o17", 15),
        ("007", "007"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2020-01-31", "2020-01-31"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("~", None),
        ("null", None),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
        ("-.inf", float("-inf")),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    parsed = parse_value(text, "--set x")
    assert parsed == value
    assert type(parsed) is type(value)


def test_every_value_knows_its_line() -> None:
    document = parse("a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n", "c.yaml")
    assert document.data == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert document.lines[("a",)] == 1
    assert document.lines[("b", 0)] == 3
    assert document.lines[("b", 1, "c")] == 4
    assert document.lines[("b", 1, "d")] == 5


def test_keys_are_strings() -> None:
    assert parse("{0: normal, true: x, 1.5: y}", "c.yaml").data == {"0": "normal", "true": "x", "1.5": "y"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3\n", "c.yaml:3: a: given twice (first in line 1); keep one"),
        ("t:\n  a: 1\n  a: 1\n", "c.yaml:3: t.a: given twice (first in line 2); keep one"),
        ("a:\n\tb: 1\n", "c.yaml:2: a tab; YAML is indented with spaces only"),
        ("- a\n- b\n", "c.yaml:1: the file must be a mapping (lines of `key: value`), and is a list"),
        ("hello", "c.yaml:1: the file must be a mapping (lines of `key: value`), and is a single value"),
        ("a: b: c", "c.yaml:1: a ':' where none can stand; check the indentation, or quote the text that holds it"),
        ("a: 1\n---\nb: 1\n", "c.yaml:2: a second document (---); a config is one document"),
        ("x: 1\na: &k [1]\n", "c.yaml:2: an anchor or alias (&name, *name); these are not allowed, write the value out"),
        ("x: 1\na: *k\n", "c.yaml:2: an anchor or alias (&name, *name); these are not allowed, write the value out"),
        ("a: !!python/name:os.system", "c.yaml:1: the tag 'python/name:os.system'; a config holds plain values only and runs nothing"),
        ("a: !mine {b: 1}", "c.yaml:1: the tag '!mine'; a config holds plain values only and runs nothing"),
        ("? [a, b]\n: 1\n", "c.yaml:1: a key must be a word"),
        ("a: !!int ten", "c.yaml:1: 'ten' is no number"),
        ("a: '\x01'", "c.yaml: special characters are not allowed"),
    ],
)
def test_each_mistake_has_its_sentence(text: str, sentence: str) -> None:
    assert sentences(text) == [sentence]


def test_repeated_keys_are_all_listed() -> None:
    assert len(sentences("a: 1\na: 2\nb: {c: 1, c: 2}\n")) == 2


def test_python_tags_run_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    attacks = [
        f"a: !!python/object/apply:os.system ['touch {trace}']",
        f"a: !!python/object/new:os.system ['touch {trace}']",
        f"!!python/object/apply:subprocess.check_call [['touch', '{trace}']]",
        f"a: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path ['{trace}']]",
        "a: !!python/module:antigravity",
    ]
    for attack in attacks:
        assert "runs nothing" in "".join(sentences(attack))
    assert not trace.exists()


def test_billion_laughs_are_refused_before_they_swell() -> None:
    lines = ["a0: &a0 [ha]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "anchor or alias" in "".join(sentences("\n".join(lines)))


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "[" * 40 + "]" * 40, "\n".join(" " * n + "a:" for n in range(200))])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested too deeply; allowed: 30 levels" in sentences(text)[0]


def test_a_large_file_is_refused() -> None:
    with pytest.raises(MedtlError, match=r"c\.yaml: 1,000,004 characters; a config has at most 1,000,000"):
        parse("a: '" + "x" * 1_000_000, "c.yaml")


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert parse("# nothing\n", "c.yaml").data == {}


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc.:-# ", min_size=1), inner, max_size=4)
)


@given(st.dictionaries(st.text("abn0~", min_size=1, max_size=3), TREES, max_size=5))
def test_what_is_dumped_is_read_back(data: dict[str, object]) -> None:
    assert parse(dump(data), "c.yaml").data == data


@given(st.dictionaries(st.text("abn", min_size=1, max_size=3), SCALARS, max_size=5))
def test_other_yaml_programs_read_the_same_scalars(data: dict[str, object]) -> None:
    read = yaml.safe_load(dump(data))
    assert {str(key): value for key, value in read.items() if isinstance(value, str)} == {
        key: value for key, value in data.items() if isinstance(value, str)
    }


@given(st.text())
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        assert isinstance(parse(text, "c.yaml").data, dict)
    except MedtlError as refusal:
        assert str(refusal).startswith("c.yaml")  # noqa: PT017 - either outcome is right
