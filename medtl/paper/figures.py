"""The figures of the kit: SVG for the web and for changes by hand, TIFF of 300 dots per inch for print."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from medtl.files import write_atomically
from medtl.paper.flow import flow_figure
from medtl.report.contents import Contents
from medtl.report.figures import learning, style
from medtl.report.judged import judged_splits
from medtl.report.page import plots_of
from medtl.report.training import trainings

FOLDER = "figures"
DPI = 300


def figures(contents: Contents) -> Iterator[tuple[str, str, style.Plot]]:
    """File name without ending, caption, figure."""
    yield "flow", "Flow of images", flow_figure(contents)
    for split in judged_splits(contents.metrics):
        for label, plot in plots_of(contents, split).items():
            yield f"{split}_{label.lower().replace(' ', '_')}", f"{label} ({split})", plot
    logs = trainings(contents)
    if logs:
        yield "curves", "Training loss and validation score by epoch", learning.curves(logs)


@style.in_style
def write_figure(plot: style.Plot, name: str, folder: Path) -> None:
    """`figures/<name>.svg` (text as text) and `figures/<name>.tiff` (RGB, LZW, 300 dpi, at the size it is meant to be printed)."""
    metadata = {"Date": None, "Creator": None}
    write_atomically(folder / FOLDER / f"{name}.svg", lambda path: plot.savefig(path, format="svg", metadata=metadata))
    buffer = io.BytesIO()
    plot.savefig(buffer, format="png", dpi=DPI, facecolor="white")
    picture = Image.open(buffer).convert("RGB")
    write_atomically(
        folder / FOLDER / f"{name}.tiff", lambda path: picture.save(path, format="TIFF", compression="tiff_lzw", dpi=(DPI, DPI))
    )
