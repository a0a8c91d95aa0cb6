"""What the data looked like when lists were last published, kept in the published file itself.

So the reference is always that of the lists in use: a failed run leaves it as it was, and going back to earlier lists
goes back to what they were made of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from recsys_dagster.quality.findings import Finding
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
ITEM_RATINGS = "SELECT item_id, count(*) AS ratings FROM clean.ratings GROUP BY item_id"

NOTHING_YET = Finding("the last publication", "of the same dataset", "none, so there is nothing to compare with", True)


def reference_tables(connection: "duckdb.DuckDBPyConnection") -> "dict[str, pa.Table]":
    """Return what the next run is held against: rows of each table, ratings by value and by title."""
    queries = {"volumes": VOLUMES, "rating_counts": RATING_COUNTS, "item_ratings": ITEM_RATINGS}
    return {name: connection.sql(f"{query} ORDER BY ALL").to_arrow_table() for name, query in queries.items()}


@contextmanager
def beside_the_last(run: DomainRun) -> "Iterator[tuple[duckdb.DuckDBPyConnection, bool]]":
    """Give the warehouse with the published file attached as `last`, and whether that can be compared with it.

    It cannot where nothing is published, the lists are of another dataset, or of a project that kept no reference yet.
    """
    published = run.layout.published(run.domain.name)
    with run.warehouse.connect() as connection:
        comparable = False
        if published.exists():
            attach(connection, published, "last")
            tables = {
                name
                for (name,) in connection.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'last'"
                ).fetchall()
            }
            datasets = connection.execute("SELECT dataset FROM last.provenance").fetchall()
            comparable = "volumes" in tables and datasets == [(run.dataset.id,)]
        yield connection, comparable


def attach(connection: "duckdb.DuckDBPyConnection", path: object, name: str) -> None:
    """Attach a DuckDB file to read from."""
    literal = "'" + str(path).replace("'", "''") + "'"
    connection.execute(f"ATTACH {literal} AS {name} (READ_ONLY)")
