"""Name a dataset and its domain."""

import re
from collections.abc import Sequence
from pathlib import Path

from recsys_dagster.errors import UsageError
from recsys_dagster.runtime.text import printable

_GENERIC = {"ratings", "rating", "data", "interactions", "events", "train", "u", "export", "out", "output", "download"}


def default_name(words: Sequence[str]) -> str:
    """Return the name of a dataset by the name of its first file, or of its folder where the file's says nothing."""
    path = Path(re.split(r"[*?\[]", words[0])[0].rstrip("/")).absolute()
    stem = path.name.split(".")[0] if path.suffix else path.name
    for candidate in (stem, path.parent.name, stem):
        name = re.sub(r"[^a-z0-9]+", "-", candidate.casefold()).strip("-")[:64]
        if name and name not in _GENERIC:
            return name
    return "mine"


def check_names(name: str, domain: str) -> None:
    """Raise UsageError if a name cannot be one."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        better = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.casefold()).strip("-") or "shop"
        raise UsageError(
            f"--name {printable(name)}: a name has lower-case letters, digits, - and _, such as --name {better[:64]}"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", domain):
        better = re.sub(r"^[^a-z]+|[^a-z0-9]+", "_", Path(domain).stem.casefold()).strip("_") or "shop"
        raise UsageError(
            f"--domain {printable(domain)}: a domain's name has lower-case letters, digits and _, and begins with a "
            f"letter, such as --domain {better[:32]}"
        )
