"""The audit's page: what was found is shown, what comes from files and tables is escaped, nothing is loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from medtl.audit import page
from medtl.audit.findings import Finding
from medtl.audit.kept import Audit
from medtl.document.picture import Picture

EVIL = "<script>alert(1)</script>.png"
PICTURES = {("a.png", 0): Picture(b"jpeg of a", "PNG"), (EVIL, 0): Picture(None, "cut off [DECODE_FAILED]")}
PAIR = Finding(
    code="SAME_PIXELS_ACROSS_SPLITS",
    severity="grave",
    title="1 pair is the same picture",
    advice="Tie them together.",
    table=pd.DataFrame({"image": ["a.png", EVIL] * 20, "frame": 0, "distance": [0.12345, 3.0] * 20, "why": ""}),
    pairs=[(("a.png", 0), (EVIL, 0))],
)
NOTE = Finding(code="PREVALENCE", severity="note", title="3 labelled images", table=pd.DataFrame({"class": ["no"], "images": [12000]}))


class Reader(HTMLParser):
    """Texts, tags and addresses of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture
def records() -> pd.DataFrame:
    rows = pd.DataFrame({"image": ["a.png", EVIL, "c.png"], "frame": 0, "label": ["no", "yes", ""], "split": ["train", "test", "excluded"]})
    return rows.assign(sha256="", patient_id="", group_id=["1", "2", "3"], group_kind="image", domain="here", fold="")


def audit(*findings: Finding, domain: str = "here") -> Audit:
    return Audit("made", {"images": 3, "groups": 2, "train": 1, "test": 1}, ["no", "yes"], [domain], ["Without <features>."], findings)


def written(done: Audit, records: pd.DataFrame, folder: Path, settings: Sequence[str] = ()) -> Reader:
    return Reader(page.write_page(done, records, PICTURES, settings, folder).read_text())


def test_the_page_shows_pairs_with_pictures_captions_and_evidence(records: pd.DataFrame, tmp_path: Path) -> None:
    shown = written(audit(PAIR, NOTE), records, tmp_path, ["split.groups=audits/groups.csv"])
    text = " ".join(shown.texts)
    assert shown.tags.count("img") == 1
    assert "no picture: cut off [DECODE_FAILED]" in text
    assert "no · train" in text
    assert "yes · test" in text
    assert "--set split.groups=audits/groups.csv" in text
    assert "28 more rows in audit/01-same-pixels-across-splits.csv" in text
    assert "0.123" in text
    assert "12,000" in text
    assert "Without <features>." in text


def test_what_says_nothing_is_no_column(records: pd.DataFrame, tmp_path: Path) -> None:
    headers = page.write_page(audit(PAIR), records, PICTURES, [], tmp_path).read_text()
    assert "<th>distance</th>" in headers
    assert "<th>frame</th>" not in headers
    assert "<th>why</th>" not in headers


def test_names_are_escaped_and_nothing_is_loaded(records: pd.DataFrame, tmp_path: Path) -> None:
    shown = written(audit(PAIR, NOTE), records, tmp_path)
    assert "script" not in shown.tags
    assert all(address.startswith(("#finding-", "data:image/jpeg;base64,")) for address in shown.addresses)


def test_an_audit_without_findings_says_so_and_made_images_are_called_made(records: pd.DataFrame, tmp_path: Path) -> None:
    text = " ".join(written(audit(domain="synthetic-a"), records, tmp_path).texts)
    assert "None of the checks found anything." in text
    assert "SYNTHETIC IMAGES" in text
    assert "The remedy" not in text


def test_equal_audits_are_equal_pages(records: pd.DataFrame, tmp_path: Path) -> None:
    first = page.write_page(audit(PAIR, NOTE), records, PICTURES, [], tmp_path / "1").read_bytes()
    assert first == page.write_page(audit(PAIR, NOTE), records, PICTURES, [], tmp_path / "2").read_bytes()


def test_the_section_shows_what_matters_and_names_the_rest(records: pd.DataFrame) -> None:
    html = page.section(audit(PAIR, NOTE), records, PICTURES)
    assert "1 grave, 1 to know" in " ".join(Reader(html).texts).casefold()
    assert html.count("<img") == 1
    assert "3 labelled images" in html
    assert "12,000" not in html


def test_pictures_are_asked_for_once_and_for_what_is_shown() -> None:
    many = Finding(code="BLANK", severity="notable", title="", images=[(f"{n}.png", 0) for n in range(50)], pairs=PAIR.pairs)
    note = Finding(code="OLD", severity="note", title="", images=[("note.png", 0)])
    assert page.shown_images([PAIR, many, note], page.PAGE)[:2] == [("a.png", 0), (EVIL, 0)]
    assert len(page.shown_images([PAIR, many, note], page.PAGE)) == 2 + page.PAGE.images + 1
    assert ("note.png", 0) not in page.shown_images([PAIR, many, note], page.SECTION)
