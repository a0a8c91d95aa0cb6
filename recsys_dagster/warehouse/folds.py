"""Clean tables → the files of a split: which pairs are there to learn from, and which to be judged by."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.storage import replacing
from recsys_dagster.warehouse.build import require
from recsys_dagster.warehouse.database import Warehouse, quoted
from recsys_dagster.warehouse.sql_files import SqlTable, sql_tables

FOLDS = ("train", "test", "fold_in")


@dataclass(frozen=True)
class FoldFiles:
    """The Parquet files of a split, as `load_split` reads them.

    Attributes:
        train, test: columns `user_id`, `item_id`, `rating`, `at`, by user and item.
        fold_in: the same of what is known of new users; None where the users of the test are those of `train`.
        titles: `item_id`, `kind`, `year`, `genres`, `site_score` of the titles that the split keeps.
    """

    train: Path
    test: Path
    fold_in: Path | None
    titles: Path


def export_folds(
    warehouse: Warehouse,
    division: str,
    parameters: Mapping[str, float],
    folder: Path,
    *,
    titles: str = "TRUE",
    pairs: str = "TRUE",
) -> FoldFiles:
    """Divide the ratings and watches of the clean tables, and write each part as a Parquet file; change no table.

    Equal tables and arguments give equal files, in whatever order the rows of the tables are.

    Args:
        warehouse: where the clean tables are.
        division: name of a file in `sql/protocol`.
        parameters: what its SQL finds in `protocol.parameters`; `seed` is always needed.
        folder: gets `train.parquet`, `test.parquet`, `titles.parquet` and perhaps `fold_in.parquet`, each replaced
            atomically.
        titles: SQL condition on the columns of `clean.items` that a title has to meet to be kept.
        pairs: SQL condition on the columns of `protocol.interactions` that a pair has to meet to be kept.

    Raises:
        RecsysError: the tables are not there, or no pair falls to the training or the test part.
    """
    tables = {table.name: table for table in sql_tables("protocol")}
    with warehouse.connect() as connection:
        for schema in ("clean", "features"):
            require(connection, warehouse, schema, [table.name for table in sql_tables(schema)])
        connection.execute(f"ATTACH {quoted(warehouse.scratch / 'protocol.duckdb')} AS protocol")
        values = ", ".join(f"${name} AS {name}" for name in parameters)
        connection.execute(f"CREATE TABLE protocol.parameters AS SELECT {values}", dict(parameters))
        connection.execute(f"CREATE TABLE protocol.items AS SELECT * FROM clean.items WHERE {titles}")
        connection.execute(f"CREATE TABLE protocol.interactions AS {tables['interactions'].sql}")
        connection.execute(f"CREATE VIEW protocol.pairs AS SELECT * FROM protocol.interactions WHERE {pairs}")
        connection.execute(f"CREATE TABLE protocol.folds AS {tables[division].sql}")
        counted = dict(connection.execute("SELECT fold, count(*) FROM protocol.folds GROUP BY fold").fetchall())
        for fold in ("train", "test"):
            if not counted.get(fold):
                raise RecsysError(
                    f"{warehouse.path}: {_said(tables[division])} leaves no pair for the {fold} part; "
                    "take a dataset with more ratings, and with times where the protocol goes by them"
                )
        files = {fold: folder / f"{fold}.parquet" for fold in FOLDS}
        queries = {
            files[fold]: 'SELECT user_id, item_id, rating, "at" FROM protocol.folds'
            f" WHERE fold = '{fold}' ORDER BY user_id, item_id"
            for fold in FOLDS
            if fold in counted
        }
        described = folder / "titles.parquet"
        queries[described] = "SELECT item_id, kind, year, genres, site_score FROM protocol.items ORDER BY item_id"
        for path, query in queries.items():
            with replacing(path) as beside:
                connection.execute(f"COPY ({query}) TO {quoted(beside)} (FORMAT parquet, COMPRESSION zstd)")
        connection.execute("DETACH protocol")
    fold_in = files["fold_in"]
    if "fold_in" not in counted:
        fold_in.unlink(missing_ok=True)
    return FoldFiles(files["train"], files["test"], fold_in if "fold_in" in counted else None, described)


def _said(division: SqlTable) -> str:
    return f"the protocol {division.name.replace('_', '-')}"
