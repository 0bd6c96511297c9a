"""A config file and `--set` overrides → one validated Experiment, or all mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from medtl.contracts import FORMAT
from medtl.errors import MedtlError, Mistakes
from medtl.experiment import strict_yaml
from medtl.experiment.explain import Explained, dotted, explain
from medtl.experiment.overrides import Override, apply_overrides
from medtl.experiment.schema import Experiment

Model = TypeVar("Model", bound=BaseModel)
HEADER = "# medtl experiment, format "


def load_experiment(path: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read `path`, apply overrides such as `"transfer.epochs=3"`, validate.

    Raises :class:`Mistakes` that lists every mistake with its line, or :class:`MedtlError` where the file cannot be read.
    """
    return load_settings(path, Experiment, overrides)


def load_settings(path: str | Path, model: type[Model], overrides: Sequence[str] = ()) -> Model:
    """As :func:`load_experiment`, for any settings that stand in a file of their own."""
    document = strict_yaml.parse(_text(Path(path)), str(path))
    data, applied = apply_overrides(document.data, overrides, model)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = explain(error, model, data)
    placed = sorted(_placed(mistake, str(path), document.lines, applied) for mistake in found)
    count = "1 mistake" if len(placed) == 1 else f"{len(placed)} mistakes"
    raise Mistakes(f"{path}: {count}:", [sentence for _, sentence in placed])


def data_root(config_path: str | Path, data_option: str | Path | None) -> Path:
    """The folder that a config's relative paths start from: `--data`, else the config's own folder."""
    root = Path(data_option) if data_option is not None else Path(config_path).parent
    if not root.is_dir():
        raise MedtlError(f"--data {root}: there is no such folder; give the folder that holds the images")
    return root


def json_schema() -> dict[str, Any]:
    """The JSON schema of a config, with the settings of every component that can be chosen by name."""
    return Experiment.model_json_schema(by_alias=True)


def _text(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MedtlError(f"{path}: there is no such config file; `medtl init FOLDER` writes a first one") from None
    except IsADirectoryError:
        raise MedtlError(f"{path}: is a folder; give the config file itself (.yaml)") from None
    except OSError as error:
        raise MedtlError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise MedtlError(f"{path}: is not UTF-8 text; save the config as UTF-8") from None
    stated = re.match(re.escape(HEADER) + r"(\d+)", text)
    if stated and int(stated[1]) > FORMAT:
        raise MedtlError(f"{path}: has format {stated[1]}, written by a newer medtl; this one reads up to format {FORMAT}")
    return text


def _placed(mistake: Explained, where: str, lines: dict[strict_yaml.Path, int], applied: Sequence[Override]) -> tuple[int, str]:
    """Sort key and text: the override that is at fault, else the line of the nearest key."""
    sentence = f"{dotted(mistake.path)}: {mistake.sentence}".removeprefix(": ")
    for override in applied:
        inside = mistake.path[: len(override.path)] == override.path and not (mistake.missing and mistake.path == override.path)
        made = override.path[: len(mistake.path)] == mistake.path and mistake.path not in lines  # `transfr.epochs=3` made `transfr`
        if inside or made:
            return 10**9, f"--set {override.text}: {sentence}"
    path = mistake.path
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1), f"{where}:{lines.get(path, 1)}: {sentence}"
