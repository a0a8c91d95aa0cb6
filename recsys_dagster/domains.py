"""Define the domains: the built-in ones, and the names of those that users declare."""

import difflib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from recsys_dagster.errors import UsageError

PUBLIC_DECLARATIONS = Path(__file__).parent / "ingest" / "public"
"""Folder of the declarations of public datasets that come with the project."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_DOMAIN_LINE = re.compile(r"^domain:[ \t]*(\w+)[ \t]*(#.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Domain:
    """A kind of item with its own ratings, models and recommendations.

    Attributes:
        name: name of the domain; also its partition key.
        scale: lowest and highest possible rating; None for implicit feedback.
        like_threshold: a rating at or above it counts as liked; None for implicit feedback.
        default_dataset: id of the dataset that is used unless the settings name another.
    """

    name: str
    scale: tuple[float, float] | None
    like_threshold: float | None
    default_dataset: str

    @property
    def is_implicit(self) -> bool:
        """Whether the interactions have no ratings."""
        return self.scale is None


BUILT_IN_DOMAINS: dict[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain("anime", scale=(1, 10), like_threshold=8, default_dataset="sample-anime"),
        Domain("movie", scale=(0.5, 5), like_threshold=4, default_dataset="sample-movie"),
    )
}


def domain_names(declarations: Path, chosen: Iterable[str] = ()) -> list[str]:
    """Return the names of all domains: the built-in ones, then those that datasets are declared of.

    A declaration that cannot be used still has its domain, so that whoever needs the domain learns what is wrong with
    the declaration. The domain of a public dataset is one where it is chosen.

    Args:
        declarations: folder of the declarations; it may be missing.
        chosen: names of domains that a dataset is chosen for.
    """
    declared = (declared_domain(path) for path in declared_files(declarations))
    chosen = set(chosen)
    public = (name for name in public_domains() if name in chosen)
    return list(dict.fromkeys([*BUILT_IN_DOMAINS, *(name for name in declared if name is not None), *public]))


@functools.cache
def public_domains() -> tuple[str, ...]:
    """Return the names of the domains of the public datasets that are declared, but for the built-in ones."""
    declared = (declared_domain(path) for path in declared_files(PUBLIC_DECLARATIONS))
    return tuple(dict.fromkeys(name for name in declared if name is not None and name not in BUILT_IN_DOMAINS))


def declared_files(declarations: Path) -> list[Path]:
    """Return the declarations in a folder, by name; none if the folder is missing."""
    return sorted(path for path in declarations.glob("*.yaml") if not path.name.startswith("."))


def declared_domain(path: Path) -> str | None:
    """Return the domain of a declaration, whatever else is wrong with it; None if it names none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    import yaml  # nothing is declared of the built-in domains

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        content = None
    written = _DOMAIN_LINE.search(text)
    names = (content.get("domain") if isinstance(content, dict) else None, written and written[1], path.stem)
    return next((name for name in names if isinstance(name, str) and _NAME.fullmatch(name)), None)


def is_path(name: str) -> bool:
    """Return whether a name is that of a file or folder, where that of a domain or a dataset is expected."""
    return "/" in name or "\\" in name or Path(name).suffix != ""


def unknown_domain(name: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that is no domain: it lists the domains, and the nearest one."""
    known = list(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    meant = f" (did you mean {nearest[0]}?)" if nearest else ""
    return UsageError(f"unknown domain {name!r}{meant}; known: {', '.join(known)}; `recsys import` adds one")


def default_like_threshold(scale: tuple[float, float]) -> float:
    """Return the default like threshold of a rating scale.

    It is 7/9 of the way from the lowest to the highest rating, rounded to the nearest half. This agrees with the
    built-in domains (8 on 1 to 10, 4 on 0.5 to 5) and gives 4 on a scale of 1 to 5.
    """
    low, high = scale
    return round(2 * (low + 7 / 9 * (high - low))) / 2
