"""The documentation site builds without warnings, needs no network, and names only what exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LOADED = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "NO_PROXY": "*", "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_no_page_loads_anything_from_the_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 40
    assert [str(page.relative_to(site)) for page in pages if LOADED.search(page.read_text(encoding="utf-8"))] == []


def test_the_reference_shows_the_functions_of_every_package(site: Path) -> None:
    for package in sorted((ROOT / "recsys_dagster").glob("*/__init__.py")):
        page = (site / "reference" / f"{package.parent.name}.html").read_text(encoding="utf-8")
        modules = [path.stem for path in package.parent.glob("*.py") if not path.stem.startswith("__")]
        assert all(f'id="recsys_dagster.{package.parent.name}.{module}"' in page for module in modules)


def test_the_page_of_metrics_lists_those_of_the_registry(site: Path) -> None:
    from recsys_dagster.evaluation.metrics.registry import METRICS

    page = (site / "metrics.html").read_text(encoding="utf-8")
    assert [metric.name for metric in METRICS if f"<code>{metric.name}</code>" not in page] == []


def test_pages_name_only_files_and_folders_that_exist() -> None:
    """Names of source files, and paths that end in a slash, are looked for in the root, the package and the docs."""
    named = re.compile(r"`([\w./-]+(?:\.(?:py|sql|toml|yaml|md|ipynb)|/))`")
    missing = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]
        for path in named.findall(page.read_text(encoding="utf-8"))
        if not any((base / path).exists() for base in (ROOT, ROOT / "recsys_dagster", DOCS, ROOT / "deploy"))
    ]
    assert missing == []


def test_every_setting_that_a_page_names_is_one() -> None:
    from recsys_dagster.domains import BUILT_IN_DOMAINS
    from recsys_dagster.ingest.public_datasets import public_declarations
    from recsys_dagster.settings import Settings, dataset_variable

    known = {f"RECSYS_{name.upper()}" for name in Settings.model_fields}
    domains = {*BUILT_IN_DOMAINS, *(declaration.domain for declaration in public_declarations().values())}
    known |= {"RECSYS_DATASET", *map(dataset_variable, domains)}  # RECSYS_DATASET_<DOMAIN>
    pages = [*DOCS.rglob("*.md"), ROOT / "README.md"]
    named = {word for page in pages for word in re.findall(r"RECSYS_[A-Z_]+[A-Z]", page.read_text(encoding="utf-8"))}
    assert len(named) > 15
    assert named <= known


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"])
def test_links_between_pages_outside_the_site_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []
