"""The page without the command line: `python app.py MODEL [MODEL …]` is `medtl serve MODEL [MODEL …]`."""

from __future__ import annotations

import sys

from medtl.cli.commands import app

if __name__ == "__main__":
    app(["serve", *sys.argv[1:]], prog_name="app.py")
