"""The last section: what makes all of this again, and what says that it is the same."""

from __future__ import annotations

from medtl.report.contents import Contents

Fact = tuple[str, str]


def identity(contents: Contents) -> list[Fact]:
    """Versions, seeds, fingerprint and hashes."""
    package, settings, environment = contents.package, contents.experiment, contents.environment
    facts = [("model fingerprint", package["fingerprint"]), ("written by", f"medtl {package['medtl']}")]
    if environment.get("code"):
        facts.append(("code", f"commit {environment['code']}"))
    if settings:
        facts.append(("seeds", f"training {settings['seed']}, split {settings['split']['seed']}"))
    if package["lineage"].get("experiment_sha256"):
        facts.append(("settings, sha256", package["lineage"]["experiment_sha256"]))
    facts += [(f"{name}, sha256", digest) for name, digest in contents.hashes.items()]
    return facts + [(f"{member['file']}, sha256", member["sha256"]) for member in package["weights"]]


def libraries(contents: Contents) -> list[Fact]:
    """What it ran on: Python, platform, versions of the libraries."""
    environment = contents.environment
    versions = {**{name: environment[name] for name in ("platform", "python") if name in environment}, **environment.get("libraries", {})}
    return [(name, version or "not installed") for name, version in versions.items()]
