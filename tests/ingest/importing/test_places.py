"""Files behind web addresses, in object stores and rows of databases are imported like files."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest
from loopback import serving
from shapes import EVENTS, write_csv
from typed_command import Typed

from recsys_dagster.ingest.declaration import Declaration, read_declaration


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECSYS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with ratings.csv."""
    rows = [(one.user, one.item, one.stars, one.at.isoformat()) for one in EVENTS]
    write_csv(tmp_path / "files" / "ratings.csv", ("customer", "sku", "stars", "at"), rows)
    return tmp_path / "files"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base class)
        pass


@pytest.fixture
def address(files: Path) -> Iterator[str]:
    """The folder behind a web server."""
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(files)))) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def imported(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> Declaration:
    typed = Typed(capsys, "import", *words, "--name", "shop", "--yes")
    assert (typed.code, typed.err) == (0, "")
    assert "1,080 rows, 100 % usable" in typed.out
    return read_declaration(home / "datasets" / "shop.yaml")


def test_a_web_address(home: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    declaration = imported(home, capsys, f"{address}/ratings.csv")
    assert declaration.interactions.files == (f"{address}/ratings.csv",)
    assert declaration.scale == (1, 5)


def test_a_web_address_that_leads_nowhere(home: Path, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    typed = Typed(capsys, "import", f"{address}/orders.csv", "--yes")
    assert (typed.code, typed.err.count("\n")) == (1, 1)
    assert f"{address}/orders.csv" in typed.err


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_the_rows_of_a_database_file(kind: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "shop.db"
    rows = [(one.user, f"sku{one.item}", one.stars) for one in EVENTS]
    connection = sqlite3.connect(path) if kind == "sqlite" else duckdb.connect(str(path))
    connection.execute("CREATE TABLE votes (customer INTEGER, sku VARCHAR, stars INTEGER)")
    connection.executemany("INSERT INTO votes VALUES (?, ?, ?)", rows)
    connection.execute("CREATE TABLE goods (sku VARCHAR, name VARCHAR)")
    connection.executemany("INSERT INTO goods VALUES (?, ?)", [(f"sku{n}", f"Thing {n}") for n in range(1, 41)])
    connection.commit()
    connection.close()
    queries = ("--query", "SELECT * FROM votes", "--items-query", "SELECT * FROM goods")
    declaration = imported(home, capsys, "shop.db", *queries)
    assert (declaration.interactions.database, declaration.interactions.query) == (str(path), "SELECT * FROM votes")
    assert declaration.interactions.user == "customer"
    assert declaration.items is not None
    assert (declaration.items.query, declaration.items.title) == ("SELECT * FROM goods", "name")


def test_a_database_without_a_query(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    duckdb.connect(str(tmp_path / "shop.db")).close()
    typed = Typed(capsys, "import", "shop.db", "--yes")
    assert (typed.code, typed.err.count("\n")) == (1, 1)
    assert "is a database; say which rows are meant: --query 'SELECT" in typed.err
