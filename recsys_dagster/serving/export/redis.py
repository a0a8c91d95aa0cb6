"""Export to Redis: a key for each user, under the prefix of the publication; a pointer names the prefix.

    recsys:<domain>:current                 → the prefix of the publication, such as recsys:movie:20261129T120000
    <prefix>:user:<id>                      → JSON list of {item_id, rank, score}
    <prefix>:item:<id>                      → JSON object with the fields of an item

The pointer is set last. The keys of the publication before it expire after an hour, for readers that have just read
the pointer.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.serving.export.tables import count

if TYPE_CHECKING:
    from redis import Redis

EXPIRY_SECONDS = 3600
_KEYS_PER_PIPELINE = 1000
_ROWS_PER_BATCH = 2**17
_Value = TypeVar("_Value")


def export_to_redis(published: Path, address: str) -> int:
    """Write the lists under a new prefix and point to it; return the number of recommendations.

    Raises:
        RecsysError: the server cannot be reached or refuses a command; the pointer stays as it was.
    """
    try:
        import redis
    except ImportError:
        raise RecsysError("writing to Redis needs the package redis: pip install recsys-dagster[redis]") from None
    domain = published.stem
    pointer = f"recsys:{domain}:current"
    prefix = f"recsys:{domain}:{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    try:
        with redis.Redis.from_url(address) as server, duckdb.connect(published, read_only=True) as source:
            _write(server, _lists(source, prefix))
            _write(server, _items(source, prefix))
            server.set(pointer, prefix)
            _expire_others(server, f"recsys:{domain}:", prefix, pointer)
            return count(source, "recommendations")
    except (redis.RedisError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise RecsysError(
            f"Redis: the lists of {domain} could not be written ({reason}); check the address (the lists from before "
            "stay)"
        ) from None


def _in_batches(values: Iterable[_Value]) -> Iterator[list[_Value]]:
    rest = iter(values)
    while some := list(islice(rest, _KEYS_PER_PIPELINE)):
        yield some


def _write(server: "Redis", pairs: Iterator[tuple[str, str]]) -> None:
    for some in _in_batches(pairs):
        server.mset(dict(some))


def _lists(source: duckdb.DuckDBPyConnection, prefix: str) -> Iterator[tuple[str, str]]:
    """Give the key and the value of each user; the published table is in the order of user and rank."""
    rows = _rows(source, "SELECT user_id, rank, item_id, score FROM recommendations")
    for user, entries in groupby(rows, key=lambda row: row.pop("user_id")):
        yield f"{prefix}:user:{user}", json.dumps(list(entries), separators=(",", ":"))


def _items(source: duckdb.DuckDBPyConnection, prefix: str) -> Iterator[tuple[str, str]]:
    for row in _rows(source, "SELECT * FROM items"):
        yield f"{prefix}:item:{row['item_id']}", json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def _rows(source: duckdb.DuckDBPyConnection, query: str) -> Iterator[dict[str, Any]]:
    for batch in source.sql(query).to_arrow_reader(_ROWS_PER_BATCH):
        yield from batch.to_pylist()


def _expire_others(server: "Redis", domain: str, kept: str, pointer: str) -> None:
    """Let the keys of every other publication expire, unless they do so already."""
    others = (
        key
        for key in server.scan_iter(match=f"{domain}*", count=_KEYS_PER_PIPELINE)
        if not key.startswith(f"{kept}:".encode()) and key != pointer.encode()
    )
    for some in _in_batches(others):
        with server.pipeline(transaction=False) as pipeline:
            for key in some:
                pipeline.expire(key, EXPIRY_SECONDS, nx=True)
            pipeline.execute()
