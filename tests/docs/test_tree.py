"""The tree is what the pages and the tests say it is."""

import re
import tomllib
from pathlib import Path

from distribution import OF_THE_MOVIE_RUN, SLOWEST

ROOT = Path(__file__).parents[2]
PACKAGES = {path.parent.name for path in (ROOT / "recsys_dagster").glob("*/__init__.py")}
OF_OTHER_FOLDERS = {"benchmarks", "docs", "drills", "examples", "fuzz"}
"""Folders of tests/ that are about something else than a package."""


def test_the_tests_mirror_the_packages() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.glob("test_*.py"))}
    assert folders - OF_OTHER_FOLDERS <= PACKAGES
    assert folders >= PACKAGES


def test_a_test_file_is_at_the_place_of_its_package() -> None:
    """A test folder within a package's exists in the package too."""
    nested = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    nested = {path for path in nested if path.parts and path.parts[0] in PACKAGES}
    assert [str(path) for path in sorted(nested) if not (ROOT / "recsys_dagster" / path).is_dir()] == []


def test_the_page_about_the_architecture_has_every_layer_in_its_order() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("## Layers")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == layers


def test_every_package_says_what_belongs_in_it() -> None:
    for package in PACKAGES:
        text = (ROOT / "recsys_dagster" / package / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""'), package
        code = text.split('"""')[2].strip()
        assert code == "", f"{package}/__init__.py holds more than a docstring"


def test_the_lists_by_which_tests_are_distributed_name_files_that_exist_and_all_that_share_a_run() -> None:
    assert [file for file in (*SLOWEST, *OF_THE_MOVIE_RUN) if not (ROOT / file).exists()] == []
    texts = {file: file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py")}
    uses = {file.relative_to(ROOT).as_posix() for file, text in texts.items() if re.search(r"\bmovie_run: \w", text)}
    assert uses == OF_THE_MOVIE_RUN
