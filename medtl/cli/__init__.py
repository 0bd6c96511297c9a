"""The `medtl` command: a thin shell around `medtl.flows`. Nothing heavy is imported before a command needs it.

Exit codes: 0 done; 2 the user's mistake; 3 a gate says no; 1 our defect; 130 stopped by Ctrl-C.
"""

from __future__ import annotations


def main() -> None:
    """Entry point of `medtl` and of `python -m medtl`."""
    from medtl.cli.commands import app

    app(prog_name="medtl")
