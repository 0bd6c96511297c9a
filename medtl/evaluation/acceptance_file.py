"""acceptance.json: what became of the lines that a model has to keep, in the folder of the run or evaluation that was judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medtl import own_json
from medtl.contracts import FORMAT
from medtl.evaluation.acceptance import Outcome
from medtl.files import write_json

FILE = "acceptance.json"


def write(folder: Path, outcomes: Sequence[Outcome], **told: str) -> dict[str, Any]:
    """Write the outcomes with what is `told` of them: `name`, `sha256` and `stated` of the file of lines, `split`, `note`, `counted`
    (what became of the unanswered; empty where there were none), and `answers`, the SHA-256 of the predictions judged. Returns the
    content."""
    lines = [
        {
            "criterion": str(each.criterion),
            **each.criterion.model_dump(exclude_none=True),
            "state": each.state,
            "found": each.found,
            **({"answered_only": each.answered_only} if each.answered_only is not None else {}),
            "text": each.text,
        }
        for each in outcomes
    ]
    content = {"format": FORMAT, **told, "lines": lines}
    write_json(folder / FILE, content)
    return content


def read(folder: Path) -> Mapping[str, Any] | None:
    """What was written; None where nothing was judged. Raises MedtlError where the file is damaged or of a newer format."""
    path, mend = folder / FILE, "judge the lines again with `medtl accept`"
    content = own_json.read(path, mend)
    if content is None:
        return None
    with own_json.whole(path, mend):
        lines = [line["criterion"] + line["state"] + line["text"] for line in content["lines"]]
        if not lines or not all(isinstance(content[key], str) and content[key] for key in ("name", "split", "note")):
            raise ValueError
    return content
