"""Export the training and test interactions of a protocol from the clean tables as Parquet files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.warehouse.database import Warehouse, quoted, require
from recsys_dagster.warehouse.origin import origin_of
from recsys_dagster.warehouse.sql_files import sql_tables

FOLDS = ("train", "test", "fold_in")


@dataclass(frozen=True)
class FoldFiles:
    """The Parquet files of a split, as `load_split` reads them.

    Attributes:
        train, test: columns `user_id`, `item_id`, `rating`, `weight` and `at`, ordered by user and item; ids as the
            source writes them.
        fold_in: the same for the history of new users; None where the test users are those of `train`.
        items: columns `item_id`, `kind`, `year`, `genres`, `tags` and `site_score` of the items that are kept.
    """

    train: Path
    test: Path
    fold_in: Path | None
    items: Path


def export_folds(
    warehouse: Warehouse,
    method: str,
    parameters: Mapping[str, float | None],
    folder: Path,
    *,
    items: str = "TRUE",
    pairs: str = "TRUE",
    needs_times: bool = False,
) -> FoldFiles:
    """Split the interactions of the clean tables and write each part as a Parquet file; no table is changed.

    Equal tables and arguments give equal files, whatever the order of the rows in the tables.

    Args:
        warehouse: where the clean tables are.
        method: name of a file in `sql/protocol`.
        parameters: values that its SQL finds in `protocol.parameters`; `seed` is always required, and the like
            threshold is None with implicit feedback.
        folder: gets `train.parquet`, `test.parquet`, `items.parquet` and, if the method has a fold-in,
            `fold_in.parquet`; each file is replaced atomically.
        items: SQL condition on the columns of `clean.items`; other items are dropped.
        pairs: SQL condition on the columns of `protocol.interactions`; other pairs are dropped.
        needs_times: whether the method splits by time.

    Raises:
        RecsysError: the tables do not exist, or the training or test part would be empty.
    """
    tables = {table.name: table for table in sql_tables("protocol")}
    with warehouse.connect() as connection:
        for schema in ("clean", "features"):
            require(connection, warehouse, schema, [table.name for table in sql_tables(schema)])
        connection.execute(f"ATTACH {quoted(warehouse.scratch / 'protocol.duckdb')} AS protocol")
        values = ", ".join(f"${name} AS {name}" for name in parameters)
        connection.execute(f"CREATE TABLE protocol.parameters AS SELECT {values}", dict(parameters))
        connection.execute(f"CREATE TABLE protocol.items AS SELECT * FROM clean.items WHERE {items}")
        connection.execute(f"CREATE TABLE protocol.interactions AS {tables['interactions'].sql}")
        connection.execute(f"CREATE VIEW protocol.pairs AS SELECT * FROM protocol.interactions WHERE {pairs}")
        if ("protocol", "cut") in tables[method].reads:
            connection.execute(f"CREATE TABLE protocol.cut AS {tables['global_time'].sql}")
            connection.execute(f"CREATE TABLE protocol.moments AS {tables['moments'].sql}")
        connection.execute(f"CREATE TABLE protocol.folds AS {tables[method].sql}")
        sizes = dict(connection.execute("SELECT fold, count(*) FROM protocol.folds GROUP BY fold").fetchall())
        for fold in ("train", "test"):
            if not sizes.get(fold):
                raise RecsysError(
                    f"{warehouse.path}: the protocol {method.replace('_', '-')} leaves no interaction for the {fold} "
                    f"part: {_why_empty(connection, needs_times)}"
                )
        origin = origin_of(connection, warehouse)
        user = "users.source_id" if origin.user_ids == "text" else "user_id"
        item = "items.source_id" if origin.item_ids == "text" else "item_id"
        files = {fold: folder / f"{fold}.parquet" for fold in FOLDS}
        queries = {
            files[fold]: f'SELECT {user} AS user_id, {item} AS item_id, rating, weight, "at" FROM protocol.folds'
            " LEFT JOIN clean.users AS users USING (user_id) INNER JOIN clean.items AS items USING (item_id)"
            f" WHERE fold = '{fold}' ORDER BY ALL"
            for fold in FOLDS
            if fold in sizes
        }
        item_file = folder / "items.parquet"
        queries[item_file] = (
            f"SELECT {item} AS item_id, kind, year, genres, tags, site_score FROM protocol.items ORDER BY ALL"
        )
        for path, query in queries.items():
            with replacing(path) as unfinished:
                connection.execute(f"COPY ({query}) TO {quoted(unfinished)} (FORMAT parquet, COMPRESSION zstd)")
        connection.execute("DETACH protocol")
    fold_in = files["fold_in"]
    if "fold_in" not in sizes:
        fold_in.unlink(missing_ok=True)
    return FoldFiles(files["train"], files["test"], fold_in if "fold_in" in sizes else None, item_file)


def _why_empty(connection: duckdb.DuckDBPyConnection, needs_times: bool) -> str:
    """Return why a part of the split is empty, and what can be done about it."""
    kept, timed, moments = connection.execute(
        'SELECT count(*), count("at"), count(DISTINCT "at") FROM protocol.pairs'
    ).fetchall()[0]
    if not kept:
        return "no interaction meets its conditions; choose another dataset or protocol"
    if needs_times and not timed:
        return f"none of the {kept:,} interactions has a time; choose a dataset with times, or another protocol"
    if needs_times and moments == 1:
        return f"all {timed:,} interactions have the same time; choose a dataset with real times, or another protocol"
    return f"{kept:,} interactions are too few; choose a dataset with more, or another protocol"
