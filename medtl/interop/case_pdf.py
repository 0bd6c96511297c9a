"""One answer as one printed page (A4): image, saliency, headline, probabilities with the operating point, the model's own figures, receipt.

No name of a patient and no name of a file stands on it: a line is left free for the ward's own reference.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Image, KeepInFrame, Paragraph, Spacer, Table, TableStyle

from medtl.card import RESEARCH_ONLY, SYNTHETIC_MODEL
from medtl.estimates import interval, number, percent
from medtl.evaluation.table import plural
from medtl.interop.case import SALIENCY, Case
from medtl.interop.overlay_picture import font_file, over
from medtl.predictions import NO_ANSWER

MARGIN = 16 * mm
WIDTH = A4[0] - 2 * MARGIN
HEIGHT = A4[1] - 2 * MARGIN
PICTURE = 92 * mm
MOST_BARS = 10
_FONT, _BOLD = "DejaVuSans", "DejaVuSans-Bold"
_INK, _GREY, _BLUE, _RED = colors.HexColor("#1a202c"), colors.HexColor("#64748b"), colors.HexColor("#1d4ed8"), colors.HexColor("#b91c1c")
_SPLITS = ("test", "external", "validation")
_FIGURES = {"precision": "Precision", "recall": "Recall", "f1": "F1"}


def pdf(case: Case) -> bytes:
    """The page. Whatever does not fit is made smaller, never left out."""
    _fonts()
    written = io.BytesIO()
    canvas = Canvas(written, pagesize=A4)
    canvas.setTitle(f"Answer of {case.package.name}")
    canvas.setAuthor("medtl")
    canvas.setSubject(RESEARCH_ONLY)
    _footer(canvas, case)
    room = HEIGHT - 16 * mm
    body = KeepInFrame(WIDTH, room, list(_body(case)), mode="shrink")
    _, height = body.wrapOn(canvas, WIDTH, room)
    body.drawOn(canvas, MARGIN, A4[1] - MARGIN - height)
    canvas.showPage()
    canvas.save()
    return written.getvalue()


def _body(case: Case) -> Iterator[Flowable]:
    package = case.package
    yield _banner(RESEARCH_ONLY)
    if package.synthetic:
        yield _banner(SYNTHETIC_MODEL)
    yield _text(f"Answer of {escape(package.name)} · {case.answered:%Y-%m-%d %H:%M %Z}", 8, _GREY)
    yield _text(escape(case.headline), 18, _INK, bold=True)
    yield _text(escape(case.because), 9)
    yield Spacer(0, 2 * mm)
    yield _pictures(case)
    yield Spacer(0, 2 * mm)
    if case.decision != NO_ANSWER:
        yield _bars(case)
        for sentence in (*case.worth, case.operating_point):
            if sentence:
                yield _text(escape(sentence), 7.5, _GREY)
    for sentence in case.notes:
        yield _text(escape(sentence), 8, _RED)
    yield from _figures(case)
    for title, words in (("Meant for", case.scope), ("Read as", case.read_as)):
        if words:
            yield _text(f"<b>{title}:</b> {escape(words)}", 8)
    yield _text(f"<b>Image:</b> SHA-256 {case.sha256}" + (f", {case.number} of {case.count}" if case.count > 1 else ""), 7)
    yield _text("<b>Case reference (by hand):</b> ______________________________", 8)


def _pictures(case: Case) -> Table:
    """The image, and beside it its saliency where there is an answer."""
    shown = case.shown[:1]
    pictures = [(case.picture, "The image, upright")]
    pictures += [(over(case, name), f"{SALIENCY} (for: {name})") for name in shown]
    cells = [[_picture(each) for each, _ in pictures], [_text(escape(caption), 7, _GREY) for _, caption in pictures]]
    table = Table(cells, colWidths=[WIDTH / 2] * len(pictures), hAlign="LEFT")
    table.setStyle(
        TableStyle([("LEFTPADDING", (0, 0), (-1, -1), 0), ("VALIGN", (0, 0), (-1, 0), "BOTTOM"), ("TOPPADDING", (0, 0), (-1, -1), 1)])
    )
    return table


def _picture(pixels: NDArray[np.uint8]) -> Image:
    held = io.BytesIO()
    Pillow.fromarray(pixels).save(held, "PNG")
    height, width = pixels.shape[:2]
    scale = min((WIDTH / 2 - 4 * mm) / width, PICTURE / height)
    return Image(held, width * scale, height * scale, hAlign="LEFT")


def _bars(case: Case) -> Drawing:
    """A bar per class, the threshold as a line through it; of many classes the likeliest."""
    order = list(case.probabilities)
    if len(case.thresholds) != 1:
        order.sort(key=lambda name: -case.probabilities[name])
    rows, step, left, track = order[:MOST_BARS], 15, 52 * mm, WIDTH - 93 * mm
    drawn = Drawing(WIDTH, step * len(rows) + 4)
    for row, name in enumerate(rows):
        share, base = case.probabilities[name], step * (len(rows) - row - 1) + 4
        chosen = name in case.called
        drawn.add(String(0, base + 1, _shortened(name, 30), fontName=_BOLD if chosen else _FONT, fontSize=8, fillColor=_INK))
        drawn.add(Rect(left, base, track, 8, fillColor=colors.HexColor("#e2e8f0"), strokeColor=None))
        if math.isfinite(share):
            drawn.add(Rect(left, base, track * share, 8, fillColor=_BLUE if chosen else _GREY, strokeColor=None))
            drawn.add(String(left + track + 6, base + 1, percent(share), fontName=_FONT, fontSize=8, fillColor=_INK))
        if name in case.thresholds:
            cut = case.thresholds[name]
            drawn.add(Line(left + track * cut, base - 3, left + track * cut, base + 11, strokeColor=_RED, strokeWidth=1.4))
            drawn.add(String(left + track + 44, base + 1, f"threshold {percent(cut)}", fontName=_FONT, fontSize=7, fillColor=_RED))
    return drawn


def _figures(case: Case) -> Iterator[Flowable]:
    """Precision, recall and F1 of every class on the images that weigh most."""
    splits: Mapping[str, Any] = (case.metrics or {}).get("splits", {})
    split = next((each for each in _SPLITS if each in splits), None)
    yield Spacer(0, 2 * mm)
    if split is None:
        yield _text("This model was not judged on any images yet.", 8, _RED)
        return
    entry, unit = splits[split], str((case.metrics or {}).get("unit", "image"))
    groups = f" of {entry['groups']:,} {plural(unit)}" if unit != "image" else ""
    chose = " These images also chose the threshold, so the figures flatter." if split == "validation" else ""
    yield _text(f"<b>How good this model was on {split}: {entry['n']:,} images{escape(groups)}</b>", 9)
    yield _text(f"95 % intervals by {escape(unit)}. Precision holds at the prevalence beside it only.{chose}", 7, _GREY)
    head = ["Class", *_FIGURES.values(), "Images", "Prevalence"]
    rows = [[_text(escape(name), 7.5), *_cells(each)] for name, each in entry.get("per_class", {}).items()]
    table = Table([[_text(f"<b>{title}</b>", 7.5) for title in head], *rows], colWidths=[None, *[29 * mm] * 3, 16 * mm, 20 * mm])
    table.setStyle(TableStyle([("LINEBELOW", (0, 0), (-1, -1), 0.3, _GREY), ("TOPPADDING", (0, 0), (-1, -1), 1),
                               ("BOTTOMPADDING", (0, 0), (-1, -1), 2), ("LEFTPADDING", (0, 0), (-1, -1), 2)]))  # fmt: skip
    yield table
    yield Spacer(0, 2 * mm)


def _cells(figures: Mapping[str, Any]) -> list[Paragraph]:
    cells = []
    for key in _FIGURES:
        figure = figures.get(key) or {}
        if figure.get("value") is None:
            cells.append(_text(f"n/a ({escape(str(figure.get('reason') or 'not measured'))})", 6.5))
        else:
            beside = interval(figure) or str(figure.get("reason") or "")
            cells.append(_text(f"{number(figure['value'])} <font size=6>({escape(beside)})</font>", 7.5))
    support, prevalence = figures.get("support"), (figures.get("prevalence") or {}).get("value")
    counted = f"{support:,}" if isinstance(support, int) else "?"
    return [*cells, _text(counted, 7.5), _text(percent(prevalence) if prevalence is not None else "n/a", 7.5)]


def _footer(canvas: Canvas, case: Case) -> None:
    package = case.package
    canvas.setFillColor(_GREY)
    canvas.setFont(_FONT, 6.5)
    canvas.drawString(MARGIN, MARGIN + 3, f"{RESEARCH_ONLY}")
    canvas.drawString(MARGIN, MARGIN - 6, f"medtl {package.medtl} · made {package.created[:10]} · fingerprint {package.fingerprint}")


def _banner(sentence: str) -> Table:
    table = Table([[_text(f"<b>{escape(sentence)}</b>", 8.5, colors.white)]], colWidths=[WIDTH])
    table.setStyle(TableStyle([("BACKGROUND", (0, 0), (-1, -1), _RED), ("TOPPADDING", (0, 0), (-1, -1), 2)]))
    return table


def _text(markup: str, size: float, colour: Any = _INK, bold: bool = False) -> Paragraph:
    """`markup`: everything from outside escaped."""
    return Paragraph(
        markup, ParagraphStyle("text", fontName=_BOLD if bold else _FONT, fontSize=size, leading=1.25 * size, textColor=colour)
    )


def _shortened(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _fonts() -> None:
    """DejaVu Sans: reportlab's own fonts have no letters beyond Latin-1."""
    if _FONT not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont(_FONT, font_file()))
        pdfmetrics.registerFont(TTFont(_BOLD, font_file(bold=True)))
        pdfmetrics.registerFontFamily(_FONT, normal=_FONT, bold=_BOLD, italic=_FONT, boldItalic=_BOLD)
