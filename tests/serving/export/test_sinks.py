"""The published lists, copied to files, PostgreSQL and Redis."""

import csv
import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import pytest
import redis
from running_servers import running_postgres, running_redis
from small_publication import publish_small, publish_wide
from typed_command import Typed

from recsys_dagster.errors import RecsysError, UsageError
from recsys_dagster.serving.export.sinks import export, export_everywhere
from recsys_dagster.settings import Settings

LISTS = [(7, 1, 100, 4.5), (7, 2, 310, 4.25), (7, 3, 205, 1.0), (11, 1, 205, 3.0), (11, 2, 100, 2.0)]
LISTS.append((40, 1, 310, 67310.0))


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with running_postgres() as address:
        yield address


@pytest.fixture(scope="module")
def redis_address() -> Iterator[str]:
    with running_redis() as address:
        yield address


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "published" / "anime.duckdb"
    publish_small(path)
    return path


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl"])
def test_files_hold_the_lists_and_the_manifest_their_checksums(published: Path, tmp_path: Path, format_: str) -> None:
    assert export(published, str(tmp_path / "out"), format_).rows == 6
    folder = tmp_path / "out" / "anime"
    manifest = json.loads((folder / "latest.json").read_text())
    assert (manifest["model"], manifest["licence"]) == ("popularity", "free for any use")
    files = folder / manifest["folder"]
    for name, described in manifest["files"].items():
        content = (files / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (described["bytes"], described["sha256"])
    lists = files / f"recommendations.{format_}"
    read = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}[format_]
    rows = duckdb.sql(f"SELECT user_id, rank, item_id, score FROM {read}('{lists}') ORDER BY ALL").fetchall()
    assert rows == LISTS


def test_a_list_of_genres_is_json_in_csv(published: Path, tmp_path: Path) -> None:
    export(published, str(tmp_path / "out"), "csv")
    (path,) = (tmp_path / "out" / "anime").glob("*/items.csv")
    with path.open(newline="") as file:
        genres = [json.loads(row["genres"] or "null") for row in csv.DictReader(file)]
    assert genres == [["Drama", "Slice of Life"], None, ["Drama", "Slice of Life"], ["Drama", "Slice of Life"]]


def test_the_newest_two_exports_are_kept(published: Path, tmp_path: Path) -> None:
    for _ in range(3):
        export(published, str(tmp_path / "out"))
    folder = tmp_path / "out" / "anime"
    kept = sorted(path.name for path in folder.iterdir() if path.is_dir())
    assert len(kept) == 2
    assert json.loads((folder / "latest.json").read_text())["folder"] == kept[-1]


def test_postgresql_gets_every_table_with_an_index(published: Path, postgres: str) -> None:
    assert export(published, postgres).target.startswith("postgresql://127.0.0.1:")
    with adbc.connect(postgres) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user_id, rank, item_id, score FROM anime.recommendations ORDER BY 1, 2")
        assert cursor.fetchall() == LISTS
        cursor.execute("SELECT title, genres FROM anime.items WHERE item_id = 310")
        assert cursor.fetchone() == ("Mushishi", ["Drama", "Slice of Life"])
        cursor.execute("SELECT model, packages::json ->> 'recsys-dagster' FROM anime.provenance")
        assert cursor.fetchone() == ("popularity", "0.1.0")
        cursor.execute("SELECT count(*) FROM pg_indexes WHERE schemaname = 'anime'")
        assert cursor.fetchone() == (5,)


def test_readers_of_postgresql_never_see_a_mix(published: Path, postgres: str) -> None:
    publish_wide(published, "v0", n_users=2000)
    export(published, postgres)
    stop, mixed, seen = threading.Event(), [], set()

    def read() -> None:
        query = "SELECT count(*), min(score), max(score), min(version), max(version) FROM anime.recommendations"
        with adbc.connect(postgres, autocommit=True) as connection, connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(query)
                row = cursor.fetchone()
                seen.add(row[3])
                if row != (100_000, row[1], row[1], f"v{row[1]:g}", f"v{row[1]:g}"):
                    mixed.append(row)

    reading = threading.Thread(target=read)
    reading.start()
    for number in (1, 2, 3):
        publish_wide(published, f"v{number}", n_users=2000)
        export(published, postgres)
    stop.set()
    reading.join()
    assert mixed == []
    assert len(seen) > 1


def test_redis_points_to_the_newest_publication_and_the_one_before_expires(published: Path, redis_address: str) -> None:
    with redis.Redis.from_url(redis_address) as server:
        export(published, redis_address)
        first = server.get("recsys:anime:current").decode()
        assert [item["item_id"] for item in json.loads(server.get(f"{first}:user:7"))] == [100, 310, 205]
        assert json.loads(server.get(f"{first}:item:310"))["title"] == "Mushishi"
        assert server.ttl(f"{first}:user:7") == -1
        export(published, redis_address)
        second = server.get("recsys:anime:current").decode()
        assert second != first
        assert 0 < server.ttl(f"{first}:user:7") <= 3600
        assert server.ttl(f"{second}:user:7") == server.ttl("recsys:anime:current") == -1


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("postgresql://shop:hidden-word@127.0.0.1:1/shop", "could not be written"),
        ("redis://:hidden-word@127.0.0.1:1/0", "could not be written"),
        ("ftp://127.0.0.1/x", "not a known target"),
        ("/proc/lists", "/proc/lists"),
    ],
)
def test_a_sink_that_cannot_be_written_is_explained_without_its_password(
    published: Path, target: str, message: str
) -> None:
    with pytest.raises(RecsysError, match=message) as caught:
        export(published, target)
    assert "hidden-word" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_sink_that_fails_does_not_stop_the_others(published: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, export=f"redis://:word@127.0.0.1:1/0, {tmp_path / 'out'}", _env_file=None)
    with pytest.raises(RecsysError, match="redis://127"):
        export_everywhere(published, settings)
    assert (tmp_path / "out" / "anime" / "latest.json").exists()


def test_the_command_writes_files(published_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "lists")
    done = Typed(capsys, "export", "--domain", "anime", "--out", out)
    assert (done.code, done.out) == (0, f"anime: 6 recommendations written to {out}\n")
    refused = Typed(capsys, "export", "--domain", "anime", "--out", out, "--format", "xlsx")
    assert (refused.code, refused.err) == (2, "recsys: unknown format 'xlsx'; known: parquet, csv, jsonl\n")


def test_an_unknown_scheme_is_a_wrong_use(published: Path) -> None:
    with pytest.raises(UsageError):
        export(published, "mysql://127.0.0.1/x")
