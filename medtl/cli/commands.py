"""The commands: options in, one flow called, its result said in a few lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from medtl.cli.outcome import answers
from medtl.errors import MedtlError

app = typer.Typer(
    help="From a hospital's images and labels to a classifier that can be believed.\n\n"
    "First steps: medtl init FOLDER, medtl check CONFIG, medtl train CONFIG, medtl evaluate RUN.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: it prints in a tenth of the time
    pretty_exceptions_enable=False,  # local variables, which may hold data, stay out of the terminal
    context_settings={"help_option_names": ["-h", "--help"]},
)

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="The experiment's config file (.yaml).")]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="The data root that relative paths start from; else the config's folder.")]
Weights = Annotated[Path | None, typer.Option(metavar="FILE", help="Pretrained weights in place of `backbone.weights`.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting: --set transfer.epochs=3. May be repeated.")
]


Column = Annotated[
    list[str] | None, typer.Option("--column", metavar="NAME=COLUMN", help="What a column is called there: --column label=dx.")
]
Map = Annotated[list[str] | None, typer.Option("--map", metavar="LABEL=CLASS", help="What a label means here: --map PNA=pneumonia.")]


@app.command()
@answers
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the images are.")],
    table: Annotated[Path | None, typer.Option(metavar="TABLE", help="The table of labels (.csv, .parquet, .xlsx).")] = None,
    out: Annotated[Path | None, typer.Option(metavar="CONFIG", help="The config file to write.")] = None,
) -> None:
    """Write a first, commented config for a folder of images.

    Reads file headers and the table of labels, and proposes columns by how many images they match."""
    from medtl.flows.init import init

    init(folder, table, out)


@app.command()
@answers
def check(
    config: Config,
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="PNG", help="Write the first training batch here, as a picture.")] = None,
    rates: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Try learning rates from far too small to far too large, and draw the loss here.")
    ] = None,
) -> None:
    """Show what training would do, without training.

    Settings, images per class and split, device, expected minutes and GB, and the first batch."""
    _refuse_mistakes_early(config, set_)
    from medtl.flows.check import check

    print(check(config, data, weights, set_ or (), out, rates))


@app.command()
@answers
def audit(
    target: Annotated[Path, typer.Argument(metavar="CONFIG_OR_MANIFEST", help="A config (.yaml), or a table with `image` and `label`.")],
    data: Data = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pretrained weights for the features that images are compared by.")
    ] = None,
    set_: Set = None,
    column: Column = None,
    map_: Map = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A further column of a manifest to look at: --keep ward.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the page goes; else audits/<name>/<time>.")] = None,
) -> None:
    """Look for what makes results unbelievable, before training.

    Leaks, duplicates, shortcuts, confounders, wrong labels, broken images: a page, audit.json, and tables that mend the split."""
    from medtl.flows.audit import CONFIGS, audit

    if target.suffix.lower() in CONFIGS:
        _refuse_mistakes_early(target, set_)
    audit(target, data, weights, set_ or (), _pairs("--column", column), _pairs("--map", map_), keep or (), out)


@app.command()
@answers
def labels(
    config: Config,
    domain: Annotated[
        str, typer.Option(metavar="DOMAIN", help="The cohort of the config whose labels are drawn, and whose test images judge.")
    ],
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    count: Annotated[
        list[int] | None, typer.Option(metavar="N", help="So many labels; may be repeated. Default: 10, 25, 50, 100, 200.")
    ] = None,
    draws: Annotated[int, typer.Option(help="How often so many labels are drawn.")] = 30,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder for page and table; default runs/NAME/labels-TIME.")] = None,
) -> None:
    """Say what 10 to 200 labels of another place would bring.

    Curves from many draws on cached features, with and without another domain's labels, at random and well chosen. Opens the domain's
    test images, and counts the look."""
    from medtl.flows.label_curve import COUNTS, label_curve

    label_curve(config, domain, data, weights, set_ or (), count or COUNTS, draws, out)


@app.command(name="next")
@answers
def next_(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="The other place: a folder, or a table with `image`, `patient_id`.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The table of images to label (CSV).")],
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many to label.")] = 25,
    column: Column = None,
    unsure: Annotated[bool, typer.Option("--unsure", help="Rather images that the model is unsure of.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the third that chance chooses.")] = 0,
) -> None:
    """Choose which images of another place to label next.

    A third at random, the others as different as can be."""
    from medtl.flows.next_labels import choose_next

    choose_next(model, images, out, count, _pairs("--column", column), unsure, seed)


@app.command()
@answers
def rank(
    config: Config,
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT", help="A network (resnet50), NAME=FILE, a weights file with sidecar, or a model package. May be repeated."
        ),
    ] = None,
    weights_folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Every weights file in it whose sidecar names its network, every model package.")
    ] = None,
    tune: Annotated[
        int | None, typer.Option(metavar="EPOCHS", min=1, help="Train every candidate so long, and see which score had been right.")
    ] = None,
    minutes: Annotated[float, typer.Option(metavar="M", min=0.0, help="What a training may take, for the advice.")] = 60.0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the ranking goes; else runs/<name>/rank-<time>.")] = None,
) -> None:
    """Say which weights to start from, and how, before training.

    LogME, LEEP, H-score, neighbours and a linear probe on features; distance; an advised strategy with reasons."""
    _refuse_mistakes_early(config, set_)
    from medtl.flows.rank import rank

    rank(config, data, weights, set_ or (), candidates or (), weights_folder, tune, minutes, out)


@app.command()
@answers
def train(
    config: Config,
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The run's folder; else runs/<name>/<time>.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run (the newest, or --out).")] = False,
    expect: Annotated[
        Path | None, typer.Option(metavar="RUN", help="A finished run that this one must repeat; exit code 3 if it does not.")
    ] = None,
) -> None:
    """Train a model from one config.

    Never looks at the answers of the test images: `medtl evaluate` does, and counts it."""
    _refuse_mistakes_early(config, set_)
    from medtl.flows.train import train

    train(config, data=data, weights=weights, overrides=set_ or (), out=out, resume=resume, expect=expect)


@app.command()
@answers
def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY", help="The study's file (.yaml): a base config, arms or a search, seeds.")],
    data: Data = None,
    weights: Weights = None,
    set_: Set = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The study's folder; else runs/studies/<name>.")] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="So many trials at once, each with its share of the processors.")] = 1,
) -> None:
    """Train one config many times, varied, and read it together.

    What transfer was worth: labels, time and accuracy, each only if its interval supports it. The same command goes on."""
    from medtl.flows.study import study

    study(file, data, weights, set_ or (), out, workers)


@app.command()
@answers
def evaluate(
    target: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="A run's folder, or a model package.")],
    manifest: Annotated[Path | None, typer.Argument(metavar="MANIFEST.csv", help="Outside data: a table with `image` and `label`.")] = None,
    column: Column = None,
    map_: Map = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the results go.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where a run's images are now, if they were moved.")] = None,
    allow_seen: Annotated[bool, typer.Option("--allow-seen", help="Judge on images that the model has learned from all the same.")] = False,
    by: Annotated[str | None, typer.Option(metavar="UNIT", help="Of a run: one answer per patient, lesion or study, too.")] = None,
    combine: Annotated[str, typer.Option(metavar="HOW", help="How --by makes it of its images' log-odds: mean or max.")] = "mean",
    stress: Annotated[bool, typer.Option("--stress", help="The same images cut, blurred, unmarked … too; probe the features.")] = False,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="With --stress: validation, which costs no look.")] = "test",
) -> None:
    """Judge a run on its test images, or a model elsewhere."""
    from medtl.flows.evaluate import evaluate

    given, renamed = _pairs("--column", column), _pairs("--map", map_)
    evaluate(target, manifest, given, renamed, out, data=data, allow_seen=allow_seen, by=by, combine=combine, stress=stress, split=split)


@app.command()
@answers
def release(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run with `adaptation`.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST.csv", help="Labelled target patients that nothing has used.")],
    column: Column = None,
    map_: Map = None,
) -> None:
    """Let labelled patients decide if an adapted model is used.

    Released if they show that it is not worse than source-only by the margin in the config; see release.json in the run."""
    from medtl.flows.later_release import release

    release(run, manifest, _pairs("--column", column), _pairs("--map", map_))


@app.command()
@answers
def update(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run's folder. It is only read.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST.csv", help="Newly labelled images: `image`, `label`, `patient_id`.")],
    reference: Annotated[
        Path, typer.Option(metavar="MANIFEST.csv", help="Labelled images that taught and chose nothing: no recall may fall on them.")
    ],
    replay: Annotated[
        Path | None, typer.Option(metavar="MANIFEST.csv", help="Images that taught the model, to be shown beside the new ones.")
    ] = None,
    column: Column = None,
    map_: Map = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting (docs/update.md): --set epochs=3. May be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder; else runs/NAME/update-TIME.")] = None,
) -> None:
    """Train a model further on newly labelled images.

    Released only if it is better there and loses nothing elsewhere, else exit code 3; update.json has the evidence. Rolling back is
    choosing the older folder."""
    from medtl.flows.update import update

    update(model, manifest, reference, replay, _pairs("--column", column), _pairs("--map", map_), set_ or (), out)


@app.command()
@answers
def shift(
    target: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="A run's folder, or a model package that remembers its source.")],
    images: Annotated[
        Path | None, typer.Argument(metavar="IMAGES", help="The other place: a folder, or a table with `image`, `patient_id`.")
    ] = None,
    column: Column = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where shift.html and shift.json go.")] = None,
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where a run's images are now, if they were moved.")] = None,
) -> None:
    """Say whether another place's images are like the source's.

    Needs no label there. Without IMAGES: make a run's package ready for it."""
    from medtl.flows.shift import shift

    shift(target, images, _pairs("--column", column), out, data)


