"""Files of any shape reach published lists in two commands, in the ids of the source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import public_files
import pytest
from running_servers import running_postgres
from shapes import EVENTS, N_ITEMS, N_USERS, SHAPES, Shape, sku, user_uuid
from typed_command import Typed

Id = str | int


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs, each of which has a domain of its own."""
    return tmp_path_factory.mktemp("own_data")


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RECSYS_HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    return folder / "home"


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Type a command that has to succeed; return what it printed."""
    command = Typed(capsys, *words)
    assert command.code == 0, command.err
    return command.out


def run(capsys: pytest.CaptureFixture[str], domain: str) -> None:
    typed(capsys, "run", "--domain", domain, "--models", "popularity")


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def check_published(home: Path, domain: str, users: set[Id], items: set[Id]) -> None:
    """Every user has a list, of items of the source, and both are written as in the source and of the same type."""
    published = home / "published" / f"{domain}.duckdb"
    assert {user for (user,) in rows(published, "SELECT DISTINCT user_id FROM recommendations")} == users
    listed = {item for (item,) in rows(published, "SELECT DISTINCT item_id FROM recommendations")}
    assert listed
    assert listed <= items


def ids(of: Callable[[int], Id], n: int) -> set[Id]:
    return {of(number) for number in range(1, n + 1)}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_shape_is_published_in_the_ids_of_the_source(
    shape: Shape, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(capsys, "import", *shape.write(home.parent / shape.name), "--domain", shape.name, "--yes")
    run(capsys, shape.name)
    warehouse = home / "warehouse" / f"{shape.name}.duckdb"
    assert rows(warehouse, "SELECT reason, raw FROM clean.rejected") == []
    counted = "SELECT count(*), count(DISTINCT user_id), count(DISTINCT item_id) FROM clean.interactions"
    assert rows(warehouse, counted) == [(len(EVENTS), N_USERS, N_ITEMS)]
    described = N_ITEMS if shape.items else 0
    assert rows(warehouse, "SELECT count(title), count(genres) FROM clean.items") == [(described, described)]
    times = N_USERS * 18 if "time" in shape.interactions else 0
    assert rows(warehouse, 'SELECT count("at") FROM clean.interactions') == [(times,)]
    assert rows(warehouse, "SELECT scale_low, scale_high FROM clean.origin") == [shape.scale or (None, None)]
    check_published(home, shape.name, ids(shape.user, N_USERS), ids(shape.item, N_ITEMS))
    typed(capsys, "recommend", "--domain", shape.name, "--user", str(shape.user(1)), "-n", "3")


def test_a_postgresql_table_is_published_in_its_ids(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running_postgres() as address:
        with adbc.connect(address, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE reviews (customer uuid, sku text, stars numeric(2, 1), at timestamptz)")
            values = ", ".join(
                f"('{user_uuid(one.user)}', '{sku(one.item)}', {one.stars}, '{one.at}')" for one in EVENTS
            )
            cursor.execute(f"INSERT INTO reviews VALUES {values}")
        typed(capsys, "import", address, "--query", "SELECT * FROM reviews", "--name", "reviews", "--yes")
        run(capsys, "reviews")
    warehouse = home / "warehouse" / "reviews.duckdb"
    assert rows(warehouse, "SELECT count(rating), count(rated_at) FROM clean.ratings") == [(len(EVENTS), len(EVENTS))]
    check_published(home, "reviews", ids(user_uuid, N_USERS), ids(sku, N_ITEMS))


@pytest.mark.parametrize(("dataset_id", "domain"), [("goodbooks-10k", "book"), ("ml-1m", "movie")])
def test_a_public_archive_is_published_in_its_ids(
    dataset_id: str, domain: str, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = public_files.write_archive(home.parent, dataset_id)
    out = typed(capsys, "import", str(archive), "--yes")
    assert f"recsys run --domain {domain}" in out
    monkeypatch.setenv(f"RECSYS_DATASET_{domain.upper()}", dataset_id)
    run(capsys, domain)
    check_published(home, domain, ids(int, public_files.N_USERS), ids(int, public_files.N_ITEMS))
