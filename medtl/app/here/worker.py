"""The evaluation's own process: the job comes on stdin, what happens goes as lines of JSON to stdout, and the end of stdin ends it.

A process of its own, because a report is minutes of work that would hold up everybody's answers; it can be stopped at any moment, and gives
its memory back. What the flow prints names images, so it is heard here and nowhere else.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

NICE = 5
"""Others' answers come first."""


def main() -> None:
    """Run the job; exit 0 whatever it comes to, which the last line says."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_page, daemon=True).start()
    os.nice(NICE)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        outcome = _outcome(job, lambda event: _tell(told, event))
    _tell(told, outcome)


def _tell(told: TextIO, event: dict[str, Any]) -> None:
    told.write(json.dumps(event) + "\n")


def _end_with_the_page() -> None:
    """The page holds the other end; when it is gone, in whatever way, nobody waits for this."""
    while os.read(sys.stdin.fileno(), 1 << 16):
        pass
    os._exit(1)


def _outcome(job: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    from medtl.errors import MedtlError
    from medtl.flows.external import Seen, evaluate_outside
    from medtl.terminal import Line

    class Told(Line):
        """What a terminal would show, as events."""

        def keep(self, text: str) -> None:
            tell({"said": text})

        def show(self, text: str) -> None:
            tell({"progress": [f"{text[:1].upper()}{text[1:]}".removesuffix(" …"), 0, 0]})

        def progress(self, what: str) -> Callable[[int, int], None]:
            return lambda done, total: tell({"progress": [what, done, total]})

    try:
        done = evaluate_outside(
            Path(job["package"]), Path(job["manifest"]), {}, job["classes"], Path(job["out"]), False, Told(io.StringIO())
        )
    except Seen as seen:
        return {"seen": seen.images}
    except MedtlError as refusal:
        return {"refused": str(refusal)}
    except Exception as error:  # where it happened; its own text may quote data
        last = traceback.extract_tb(error.__traceback__)[-1]
        return {"defect": f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"}
    return {"done": "" if done.looks is None else done.looks.sentence(done.split)}


if __name__ == "__main__":
    main()
