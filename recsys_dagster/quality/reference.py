"""Describe the data of the published lists, as the reference that the next run is compared with.

The reference is kept in the published file: a failed run does not change it, and a rollback to earlier lists restores
theirs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsys_dagster.errors import RecsysError
from recsys_dagster.quality.findings import Finding
from recsys_dagster.serving.lookup import open_without_lock
from recsys_dagster.warehouse.domain_run import DomainRun

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

VOLUMES = """
SELECT 'items' AS name, count(*) AS rows FROM clean.items
UNION ALL
SELECT 'ratings', count(*) FROM clean.ratings
UNION ALL
SELECT 'interactions', count(*) FROM clean.interactions
UNION ALL
SELECT 'users', count(DISTINCT user_id) FROM clean.interactions
"""
RATING_COUNTS = "SELECT rating, count(*) AS ratings FROM clean.ratings GROUP BY rating"
COUNTED = """
SELECT item_id FROM clean.ratings
UNION ALL
SELECT item_id FROM clean.interactions WHERE NOT EXISTS (SELECT 1 FROM clean.ratings)
"""
"""The item of each rating or, where there are no ratings, of each interaction."""
ITEM_RATINGS = f"""
SELECT coalesce(items.source_id, counted.item_id::VARCHAR) AS item_id, counted.ratings
FROM (SELECT item_id, count(*) AS ratings FROM ({COUNTED}) GROUP BY item_id) AS counted
LEFT JOIN clean.items AS items USING (item_id)
"""
"""Items by the text of their id in the source, which stays when new rows make numbers into texts."""
_QUERIES = {"volumes": VOLUMES, "rating_counts": RATING_COUNTS, "item_ratings": ITEM_RATINGS}

NOTHING_YET = Finding("the last publication", "of the same dataset", "none, so there is nothing to compare with", True)


def reference_tables(connection: "duckdb.DuckDBPyConnection") -> "dict[str, pa.Table]":
    """Return what the next run is compared with: rows of each table, and number of ratings by value and by item."""
    return {name: connection.sql(f"{query} ORDER BY ALL").to_arrow_table() for name, query in _QUERIES.items()}


@contextmanager
def with_reference(run: DomainRun) -> "Iterator[tuple[duckdb.DuckDBPyConnection, bool]]":
    """Give a connection to the warehouse that also has the reference, and whether there is one to compare with.

    The reference is the views `last_volumes`, `last_rating_counts` and `last_item_ratings`. There is none if nothing is
    published, if the published lists are of another dataset, or if their file cannot be read: a damaged file must not
    keep the next run from replacing it. The file is read before and apart from the warehouse, even while another
    program has it open for writing.
    """
    reference = _read_reference(run)
    with run.warehouse.connect() as connection:
        for name, table in reference.items():
            connection.register(f"last_{name}", table)
        yield connection, bool(reference)


def _read_reference(run: DomainRun) -> "dict[str, pa.Table]":
    try:
        with open_without_lock(run.layout.published(run.domain.name)) as published:
            if published.provenance().dataset != run.origin.dataset_id:
                return {}
            return {name: published.to_arrow(f"FROM {name}") for name in _QUERIES}
    except RecsysError:
        return {}


def attach(connection: "duckdb.DuckDBPyConnection", path: object, name: str) -> None:
    """Attach a DuckDB file to read from."""
    literal = "'" + str(path).replace("'", "''") + "'"
    connection.execute(f"ATTACH {literal} AS {name} (READ_ONLY)")
