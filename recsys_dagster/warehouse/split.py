"""Load a user's own training and test files as arrays, without touching a warehouse.

The files take the places of `clean.items` and `clean.interactions` in a temporary database, so that the SQL of the
pipeline numbers the users and items and lists the genres.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.split import Split
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.storage import temporary_folder
from recsys_dagster.warehouse.arrays import read_fold, read_ids, read_item_features, read_sizes
from recsys_dagster.warehouse.database import Warehouse, quoted
from recsys_dagster.warehouse.schemas import create_statements, tables_of
from recsys_dagster.warehouse.sql_files import sql_tables

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_ALL_NULL = '"NULL"'
"""DuckDB's type of a column that was written without any value."""
_WITH_ZONE = "TIMESTAMP WITH TIME ZONE"
_TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", _WITH_ZONE, "DATE", _ALL_NULL)


@dataclass(frozen=True)
class _Column:
    """A column of a file.

    Attributes:
        name: its name.
        type: DuckDB type that it is read as.
        meaning: what its values are, for error messages.
        accepted: DuckDB types, without their widths, that are read as `type` without guessing.
        required: whether the file must have it.
    """

    name: str
    type: str
    meaning: str
    accepted: tuple[str, ...]
    required: bool = True

    def expression(self, actual: str | None) -> str:
        """Return the SQL that reads it from a file where it has the type `actual`, or is missing (None)."""
        if actual in (None, _ALL_NULL):
            return f'cast(NULL AS {self.type}) AS "{self.name}"'
        zone = " AT TIME ZONE 'UTC'" if actual == _WITH_ZONE else ""
        value = f'cast("{self.name}"{zone} AS {self.type})'
        # Some writers leave NaN where others leave NULL.
        value = f"CASE WHEN NOT isnan({value}) THEN {value} END" if self.type == "FLOAT" else value
        return f'{value} AS "{self.name}"'


_NUMBERS = (*_INTEGERS, "FLOAT", "DOUBLE", "DECIMAL", _ALL_NULL)
_INTERACTIONS = (
    _Column("user_id", "BIGINT", "which user", _INTEGERS),
    _Column("item_id", "BIGINT", "which item", _INTEGERS),
    _Column("rating", "FLOAT", "NULL for a like without a rating", _NUMBERS),
    _Column("weight", "FLOAT", "strength of an interaction, above 0", _NUMBERS, required=False),
    _Column("at", "TIMESTAMP", "when", _TIMES, required=False),
)
_ITEMS = (
    _Column("item_id", "BIGINT", "which item", _INTEGERS),
    _Column("genres", "VARCHAR[]", "a list of names", ("VARCHAR[]", _ALL_NULL)),
    _Column("kind", "VARCHAR", "such as TV or Movie", ("VARCHAR", _ALL_NULL), required=False),
    _Column("year", "INTEGER", "of release", (*_INTEGERS, _ALL_NULL), required=False),
    _Column("site_score", "FLOAT", "the mean on the publisher's site", _NUMBERS, required=False),
)


