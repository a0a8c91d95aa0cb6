"""Make the tables in DuckDB, in the file of the domain."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

from recsys_dagster.ingest.catalogue import Dataset
from recsys_dagster.ingest.manifest import Manifest
from recsys_dagster.warehouse.raw_files import Loaded, load_raw
from recsys_dagster.warehouse.sql_files import Materialisation, SqlTable

ROWS_PER_BLOCK = 2**24
"""Raw interactions that are joined at once where a table is materialised by blocks of users."""

_IDENTIFIED = """
SELECT user_id, item_id FROM staging.all_interactions
WHERE is_listing = {is_listing} AND user_id IS NOT NULL AND item_id IS NOT NULL
"""

_OUT_OF_ORDER = """
SELECT 1 FROM (
    SELECT user_id, item_id, lag(user_id) OVER () AS last_user, lag(item_id) OVER () AS last_item
    FROM ({interactions})
)
WHERE user_id < last_user OR (user_id = last_user AND item_id <= last_item)
LIMIT 1
"""
"""Finds a row that does not come after the one before it. Where there is none, no pair repeats: whatever the order in
which the engine reads the rows, a strictly rising sequence has no equal elements."""


class DuckDBEngine:
    """Makes the tables through an open connection; see `Engine`.

    Attributes:
        connection: to the domain's file.
        scratch: existing folder for temporary files.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        self.connection, self.scratch = connection, scratch
        self._rows_read = 0

    def read_raw(self, dataset: Dataset, manifest: Manifest, *, max_rejected: float) -> Loaded:
        """Read every file of a dataset; see `Engine`."""
        loaded = load_raw(self.connection, self.scratch, dataset, manifest, max_rejected=max_rejected)
        self._rows_read = sum(file.rows_read for file in loaded.files)
        return loaded

    def create_table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Create a small table of rows; see `Engine`."""
        self.connection.execute(f"CREATE TABLE {name} ({', '.join(f'{key} {kind}' for key, kind in columns.items())})")
        for row in rows:
            self.connection.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", list(row))

    def create_view(self, name: str, sql: str) -> None:
        """Create a view; see `Engine`."""
        self.connection.execute(f"CREATE VIEW {name} AS {sql}")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT; see `Engine`."""
        return self.connection.execute(sql).fetchall()

    def materialise(self, table: SqlTable) -> None:
        """Create a table or view; see `Engine`."""
        name = f"{table.schema}.{table.name}"
        match table.materialisation:
            case Materialisation.VIEW:
                self.create_view(name, table.sql)
            case Materialisation.REPEATED_PAIRS if _no_pair_repeats(self.connection):
                self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM ({table.sql}) LIMIT 0")
            case Materialisation.TABLE | Materialisation.REPEATED_PAIRS:
                self.connection.execute(f"CREATE TABLE {name} AS {table.sql}")
            case Materialisation.BLOCKS_OF_USERS:
                self._create_by_blocks(name, table)

    def _create_by_blocks(self, name: str, table: SqlTable) -> None:
        """Create a table that reads `staging.kept_interactions` by one INSERT for each block of users.

        A join that fits into memory takes a fraction of the time of one that spills. Where the raw files are in the
        order of the users, each block reads only its own part of them.
        """
        low, high = self.query(
            "SELECT coalesce(min(user_id), 0), coalesce(max(user_id), 0) FROM staging.all_interactions"
        )[0]
        n_blocks = math.ceil(self._rows_read / ROWS_PER_BLOCK)
        self.connection.execute(f"CREATE TABLE {name} AS SELECT * FROM ({table.sql}) LIMIT 0")
        for start, end in pairwise(low + (high + 1 - low) * block // n_blocks for block in range(n_blocks + 1)):
            users = f"(SELECT * FROM staging.kept_interactions WHERE user_id >= {start} AND user_id < {end})"
            block_sql = table.sql.replace("FROM staging.kept_interactions", f"FROM {users} AS kept_interactions")
            self.connection.execute(f"INSERT INTO {name} {block_sql}")


def _no_pair_repeats(connection: duckdb.DuckDBPyConnection) -> bool:
    """Return whether certainly no (user, item) pair repeats among the lists, or among all else.

    That takes a fraction of the time of grouping them. The files of some publishers are sorted by user and item, which
    one pass confirms; of others the hashes of the pairs are compared.
    """
    return all(
        not connection.execute(_OUT_OF_ORDER.format(interactions=identified)).fetchall()
        or not _hashes_repeat(connection, identified)
        for identified in (_IDENTIFIED.format(is_listing=is_listing) for is_listing in ("FALSE", "TRUE"))
    )


def _hashes_repeat(connection: duckdb.DuckDBPyConnection, interactions: str) -> bool:
    """Return whether two (user, item) pairs have the same hash of 64 bits, as repeated ones do.

    A block of hashes is sorted at once, by NumPy, which takes a third of the time of sorting the pairs in DuckDB.
    """
    n_rows = connection.execute(f"SELECT count(*) FROM ({interactions})").fetchall()[0][0]
    n_blocks = math.ceil(n_rows / ROWS_PER_BLOCK)
    for block in range(n_blocks):
        hashes = connection.execute(
            f"SELECT hash FROM (SELECT hash(user_id, item_id) AS hash FROM ({interactions}))"
            f" WHERE hash % {n_blocks} = {block}"
        ).fetchnumpy()["hash"]
        hashes.sort()
        if (hashes[1:] == hashes[:-1]).any():
            return True
    return False