@app.command()
@answers
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="REFERENCE CANDIDATE...", help="Runs, or results of `evaluate` on one outside set.")
    ],
    split: Annotated[str | None, typer.Option(metavar="SPLIT", help="validation (default), test once it was opened, or external.")] = None,
    measure: Annotated[str, typer.Option(metavar="FIGURE", help="What is judged by; name it before you look.")] = "auroc",
    margin: Annotated[float | None, typer.Option(metavar="M", help="How much worse still counts as not worse, such as 0.02.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where comparison.html, .json and .csv go.")] = None,
    like: Annotated[Path | None, typer.Option(metavar="RUN_OR_MODEL", help="Whose task it is, for results on outside data.")] = None,
) -> None:
    """Hold models against one of them on the same images.

    Better, not worse by a margin, or not shown: by one figure, named before the look."""
    from medtl.flows.compare import compare

    compare(runs, split, measure, margin, out, like)


@app.command()
@answers
def accept(
    file: Annotated[Path, typer.Argument(metavar="ACCEPTANCE", help="The lines that a model has to keep (.yaml).")],
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="An evaluated run, or results on outside data.")] = None,
    split: Annotated[str | None, typer.Option(metavar="SPLIT", help="test (default), external, or validation.")] = None,
    like: Annotated[Path | None, typer.Option(metavar="RUN_OR_MODEL", help="Whose task it is, for results on outside data.")] = None,
) -> None:
    """State what a model must show, before the look; then judge it.

    Each line is met, not met, or not decided by so few cases. Exit code 3 unless all are met."""
    from medtl.flows.accept import accept

    accept(file, run, split, like)


@app.command()
@answers
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run's folder.")],
    data: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the run's images are now, if they were moved.")] = None,
) -> None:
    """Write a run's report again: report.html and report/*.csv.

    Training and evaluation write it themselves."""
    from medtl.flows.report import report

    print(f"report: {report(run, data)}")


@app.command()
@answers
def paper(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run, or results of `evaluate` on outside data.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the kit goes; else RUN/paper.")] = None,
    like: Annotated[Path | None, typer.Option(metavar="RUN_OR_MODEL", help="Of outside results: the model that was judged.")] = None,
) -> None:
    """Write a manuscript's methods, tables and figures.

    With citations; CLAIM 2024 and TRIPOD+AI filled in as far as the run knows; as LaTeX, Word, SVG and TIFF."""
    from medtl.flows.paper import paper

    paper(run, out, like)


@app.command()
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

    predict(model, paths, out, _prevalence(prevalence))


@app.command()
@answers
def case(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model package, or a run's folder.")],
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="One image file.")],
    pdf: Annotated[Path | None, typer.Option(metavar="FILE.pdf", help="The answer as one printed page.")] = None,
    dicom: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The answer as DICOM objects of the image's study (report, saliency).")
    ] = None,
    number: Annotated[int | None, typer.Option(metavar="N", min=1, help="Which image of a file that holds several, from 1.")] = None,
) -> None:
    """Answer for one image, as a page or as DICOM objects.

    A PDF without the patient's name; a DICOM Structured Report (TID 1500) and a Secondary Capture of the saliency. Research use only."""
    from medtl.app.documents import write_case

    write_case(model, image, pdf, dicom, number)


