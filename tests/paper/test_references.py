"""Whatever a docstring cites has its entry, and only what was used is cited."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import medtl
from medtl.paper import references
from medtl.paper.docstrings import choice, docstrings
from medtl.paper.references import bibliography, bracketed, citations, cite, entries, unknown_citations
from medtl.registry import names

ROOT = Path(medtl.__file__).parent
ROOMS = (
    "imbalance",
    "transfer",
    "module",
    "training/soup",
    "decisions",
    "evaluation",
    "audit",
    "explanation",
    "comparison",
    "imaging/measuring",
)
"""What a training and its judgement pass through."""


def modules(room: str) -> list[str]:
    place = ROOT / room
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]


@pytest.mark.parametrize("room", ROOMS)
def test_every_citation_in_a_docstring_has_an_entry(room: str) -> None:
    lacking = {
        f"{module}:{name}": found
        for module in modules(room)
        for name, text in docstrings(module).items()
        if (found := unknown_citations(text))
    }
    assert lacking == {}, f"add them to medtl/paper/{references.FILE}, with the key surname + year"


def test_a_citation_without_entry_is_seen() -> None:
    assert unknown_citations("As Nobody et al. (Journal 2019) say, and Lin et al., ICCV 2017.") == ["As Nobody et al. (Journal 2019"]


def test_every_loss_sampler_and_rule_that_cites_is_cited() -> None:
    assert {name: cite(f"imbalance.losses.{name.replace('-', '_')}") for name in names("imbalance.losses")} == {
        "asymmetric": " [@ridnik2021]",
        "balanced-softmax": " [@ren2020]",
        "class-balanced": " [@cui2019]",
        "cross-entropy": " [@szegedy2016]",
        "focal": " [@lin2017; @charoenphakdee2021]",
        "ldam": " [@cao2019]",
        "logit-adjusted": " [@menon2021]",
        "weighted": " [@king2001]",
    }
    assert cite("imbalance.samplers.natural") == ""
    assert cite("decisions.rules.youden") == " [@youden1950]"


def test_of_a_choice_only_its_own_part_is_cited() -> None:
    assert cite("transfer", "strategy", "lp-ft") == " [@kumar2022]"
    assert cite("transfer", "strategy", "gradual") == " [@howard2018]"
    assert cite("transfer", "strategy", "full") == ""
    assert choice("`a`: one. `b`: two.", "c") == ""


def test_the_nearest_year_is_the_citations() -> None:
    text = "Obuchowski (Biometrics 1997); later Obuchowski (Statistics in Medicine 1998), as DeLong et al. (1988)"
    assert list(citations(text).values()) == ["obuchowski1997", "obuchowski1998", "delong1988"]
    assert list(citations("Guo et al., 2016; Platt, 1999").values()) == ["platt1999"]


def test_entries_are_whole_and_keyed_by_author_and_year() -> None:
    assert len(entries()) == (ROOT / "paper" / references.FILE).read_text(encoding="utf-8").count("\n@")
    for key, entry in entries().items():
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, flags=re.MULTILINE))
        surname = re.sub(r"[^a-z]", "", fields["author"].split(",")[0].lower())
        assert key == surname + fields["year"]
        assert fields["title"]
        assert {"journal", "booktitle", "publisher", "howpublished", "school"} & set(fields), key
        assert entry.count("{") == entry.count("}"), key


def test_the_bibliography_holds_what_is_cited_and_nothing_else() -> None:
    text = bibliography("x [@lin2017; @cui2019] and again [@lin2017]")
    assert re.findall(r"^@\w+\{(\w+),", text, flags=re.MULTILINE) == ["cui2019", "lin2017"]
    with pytest.raises(KeyError):
        bracketed(["nobody1900"])
