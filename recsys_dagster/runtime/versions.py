"""Identify the version of this package and of the libraries that it uses."""

import functools
import hashlib
import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "numba": "numba",
    "implicit": "implicit",
    "lightgbm": "lightgbm",
    "myfm": "myfm",
    "keras": "keras",
    "tensorflow": "tensorflow",
    "jax": "jax",
}
"""Module → package, for the libraries that can influence a fitted model."""


@functools.cache
def code_version() -> str:
    """Return the package version followed by eight hex digits of a hash of its sources, such as `0.1.0+3fa9c1d2`."""
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)}\0".encode() + path.read_bytes() + b"\0")
    return f"{installed_version('recsys-dagster')}+{digest.hexdigest()[:8]}"


def loaded_packages() -> dict[str, str]:
    """Return the versions of Python and of the libraries that this process has loaded, by package name."""
    loaded = {package: installed_version(package) for module, package in LIBRARIES.items() if module in sys.modules}
    return {"python": sys.version.split()[0], **loaded}


def incompatibility(package: str, saved: str) -> str | None:
    """Describe why the installed version of a package cannot replace the saved one; None if it can.

    Two versions are compatible if they agree up to the first number that is not zero: 2.1 and 2.4, or 0.7.1 and 0.7.2,
    but neither 1.26 and 2.0 nor 0.7 and 0.8 (semver.org, items 4 and 8).
    """
    try:
        installed = installed_version(package)
    except PackageNotFoundError:
        return f"{package} {saved}, which is not installed"
    return None if _series(installed) == _series(saved) else f"{package} {saved}, and {installed} is installed"


def _series(version: str) -> tuple[str, ...]:
    major, minor, *_ = [*version.split("."), ""]
    return (major, minor) if major == "0" else (major,)