@app.command()
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


@app.command()
@answers
def demo(
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Pretrained weights to start from; else the hub's, where it answers.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where all goes; else runs/demo/<time>.")] = None,
    serve: Annotated[bool, typer.Option(help="Open the page in the end.")] = True,
) -> None:
    """Show everything on made images, from nothing.

    Both tasks are trained, judged and reported, and the page opens. Needs no data, no weights and no network."""
    from medtl.flows.demo import demo

    runs = demo(weights, out)
    if serve:
        from medtl.app.serve import serve as serve_page

        serve_page([run.folder / "model" for run in runs])


@app.command()
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


@app.command()
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


@app.command()
@answers
def weights(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A network's plain name, such as mobilenetv2_100.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The .safetensors file to write; its sidecar goes beside it.")],
) -> None:
    """Fetch pretrained weights into a file.

    For machines that cannot reach the hub: carry the file there and give it as --weights."""
    from medtl.flows.weights import save_weights

    save_weights(name, out)


@app.command()
@answers
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    import json

    from medtl.experiment.load import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command()
@answers
def version() -> None:
    """Print the version."""
    from medtl import __version__

    print(f"medtl {__version__}")


def _refuse_mistakes_early(config: Path, overrides: Sequence[str] | None) -> None:
    """Say what is wrong with a config before torch is imported, which takes many seconds on a cold disk."""
    from medtl.experiment.load import load_experiment

    load_experiment(config, overrides or ())


def _prevalence(texts: Sequence[str] | None) -> float | dict[str, float] | None:
    """`["0.05"]` → 0.05, `["mass=0.05", "edema=0.1"]` → one of each finding."""
    if not texts:
        return None
    alone = len(texts) == 1 and "=" not in texts[0]
    given = {"": texts[0]} if alone else _pairs("--prevalence", texts)
    try:
        shares = {name: float(text) for name, text in given.items()}
    except ValueError:
        raise MedtlError(f"--prevalence {', '.join(texts)}: is no number; allowed: more than 0 and less than 1, such as 0.05") from None
    return shares[""] if alone else shares


def _pairs(option: str, texts: Sequence[str] | None) -> dict[str, str]:
    """`["label=dx"]` → `{"label": "dx"}`."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key or not value:
            raise MedtlError(f"{option} {text}: is no pair NAME=VALUE")
        if key in pairs:
            raise MedtlError(f"{option} {text}: '{key}' is given twice; keep one")
        pairs[key] = value
    return pairs