def load_split(
    train: Path,
    test: Path,
    fold_in: Path | None,
    items: Path | None,
    *,
    scale: tuple[float, float],
    like_threshold: float,
    scratch: Path,
    memory_limit: str | None = None,
) -> Split:
    """Read Parquet files into index space; users and items are numbered in the order of their ids.

    Args:
        train, test, fold_in: files with the columns `user_id`, `item_id` (BIGINT), `rating` (FLOAT; NULL for a like
            without a rating) and optionally `at` (TIMESTAMP).
        items: file with `item_id` and `genres` and optionally `kind`, `year` and `site_score`, as in `clean.items`.
        scale: lowest and highest rating.
        like_threshold: rating from which on an item counts as liked.
        scratch: existing folder for temporary files.
        memory_limit: upper bound of DuckDB's memory, such as '4GB', beyond which it spills.

    Raises:
        RecsysError: a file is missing, not Parquet or empty; lacks a column or has one of another type; has ids that
            are NULL, ratings off the scale or a repeated pair; or the test file has pairs of the training file (with
            `fold_in`, of that file).
    """
    files = {"train": train, "test": test} | ({"fold_in": fold_in} if fold_in else {})
    with (
        temporary_folder(scratch) as folder,
        Warehouse(folder / "files.duckdb", memory_limit).connect() as connection,
    ):
        connection.execute("CREATE SCHEMA source; CREATE SCHEMA clean; CREATE SCHEMA features;")
        for name, path in files.items():
            _open(connection, name, path, _INTERACTIONS)
            _check_values(connection, name, path, scale)
            _refuse_repeated(connection, name, path, ("user_id", "item_id"))
        _refuse_known(connection, "fold_in" if fold_in else "train", files)
        _open_items(connection, items)
        _create_features(connection, list(files))
        if fold_in:
            _announce_trained_test_users(connection)
        n_users, n_items = read_sizes(connection)
        return Split(
            TrainingData(
                train=read_fold(connection, "train"),
                validation=Interactions.empty(),
                n_users=n_users,
                n_items=n_items,
                item_features=read_item_features(connection, n_items),
                scale=scale,
                like_threshold=like_threshold,
            ),
            test=read_fold(connection, "test"),
            fold_in=read_fold(connection, "fold_in") if fold_in else None,
            test_user_ids=read_ids(connection, "test_users"),
            item_ids=read_ids(connection, "items"),
        )


def _open(connection: duckdb.DuckDBPyConnection, name: str, path: Path, columns: Sequence[_Column]) -> None:
    """Create the view `source.<name>`: the columns of the file in their types, and `file_row_number`."""
    if not path.is_file():
        raise RecsysError(f"{path}: there is no such file; name a Parquet file")
    rows = f"read_parquet({quoted(path)}, file_row_number = true, hive_partitioning = false)"
    try:
        types = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
    except duckdb.InvalidInputException as error:
        raise RecsysError(f"{path}: not a Parquet file; write it as one, such as with DataFrame.to_parquet") from error
    for column in columns:
        actual = types.get(column.name)
        if actual is None and column.required:
            others = ", ".join(other for other in types if other != "file_row_number")
            raise RecsysError(
                f"{path}: no column {column.name} ({column.type}; {column.meaning}), only {others}; "
                "add it or rename one"
            )
        if actual is not None and actual.partition("(")[0] not in column.accepted:
            raise RecsysError(
                f"{path}: the column {column.name} is of type {actual}; make it {column.type} ({column.meaning})"
            )
    selected = ", ".join(column.expression(types.get(column.name)) for column in columns)
    connection.execute(f"CREATE VIEW source.{name} AS SELECT {selected}, file_row_number FROM {rows}")


def _open_items(connection: duckdb.DuckDBPyConnection, path: Path | None) -> None:
    """Create the view `source.items`, which is empty where there is no file."""
    if path is not None:
        _open(connection, "items", path, _ITEMS)
        _refuse_repeated(connection, "items", path, ("item_id",))
        return
    selected = ", ".join(column.expression(None) for column in _ITEMS)
    connection.execute(f"CREATE VIEW source.items AS SELECT {selected} WHERE false")


def _check_values(connection: duckdb.DuckDBPyConnection, name: str, path: Path, scale: tuple[float, float]) -> None:
    low, high = scale
    off = f"rating NOT BETWEEN {low}::FLOAT AND {high}::FLOAT"
    rows, without_user, without_item, off_scale, example = connection.execute(
        "SELECT count(*), count(*) - count(user_id), count(*) - count(item_id),"
        f" count(*) FILTER (WHERE {off}), any_value(rating) FILTER (WHERE {off}) FROM source.{name}"
    ).fetchall()[0]
    if not rows:
        raise RecsysError(f"{path}: has no rows; write the interactions to it")
    for column, missing in (("user_id", without_user), ("item_id", without_item)):
        if missing:
            raise RecsysError(f"{path}: {column} is NULL in {missing:,} rows; remove these rows or fill it in")
    if off_scale:
        raise RecsysError(
            f"{path}: rating is off the scale from {low:g} to {high:g} in {off_scale:,} rows, such as {example:g}; "
            "give the right scale, or make it NULL for a like without a rating"
        )


