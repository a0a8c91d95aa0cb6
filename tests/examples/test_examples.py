"""The programs in examples/ do what they say, as a user starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import nbformat
import pytest
from nbclient import NotebookClient
from running_service import serving_process

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def run(*command: str, home: Path, **settings: str) -> str:
    """Run a command in the folder above RECSYS_HOME; return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RECSYS_", "DAGSTER_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = clean | {"RECSYS_HOME": str(home), "PATH": path, **settings}
    done = subprocess.run(command, cwd=home.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


OWN_MODEL = {
    "RECSYS_EXTRA_MODELS": "my_models.best_rated:BestRated",
    "PYTHONPATH": os.pathsep.join((str(EXAMPLES), os.environ.get("PYTHONPATH", ""))),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RECSYS_HOME after a run of the domain movie."""
    home = tmp_path_factory.mktemp("examples") / "data"
    run("recsys", "run", "--domain", "movie", "--models", "item_knn,best_rated", home=home, **OWN_MODEL)
    return home


def test_an_application_reads_the_published_lists_with_duckdb_alone(home: Path) -> None:
    program, published = EXAMPLES / "read_published.py", home / "published" / "movie.duckdb"
    first, *lines = run(sys.executable, str(program), str(published), "42", home=home).splitlines()
    assert first.startswith("Made by ")
    assert " from sample-movie at " in first
    assert [line.split()[0] for line in lines] == [str(rank) for rank in range(1, 11)]
    imports = [line for line in program.read_text(encoding="utf-8").splitlines() if line.startswith(("import", "from"))]
    assert imports == ["import sys", "import duckdb"]


def test_an_application_asks_the_service_and_reports_a_click(home: Path) -> None:
    program = EXAMPLES / "client.py"
    with serving_process(home, RECSYS_FEEDBACK="on") as (_, url):
        *items, stored = run(sys.executable, str(program), url, "movie", "42", home=home).splitlines()
    assert [line.split()[0] for line in items] == ["1", "2", "3", "4", "5"]
    assert stored == "{'stored': True}"
    (spool,) = (home / "feedback" / "movie").glob("events-*.jsonl")
    assert json.loads(spool.read_text(encoding="utf-8"))["event"] == "click"
    assert len(program.read_text(encoding="utf-8").splitlines()) <= 21


def test_models_are_compared_on_a_split_made_with_pandas(home: Path, tmp_path: Path) -> None:
    (ratings,) = home.glob("raw/sample-movie/*/ratings.csv")
    printed = run(sys.executable, str(EXAMPLES / "own_split.py"), str(ratings), str(tmp_path), home=home)
    assert "metrics are in metrics.json" in printed
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert {"popularity", "item_knn", "ease"} <= set(json.dumps(metrics).replace('"', " ").split())


def test_a_model_of_a_package_of_ones_own_stands_on_the_leaderboard_and_keeps_the_contract(home: Path) -> None:
    with duckdb.connect(home / "published" / "movie.duckdb", read_only=True) as connection:
        models = connection.sql("SELECT DISTINCT model FROM leaderboard WHERE metric = 'ndcg'").fetchall()
    assert {"best_rated", "item_knn", "popularity"} <= {name for (name,) in models}
    page = (ROOT / "docs" / "how-to" / "own-model.md").read_text(encoding="utf-8")
    check = page.partition("from my_models")[2].partition("```")[0]
    code = f"from my_models{check}\ntest_best_rated_keeps_the_contract()"
    run(sys.executable, "-c", code, home=home, **OWN_MODEL)
    assert (EXAMPLES / "my_models").is_dir()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("explore.ipynb", ("clean.ratings", "item_knn", "best_rated", "serendipity", "the first choice")),
        ("analysis.ipynb", ("Int16", "float32", "Titles by genre", "item_knn", "popularity", "rated_at", "rating")),
    ],
)
def test_a_notebook_runs_from_its_first_cell_to_its_last(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, shown: tuple[str, ...]
) -> None:
    for variable in [variable for variable in os.environ if variable.startswith("RECSYS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel shows plots in the notebook then
    for variable, value in {"RECSYS_HOME": str(home), **OWN_MODEL}.items():
        monkeypatch.setenv(variable, value)
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are not kept in the repository"
    resources = {"metadata": {"path": str(home.parent)}}
    executed = NotebookClient(notebook, timeout=120, resources=resources).execute()
    outputs = {cell.id: json.dumps(cell.get("outputs", "")) for cell in executed.cells}
    text = " ".join(outputs.values())
    for expected in shown:
        assert expected in text
    assert "image/png" in text


def test_every_example_is_listed_and_executed_here() -> None:
    page, tests = ((path).read_text(encoding="utf-8") for path in (EXAMPLES / "README.md", Path(__file__)))
    for example in [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("*.ipynb"), *EXAMPLES.glob("my_*")]:
        assert example.name in page
        assert f'"{example.name}"' in tests


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A RECSYS_HOME after the commands that the README shows, and what the import printed."""
    home = tmp_path_factory.mktemp("own_data") / "data"
    run(sys.executable, str(EXAMPLES / "own_data" / "make_shop.py"), "shop", home=home)
    words = ("shop/orders-*.csv", "--items", "shop/products.jsonl", "--name", "shop", "--yes")
    printed = run("recsys", "import", *words, home=home)
    run("recsys", "run", "--domain", "shop", "--models", "popularity,item_knn", home=home)
    return home, printed


def test_the_readme_shows_what_the_import_of_the_shop_prints(shop: tuple[Path, str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition("```text\norders-2025-01")[2].partition("```")[0]
    printed = "\n".join(line.rstrip() for line in shop[1].splitlines())
    assert f"orders-2025-01{shown.rstrip()}" in printed


def test_customers_of_the_shop_get_lists_by_their_own_ids(shop: tuple[Path, str]) -> None:
    with duckdb.connect(str(shop[0] / "published" / "shop.duckdb"), read_only=True) as connection:
        users, items = connection.execute(
            "SELECT count(DISTINCT user_id), count(*) FILTER (item_id LIKE '__-___-____') FROM recommendations"
        ).fetchone() or (0, 0)
        (length,) = connection.execute("SELECT count(*) FROM recommendations").fetchone() or (0,)
    assert users == 300
    assert 0 < items == length
    printed = run("recsys", "recommend", "--domain", "shop", "--user", "anna.010@example.org", "-n", "3", home=shop[0])
    assert printed.splitlines()[0].split()[:2] == ["rank", "title"]
