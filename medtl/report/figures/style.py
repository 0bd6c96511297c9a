"""How every plot looks: small, quiet, told apart without colour vision, text as text."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, VERMILLION, INK, GREY, PALE = "#0072b2", "#d55e00", "#1f2933", "#7b8794", "#cbd2d9"
COLOURS = (BLUE, VERMILLION, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#52606d")
"""Okabe and Ito's (Color Universal Design, 2008), without yellow, which white paper swallows."""
LINES = ("-", "--", "-.", ":")
"""From the eighth class on the colours come again, with another line."""

in_style = matplotlib.rc_context(
    {
        "font.family": "sans-serif",
        "font.size": 8,
        "axes.titlesize": 8.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.edgecolor": GREY,
        "axes.linewidth": 0.6,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.color": GREY,
        "ytick.labelcolor": INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "text.color": INK,
        "text.parse_math": False,  # class names come from a config: a dollar sign is a dollar sign
        "legend.frameon": False,
        "legend.fontsize": 7.5,
        "legend.handlelength": 1.4,
        "lines.linewidth": 1.4,
        "svg.fonttype": "none",
        "svg.hashsalt": "medtl",  # or ids differ from run to run
    }
)
"""Decorator: what is drawn inside has this style; nothing outside does."""

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


class Plot(Figure):
    """A matplotlib Figure that a notebook shows by itself, without pyplot."""

    def _repr_svg_(self) -> str:
        return svg(self, "plot")


def new(width: float, height: float) -> Plot:
    """An empty figure of so many inches."""
    return Plot(figsize=(width, height), layout="constrained")


def unit_square(axes: Axes, x: str, y: str) -> None:
    """Both axes are shares from 0 to 1."""
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y, aspect="equal")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.grid(color=PALE, linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)


def line_of(index: int) -> dict[str, Any]:
    """Colour and dash of the class at `index`."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index // len(COLOURS) % len(LINES)]}


def short(name: str, most: int = 26) -> str:
    """A class name that leaves room for the plot."""
    return name if len(name) <= most else name[: most - 1] + "…"


@in_style
def svg(figure: Figure, name: str) -> str:
    """The figure as an `<svg>` element to stand inside a page: text as text, the same bytes every time.

    `name` goes before every id, so that several figures can share one page.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(buffer.getvalue())
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag.endswith(("}metadata", "}style"))]:
            parent.remove(child)  # the style sheet would be the whole page's
        for key, value in list(parent.attrib.items()):
            parent.attrib[key] = _local(key, value, name)
    del root.attrib["width"], root.attrib["height"]  # the view box stays: it fills the place that the page gives it
    return ElementTree.tostring(root, encoding="unicode")


def _local(key: str, value: str, name: str) -> str:
    """An attribute with its id, or its reference to one, made the figure's own."""
    if key == "id":
        return f"{name}-{value}"
    if key.endswith("href") and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    return value.replace("url(#", f"url(#{name}-")
