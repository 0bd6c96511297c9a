"""The commands by which models are used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medtl.cli.options import prevalence_of
from medtl.cli.outcome import answers


@answers
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run's folder.")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Images, folders or zip files.")],
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="The table of predictions to write.")],
    prevalence: Annotated[
        list[str] | None,
        typer.Option(metavar="SHARE", help="Give probabilities for this prevalence: 0.05, or FINDING=0.05. Decisions stay."),
    ] = None,
) -> None:
    """Answer for images, folders and zip files.

    One row per image, with the reason where an image cannot be read."""
    from medtl.flows.predict import predict

    predict(model, paths, out, prevalence_of(prevalence))


@answers
def case(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run's folder.")],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="One image file.")],
    pdf: Annotated[Path | None, typer.Option(metavar="FILE.pdf", help="The answer as one printed page.")] = None,
    dicom: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The answer as DICOM objects of the image's study (report, saliency).")
    ] = None,
    number: Annotated[int | None, typer.Option(metavar="N", min=1, help="Which image, from 1; needed where there are several.")] = None,
) -> None:
    """Answer for one image, as a page or as DICOM objects.

    A PDF without the patient's name; a DICOM Structured Report (TID 1500) and a Secondary Capture of the saliency. Research use only."""
    from medtl.app.documents import write_case

    write_case(model, image, pdf, dicom, number)


@answers
def export(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run's folder.")],
    to: Annotated[str, typer.Option(metavar="FORMAT", help="onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The file to write; else NAME.onnx here.")] = None,
    check: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Images to compare both on, besides made ones. May be repeated.")
    ] = None,
) -> None:
    """Write a model in another format, and measure its parity.

    Every network, their mean and the calibration in one graph; exit code 3, and no file, where it does not give what the package gives."""
    from medtl.flows.export import export

    export(model, to, out, check or ())


@answers
def serve(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL...", help="Model packages or run folders to choose from on the page.")],
    port: Annotated[int | None, typer.Option(metavar="PORT", help="Else the first free one from 7860 on.", min=1, max=65535)] = None,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Where to listen; another than this machine only with --users and https.")
    ] = "127.0.0.1",
    browser: Annotated[bool, typer.Option(help="Show the page, where there is a screen.")] = True,
    users: Annotated[Path | None, typer.Option(metavar="FILE", help="Who may log in (medtl users).")] = None,
    certificate: Annotated[Path | None, typer.Option(metavar="PEM", help="With --key: speak https.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="PEM", help="The certificate's private key.")] = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="What computes: torch, or onnxruntime (faster without a GPU).")] = "torch",
    behind_proxy: Annotated[
        str | None, typer.Option(metavar="URL", help="The https address under which a reverse proxy shows the page.")
    ] = None,
    examples: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Images that the page offers to try (at most six).")] = None,
    reading_first: Annotated[
        bool, typer.Option("--reading-first", help="People read every image before the model's answer is shown (reader studies).")
    ] = False,
    study: Annotated[Path | None, typer.Option(metavar="FOLDER", help="With --reading-first: store the readings here.")] = None,
    feedback: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Let people say whether an answer was right; stored here.")
    ] = None,
) -> None:
    """Open a page that answers for one image at a time.

    Picture, probability, decision, saliency, and what is known of the model. Uploads are deleted with the answer."""
    from medtl.app.serve import serve

    serve(models, port, browser, host, users, certificate, key, behind_proxy, engine, examples, reading_first, study, feedback)


@answers
def users(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file of names and hashed passwords.")],
    add: Annotated[
        str | None, typer.Option(metavar="NAME", help="Add somebody, or set another password; it is asked for, or read from a pipe.")
    ] = None,
    remove: Annotated[str | None, typer.Option(metavar="NAME", help="Take somebody out; an open page ends their sessions.")] = None,
) -> None:
    """Say who may log in to the page.

    Passwords are hashed with scrypt; the file is readable by you alone. Without an option: the names in it."""
    from medtl.app.door.passwords import change

    change(file, add, remove)