def _refuse_repeated(connection: duckdb.DuckDBPyConnection, name: str, path: Path, key: tuple[str, ...]) -> None:
    columns = ", ".join(key)
    rows = connection.execute(
        f"SELECT count(*) OVER (), {columns} FROM source.{name} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
    ).fetchall()
    for repeated, *values in rows:
        raise RecsysError(
            f"{path}: {columns} is not unique: {repeated:,} repeated, such as {', '.join(map(str, values))}; "
            "keep one row of each"
        )


def _refuse_known(connection: duckdb.DuckDBPyConnection, known: str, files: dict[str, Path]) -> None:
    """Raise RecsysError if the test file has pairs of the file with the history of its users."""
    rows = connection.execute(
        "SELECT count(*) OVER (), user_id, item_id FROM source.test"
        f" SEMI JOIN source.{known} USING (user_id, item_id) LIMIT 1"
    ).fetchall()
    for pairs, user, item in rows:
        raise RecsysError(
            f"{files['test']}: {pairs:,} of its pairs are in {files[known]} too, such as "
            f"user_id {user}, item_id {item}; remove them from one of the two files"
        )


def _announce_trained_test_users(connection: duckdb.DuckDBPyConnection) -> None:
    """Announce how many of the test users, who should be new, are in the training file."""
    shared = "SELECT user_id FROM features.test_users SEMI JOIN features.users USING (user_id)"
    for users, example in connection.execute(
        f"SELECT count(*), min(user_id) FROM ({shared}) HAVING count(*) > 0"
    ).fetchall():
        announce(
            f"{users:,} of the test users are in the training file too, such as {example}: their lists are made from "
            "the fold-in file, but they are not entirely new to the models"
        )


def _create_features(connection: duckdb.DuckDBPyConnection, folds: Sequence[str]) -> None:
    """Create the feature tables: an index for every id of the files, and the pairs of each fold by index.

    The test users have the indices of the training users; with a fold-in they have indices of their own.
    """
    new = "fold_in" in folds
    items = " UNION ".join(f"SELECT item_id FROM source.{fold}" for fold in folds)
    known = " UNION ALL ".join(f"SELECT user_id FROM source.{fold}" for fold in (["train"] if new else folds))
    connection.execute(
        "CREATE TABLE clean.items AS SELECT item_id, kind, year, genres, site_score"
        f" FROM ({items}) LEFT JOIN source.items USING (item_id)"
    )
    connection.execute(f"CREATE VIEW clean.interactions AS {known}")
    for table in sql_tables("features"):
        if table.name in ("users", "items", "item_genres"):
            connection.execute(f"CREATE TABLE features.{table.name} AS {table.sql}")
    test_users = "SELECT user_id FROM source.test UNION SELECT user_id FROM source.fold_in"
    connection.execute(
        "CREATE TABLE features.test_users AS "
        + (
            f"SELECT cast(row_number() OVER (ORDER BY user_id) - 1 AS INTEGER) AS user_idx, user_id FROM ({test_users})"
            if new
            else "SELECT * FROM features.users"
        )
    )
    connection.execute(create_statements([tables_of("features")["interactions"]]))
    for fold in folds:
        # Predictions keep the order of the test file; what a model learns must not depend on the order of its pairs.
        order = "file_row_number" if fold == "test" else "user_idx, item_idx"
        connection.execute(
            f"INSERT INTO features.interactions SELECT user_idx, item_idx, rating, weight, \"at\", '{fold}'"
            f" FROM source.{fold}"
            f" INNER JOIN features.{'users' if fold == 'train' else 'test_users'} USING (user_id)"
            f" INNER JOIN features.items USING (item_id) ORDER BY {order}"
        )
