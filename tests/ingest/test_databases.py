"""A database is exported at each fetch: PostgreSQL from a real server, SQLite and DuckDB files."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pytest
from declared_data import built, declare, fetched, write
from handmade import rows
from running_servers import running_postgres

from recsys_dagster.errors import RecsysError
from recsys_dagster.ingest.declaration import DeclarationError

CREATE = "CREATE TABLE orders (customer text, sku text, stars double precision, created_at timestamp)"
INSERT = "INSERT INTO orders VALUES ('ann', 'A-1', 4.5, '2026-01-02 03:04:05'), ('bob', 'A-1', NULL, NULL)"
COLUMNS = {"user": "customer", "item": "sku", "rating": "stars", "time": "created_at"}
READ = """
SELECT users.source_id, items.source_id, rating, rated_at::VARCHAR FROM clean.interactions
JOIN clean.users USING (user_id) JOIN clean.items USING (item_id) LEFT JOIN clean.ratings USING (user_id, item_id)
ORDER BY 1
"""
EXPECTED = [("ann", "A-1", 4.5, "2026-01-02 03:04:05"), ("bob", "A-1", None, None)]


def declare_database(home: Path, address: str, query: str = "SELECT * FROM orders") -> None:
    source = {"database": address, "query": query, **COLUMNS}
    declare(home, {"ratings": {"scale": [1, 5]}, "interactions": source})


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_sqlite_file_is_read_and_read_again_only_if_it_changed(tmp_path: Path, prefix: str) -> None:
    write(tmp_path, {"shop.db": ""})
    with sqlite3.connect(tmp_path / "datasets/shop.db") as connection:
        connection.execute(CREATE)
        connection.execute(INSERT)
    declare_database(tmp_path, f"{prefix}shop.db")
    assert rows(built(tmp_path), READ) == EXPECTED
    first = fetched(tmp_path)
    with sqlite3.connect(tmp_path / "datasets/shop.db") as connection:
        connection.execute("INSERT INTO orders VALUES ('cy', 'A-1', 1, NULL)")
    assert fetched(tmp_path).data_version != first.data_version


def test_a_duckdb_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    with duckdb.connect(tmp_path / "datasets/shop.duckdb") as connection:
        connection.execute(CREATE)
        connection.execute(INSERT)
    declare_database(tmp_path, "shop.duckdb")
    assert rows(built(tmp_path), READ) == EXPECTED


@pytest.mark.parametrize(
    ("address", "query", "message"),
    [
        ("nothing.db", "SELECT 1", r"nothing\.db: cannot be read \(No such file or directory\); correct `database`"),
        ("text.db", "SELECT 1", r"text\.db: neither a SQLite nor a DuckDB database"),
        ("mysql://root@host/shop", "SELECT 1", r"mysql://host/shop: only PostgreSQL .*, SQLite and DuckDB files"),
        ("shop.db", "SELECT * FROM order_s", r"shop\.db: no such table: order_s; check `database`, `query`"),
        ("shop.db", "SELECT * FROM orders WHERE 0", r"shop\.db: the query gives no rows; correct it"),
        ("shop.db", "DELETE FROM orders", r"shop\.db: attempt to write a readonly database"),
        ("postgresql://${NO_SUCH_VARIABLE}@host/shop", "SELECT 1", r"the variable NO_SUCH_VARIABLE is not set"),
    ],
)
def test_a_database_that_cannot_be_read_is_one_line_with_the_cure(
    tmp_path: Path, address: str, query: str, message: str
) -> None:
    write(tmp_path, {"text.db": "customer,sku\n" * 10, "shop.db": ""})
    with sqlite3.connect(tmp_path / "datasets/shop.db") as connection:
        connection.execute(CREATE)
    declare_database(tmp_path, address, query)
    with pytest.raises(RecsysError, match=message) as caught:
        fetched(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["postgresql://ann:geheim@host/shop", "postgresql://host/shop?user=ann&password=geheim"]
)
def test_a_password_in_the_declaration_is_refused_without_being_shown(tmp_path: Path, address: str) -> None:
    declare_database(tmp_path, address)
    with pytest.raises(DeclarationError, match=r"has a password; write \$\{NAME\} for it") as caught:
        fetched(tmp_path)
    assert "geheim" not in str(caught.value)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Host and port of a PostgreSQL server that asks ann for the password `geheim`."""
    with running_postgres("ann", "geheim") as address:
        with adbc.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(CREATE)
            cursor.execute(INSERT)
        yield address.partition("@")[2].removesuffix("/postgres")


@pytest.mark.parametrize("way", ["PGPASSWORD", "${SHOP_PASSWORD}"])
def test_a_postgresql_table_is_read_with_a_password_that_is_stored_nowhere(
    tmp_path: Path, server: str, way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(way.strip("${}"), "geheim")
    user = "ann" if way == "PGPASSWORD" else f"ann:{way}"
    declare_database(tmp_path, f"postgresql://{user}@{server}/postgres")
    assert rows(built(tmp_path), READ) == EXPECTED
    first = fetched(tmp_path)
    assert first.url == f"postgresql://{server}/postgres"
    assert fetched(tmp_path).data_version == first.data_version
    written = [path for path in tmp_path.rglob("*") if path.is_file() and b"geheim" in path.read_bytes()]
    assert written == []
    captured = capsys.readouterr()
    assert "geheim" not in captured.out + captured.err


def test_a_wrong_password_and_a_wrong_query_are_one_line_without_the_password(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "falsch")
    address = f"postgresql://ann@{server}/postgres"
    declare_database(tmp_path, address)
    with pytest.raises(RecsysError, match=r"password authentication failed .*check `database`") as caught:
        fetched(tmp_path)
    assert "falsch" not in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", "geheim")
    for query, message in (
        ("SELECT * FROM order_s", r'relation "order_s" does not exist'),
        ("DELETE FROM orders RETURNING *", "read-only transaction"),
    ):
        declare_database(tmp_path, address, query)
        with pytest.raises(RecsysError, match=message) as caught:
            fetched(tmp_path)
        assert "\n" not in str(caught.value)
