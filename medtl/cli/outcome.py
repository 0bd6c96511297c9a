"""How a command ends: which exit code, and what the person at the keyboard reads."""

from __future__ import annotations

import errno
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

from medtl.errors import MedtlError

DONE, DEFECT, MISTAKE, REFUSED, STOPPED, NO_READER = 0, 1, 2, 3, 130, 141

_DISK = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up", errno.EROFS: "the disk is read-only"}
_FULL_DISK_ELSEWHERE = ("No space left on device", "PytorchStreamWriter failed writing")
"""What safetensors and torch say, which raise no OSError."""

P = ParamSpec("P")
R = TypeVar("R")


def answers(command: Callable[P, R]) -> Callable[P, R]:
    """Turn whatever `command` raises into one readable message and the documented exit code."""

    @functools.wraps(command)
    def answered(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            result = command(*arguments, **options)
            sys.stdout.flush()
            return result
        except MedtlError as refusal:
            _leave(refusal.exit_code, f"medtl: {refusal}")
        except KeyboardInterrupt:
            _leave(STOPPED, "medtl: stopped")
        except BrokenPipeError:
            _leave_without_reader()
        except Exception as error:  # anything else is our defect, and every defect ends here
            known = _circumstance(error)
            if known:
                _leave(MISTAKE, f"medtl: {known}")
            _leave(DEFECT, _defect(error))

    return answered


def _leave(code: int, message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code)


def _leave_without_reader() -> NoReturn:
    """The reader of our output has gone (`medtl schema | head -1`): say nothing, also not while Python shuts down."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(NO_READER)


def _circumstance(error: Exception) -> str:
    """What the machine ran out of or forbids, as a sentence; empty where the error is a defect of ours."""
    if isinstance(error, OSError) and error.errno in _DISK:
        place = f": {error.filename}" if error.filename else ""
        return f"{_DISK[error.errno]}{place}; make room and run the command again (training: with --resume)"
    if any(sign in str(error) for sign in _FULL_DISK_ELSEWHERE):
        return f"{_DISK[errno.ENOSPC]}; make room and run the command again (training: with --resume)"
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename or 'a file that the command needs'}"
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "not enough memory; lower transfer.batch or image.size (--set transfer.batch=8)"
    return ""


def _defect(error: Exception) -> str:
    """A short message without the error's own text, which may quote data; the whole traceback goes into a file of the user's own."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
    file = _write_traceback(error)
    return (
        f"medtl: a defect of medtl, not of your data: {where}.\n"
        f"The details are in {file}. Please report it; look before you send, for the details may name files or quote values."
    )


def _write_traceback(error: Exception) -> str:
    try:
        name = f"medtl-defect-{datetime.now():%Y%m%d-%H%M%S}-"
        handle, file = tempfile.mkstemp(prefix=name, suffix=".txt")  # readable by its owner alone
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            traceback.print_exception(error, file=out)
        return file
    except OSError:
        return "no file (none could be written)"
