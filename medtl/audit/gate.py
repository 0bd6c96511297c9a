"""The gate before training: a split that leaks is refused, unless the config names the exception."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from medtl.audit.findings import Finding
from medtl.audit.settings import LEAKS
from medtl.errors import GateRefusal


def refuse_leaks(findings: Sequence[Finding], allowed: Collection[str] = ()) -> list[Finding]:
    """Raise :class:`GateRefusal` (exit code 3) if a finding is a leak between splits whose code is not in `allowed`.

    Returns the leaks that are allowed, for the log.
    """
    leaks = [finding for finding in findings if finding.code in LEAKS]
    refused = [finding for finding in leaks if finding.code not in allowed]
    if refused:
        said = "\n".join(f"  - {finding.title} [{finding.code}]\n    {finding.advice}" for finding in refused)
        codes = ", ".join(dict.fromkeys(finding.code for finding in refused))
        raise GateRefusal(
            f"the split leaks, and figures on it would be too good:\n{said}\n"
            f"`medtl audit` shows every case; to train all the same, name the exception in the config: audit: {{allow: [{codes}]}}"
        )
    return leaks
