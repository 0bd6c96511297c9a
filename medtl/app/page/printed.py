"""A batch as pages to print: a row per image, and over every page what it is and for what use. Names are those that the person gave."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, TableStyle

from medtl.app import words
from medtl.app.page.many import Batch, Row
from medtl.card import RESEARCH_ONLY
from medtl.estimates import percent
from medtl.findings import BETWEEN
from medtl.model.format import PackageFile

_FONT = "DejaVuSans"
_MARGIN = 15 * mm
_COLUMNS = (58 * mm, 48 * mm, 22 * mm, 52 * mm)

_ALL = (0, 0), (-1, -1)
_STYLE = [
    ("FONTNAME", (0, 0), (-1, 0), _FONT), ("FONTSIZE", (0, 0), (-1, 0), 8), ("VALIGN", *_ALL, "TOP"),
    ("LINEBELOW", *_ALL, 0.25, colors.grey), ("TOPPADDING", *_ALL, 1.5), ("BOTTOMPADDING", *_ALL, 1.5),
]  # fmt: skip


def printed(batch: Batch) -> bytes:
    """A PDF of all rows, those without an answer in their place."""
    if _FONT not in pdfmetrics.getRegisteredFontNames():  # letters beyond Latin-1, which no built-in font has
        pdfmetrics.registerFont(TTFont(_FONT, Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"))
    style = ParagraphStyle("cell", fontName=_FONT, fontSize=7, leading=9, wordWrap="CJK")
    rows = [
        ["Image", "Answer", "Probability", "Why there is none"],
        *([Paragraph(escape(text), style) for text in _cells(row)] for row in batch.rows),
    ]
    table = LongTable(rows, colWidths=_COLUMNS, repeatRows=1)
    table.setStyle(TableStyle(_STYLE))
    target = io.BytesIO()
    around = partial(_around, package=batch.rows[0].verdict.package, count=len(batch.rows), made=datetime.now(UTC))
    page = SimpleDocTemplate(
        target, pagesize=A4, leftMargin=_MARGIN, rightMargin=_MARGIN, topMargin=32 * mm, bottomMargin=20 * mm, title="medtl"
    )
    page.build([table], onFirstPage=around, onLaterPages=around)
    return target.getvalue()


def _cells(row: Row) -> tuple[str, str, str, str]:
    verdict = row.verdict
    called = [verdict.probabilities[name] for name in verdict.decision.split(BETWEEN) if name in verdict.probabilities]
    share = percent(max(called)) if called and row.answered else ""
    return row.name, words.headline(verdict.package, verdict.decision, verdict.reason), share, verdict.reason.partition(" [")[0]


def _around(canvas: Any, page: Any, package: PackageFile, count: int, made: datetime) -> None:
    """Over and under every page."""
    width, height = A4
    canvas.setFont(_FONT, 12)
    canvas.drawString(_MARGIN, height - 16 * mm, f"Answers of {package.name}: {count:,} images")
    canvas.setFont(_FONT, 8)
    canvas.drawString(_MARGIN, height - 21 * mm, RESEARCH_ONLY + (" SYNTHETIC." if package.synthetic else ""))
    canvas.drawString(_MARGIN, height - 25 * mm, f"Meant for: {words.short_scope(package.scope)}"[:130])
    canvas.drawString(_MARGIN, 12 * mm, f"model {package.fingerprint[:16]} · made {made:%Y-%m-%d %H:%M} UTC")
    canvas.drawRightString(width - _MARGIN, 12 * mm, f"page {page.page}")
