"""What `make` installs: for `make run` only what running needs, and nothing with an unsupported Python."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN, UI, DEV, SPARK = (ROOT / f"requirements{name}.lock" for name in ("", "-ui", "-dev", "-spark"))


def pinned(lock: Path) -> dict[str, set[str]]:
    """The versions of each package in a lock file, which may differ between Python versions."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE):
        versions.setdefault(name, set()).add(version)
    return versions


def pinned_everywhere(lock: Path) -> set[str]:
    """The packages of a lock file but for those that it holds for Windows only."""
    entries = re.findall(r"^([a-z0-9._-]+)==(.*)$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {name for name, rest in entries if "sys_platform == 'win32'" not in rest}


def test_running_needs_no_development_tools() -> None:
    assert not pinned(RUN).keys() & {"jax", "mypy", "ruff", "playwright", "ranx", "pytest", "mkdocs", "dagster-dg-cli"}
    assert pinned(RUN).keys() >= {"dagster", "duckdb", "tensorflow", "hatchling", "dagster-postgres"}


def test_the_lock_files_do_not_overlap_and_name_no_address() -> None:
    for lock in (UI, DEV):
        assert not pinned(lock).keys() & pinned_everywhere(RUN), "one version of a package in one file"
    assert {name: pinned(DEV).get(name) for name in pinned(UI)} == pinned(UI)
    for lock in (RUN, UI, DEV, SPARK):
        text = lock.read_text(encoding="utf-8")
        assert "://" not in text
        assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z0-9])", text.strip()))


def test_every_requirement_of_the_project_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]

    def names(requirements: list[object]) -> set[str]:
        return {re.split(r"[^A-Za-z0-9._-]", one)[0].lower() for one in requirements if isinstance(one, str)}

    assert names(project["project"]["dependencies"]) | names(groups["build"]) <= pinned(RUN).keys()
    assert names(groups["ui"]) <= pinned(UI).keys()
    assert names(groups["spark"]) <= pinned(SPARK).keys()
    assert names(groups["dev"]) | names(groups["ui"]) <= pinned(DEV).keys() | pinned(RUN).keys()


@pytest.mark.parametrize("version", ["3.10.4", "3.14.0", None])
def test_a_python_that_is_too_old_or_too_new_is_refused_before_anything_is_made(
    tmp_path: Path, version: str | None
) -> None:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    if version is not None:
        major, minor, _ = version.split(".")
        # Answers as that version would: the project's own test of the version runs, on other numbers.
        python.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && exec echo "Python {version}"\n'
            f'exec python3 -c "import sys; sys.version_info = ({major}, {minor}); exec(sys.argv[1])" "$2"\n'
        )
        python.chmod(0o755)
    before = {path.name for path in tmp_path.iterdir()}
    # `make test` runs this in a make of its own, whose variables would make this one name its folder.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    found = f"Python {version}" if version else "not a Python"
    assert done.stdout == (
        f"Python 3.11, 3.12 or 3.13 is needed, and {python} is {found}. Name one: make PYTHON=/path/to/python3.12\n"
    )
    assert {path.name for path in tmp_path.iterdir()} == before
