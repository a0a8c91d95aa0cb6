"""The warehouse file: one process at a time, all or nothing, errors in words."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from handmade import MOVIES, RATINGS_HEADER, build, rows

from recsys_dagster.errors import RecsysError
from recsys_dagster.warehouse.build import build_features, reconcile
from recsys_dagster.warehouse.database import Warehouse

OLD = RATINGS_HEADER + "1,1,4,1000000000\n"
NEW = RATINGS_HEADER + "1,1,4,1000000000\n2,2,5,1000000001\n"

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from handmade import MOVIES, build
from recsys_dagster.warehouse.duckdb_engine import DuckDBEngine

def create_and_die(engine, table, create=DuckDBEngine.materialise):
    create(engine, table)
    if f"{table.schema}.{table.name}" == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)

DuckDBEngine.materialise = create_and_die
files = {"movies.csv": MOVIES, "ratings.csv": Path(sys.argv[4]).read_text()}
build(Path(sys.argv[2]), "movielens", files, features=True)
"""

HOLDER = """
import sys
from pathlib import Path
from recsys_dagster.warehouse.database import Warehouse
with Warehouse(Path(sys.argv[1])).connect():
    print("open", flush=True)
    sys.stdin.readline()
"""

CRAMPED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from handmade import MOVIES, RATINGS_HEADER, manifest_of
from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.catalogue import CATALOGUE
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.build import build_clean

folder, dataset = Path(sys.argv[2]), CATALOGUE["sample-movie"]
ratings = "".join(f"{u},{1 + u % 3},4,{1000000000 + u * 7919 % 99991}\\n" for u in range(400_000))
manifest = manifest_of(folder / "raw", dataset.format, {"movies.csv": MOVIES, "ratings.csv": RATINGS_HEADER + ratings})
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    build_clean(Warehouse(folder / "warehouse" / "movie.duckdb"), dataset, manifest)
except RecsysError as error:
    print(error)
    sys.exit(7)
"""

COUNTS = "SELECT (SELECT count(*) FROM clean.ratings), (SELECT count(*) FROM features.interactions)"


def python(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)


@pytest.mark.parametrize(
    ("table", "left"),
    [
        ("clean.items", (1, 1)),
        ("clean.interactions", (1, 1)),
        ("features.user_genre_taste", (2, 1)),
    ],
)
def test_a_killed_build_leaves_the_previous_tables(tmp_path: Path, table: str, left: tuple[int, int]) -> None:
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": OLD}, features=True)
    new = tmp_path / "new.csv"
    new.write_text(NEW)
    killed = python(KILLED, Path(__file__).parents[1], tmp_path, table, new)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert warehouse.scratch.exists()
    assert rows(warehouse, COUNTS) == [left]
    assert rows(warehouse, "SELECT DISTINCT schema_name FROM duckdb_tables() ORDER BY 1") == [("clean",), ("features",)]
    assert not warehouse.scratch.exists()
    build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": NEW}, features=True)
    assert rows(warehouse, COUNTS) == [(2, 2)]


def test_a_failed_build_leaves_the_previous_tables(tmp_path: Path) -> None:
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": OLD}, features=True)
    broken = 'movieId,title,genres\n1,"Heat,Crime\n2,Alien,Horror\n'
    with pytest.raises(RecsysError, match="never closed"):
        build(tmp_path, "movielens", {"movies.csv": broken, "ratings.csv": NEW})
    assert rows(warehouse, COUNTS) == [(1, 1)]
    assert list(warehouse.path.parent.iterdir()) == [warehouse.path]


def test_a_warehouse_open_elsewhere_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "movie.duckdb"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        scratch = Warehouse(path).scratch
        assert scratch.exists()
        refusal = pytest.raises(RecsysError, match=r"movie\.duckdb is open in .* \(process \d+\); close it there")
        with refusal as caught, Warehouse(path).connect():
            pass
        assert "\n" not in str(caught.value)
        assert scratch.exists(), "the other process still works in it"
        holder.communicate("\n")
    with Warehouse(path).connect():
        pass


@pytest.mark.parametrize("limit", [1_000_000, 4_000_000])
def test_a_full_disk_is_said_in_words_and_leaves_the_previous_tables(tmp_path: Path, limit: int) -> None:
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": OLD}, features=True)
    full = python(CRAMPED, Path(__file__).parents[1], tmp_path, str(limit))
    assert full.returncode == 7, full.stderr
    assert full.stdout.count("\n") == 1
    assert "movie.duckdb: the disk is full; free some space" in full.stdout
    assert rows(warehouse, COUNTS) == [(1, 1)]
    assert list(warehouse.path.parent.iterdir()) == [warehouse.path]


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "movie.duckdb"
    path.write_bytes(b"something else entirely" * 1000)
    with pytest.raises(RecsysError, match=r"movie\.duckdb is not a DuckDB database"), Warehouse(path).connect():
        pass


def test_the_same_files_give_the_same_tables_again(tmp_path: Path) -> None:
    query = "SELECT * FROM clean.ratings"
    warehouse = build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": NEW}, features=True)
    first, accounts = rows(warehouse, query), reconcile(warehouse)
    build(tmp_path, "movielens", {"movies.csv": MOVIES, "ratings.csv": NEW})
    assert (rows(warehouse, query), reconcile(warehouse)) == (first, accounts)
    summaries = build_features(warehouse, seed=1)
    found = {summary.name: summary for summary in summaries}["interactions"]
    assert found.rows == 2
    assert found.columns == {
        "user_idx": "INTEGER",
        "item_idx": "INTEGER",
        "rating": "FLOAT",
        "weight": "FLOAT",
        "at": "TIMESTAMP",
        "fold": "VARCHAR",
    }


@pytest.mark.parametrize(
    "text", ["", "  ", "-", "Unknown", "UNKNOWN ", "\tn/a", "N/A", "None", "NaN", "null", "?", None]
)
def test_every_word_for_unknown_is_null_in_any_case(tmp_path: Path, text: str | None) -> None:
    with Warehouse(tmp_path / "movie.duckdb").connect() as connection:
        assert connection.execute("SELECT known_text(?::VARCHAR)", [text]).fetchall() == [(None,)]


@pytest.mark.parametrize("text", ["Unknown Pleasures", "No", "-1", "Nancy", "N", "What?"])
def test_other_text_is_known_and_loses_the_blanks_around_it(tmp_path: Path, text: str) -> None:
    with Warehouse(tmp_path / "movie.duckdb").connect() as connection:
        assert connection.execute("SELECT known_text(?)", [f" \t{text}\u00a0\n"]).fetchall() == [(text,)]
