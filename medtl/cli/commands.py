"""All commands, in the order of `medtl --help`. Each takes its options, calls one flow, and says its result in a few lines."""

from __future__ import annotations

import typer

from medtl.cli import before_training, judging, training, using
from medtl.cli.outcome import answers

app = typer.Typer(
    help="From a hospital's images and labels to a classifier that can be believed.\n\n"
    "First steps: medtl init FOLDER, medtl check CONFIG, medtl train CONFIG, medtl evaluate RUN.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: it prints in a tenth of the time
    pretty_exceptions_enable=False,  # local variables, which may hold data, stay out of the terminal
    context_settings={"help_option_names": ["-h", "--help"]},
)


@answers
def schema() -> None:
    """Print the JSON schema of a config, for editors."""
    import json

    from medtl.experiment.load import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@answers
def version() -> None:
    """Print the version."""
    from medtl import __version__

    print(f"medtl {__version__}")


for _command in (
    before_training.init,
    before_training.check,
    before_training.audit,
    before_training.labels,
    before_training.next_,
    before_training.rank,
    training.train,
    training.study,
    judging.evaluate,
    training.release,
    training.update,
    training.recalibrate,
    before_training.shift,
    judging.compare,
    judging.accept,
    judging.report,
    judging.paper,
    using.predict,
    using.case,
    using.export,
    training.demo,
    using.serve,
    using.users,
    training.weights,
    schema,
    version,
):
    app.command(_command.__name__.rstrip("_"))(_command)
