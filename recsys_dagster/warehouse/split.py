"""Parquet files of somebody's own → the arrays that models are trained on and judged by; no warehouse is touched.

The files take the places of `clean.items` and `clean.interactions` in a database that lives as long as the reading, so
that the SQL which numbers users and items and takes genres apart is the pipeline's own.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.split import Split
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.progress import announce
from recsys_dagster.warehouse.arrays import read_fold, read_ids, read_item_features, read_sizes
from recsys_dagster.warehouse.database import Warehouse, quoted
from recsys_dagster.warehouse.sql_files import sql_tables

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_NOTHING = '"NULL"'
"""DuckDB's type of a column that was written without a single value."""
_WITH_ZONE = "TIMESTAMP WITH TIME ZONE"
_TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", _WITH_ZONE, "DATE", _NOTHING)


@dataclass(frozen=True)
class _Column:
    """A column of a file.

    Attributes:
        name: its name.
        kind: the DuckDB type that it is read as.
        meaning: what to know of it.
        accepted: DuckDB's types, without their widths, that can be read as `kind` without guessing.
        required: whether the file must have it.
    """

    name: str
    kind: str
    meaning: str
    accepted: tuple[str, ...]
    required: bool = True

    def expression(self, found: str | None) -> str:
        """Return the SQL that reads it from a file where it is of the type `found`, or missing (None)."""
        if found in (None, _NOTHING):
            return f'cast(NULL AS {self.kind}) AS "{self.name}"'
        zone = " AT TIME ZONE 'UTC'" if found == _WITH_ZONE else ""
        value = f'cast("{self.name}"{zone} AS {self.kind})'
        # Some writers leave NaN where others leave NULL.
        value = f"CASE WHEN NOT isnan({value}) THEN {value} END" if self.kind == "FLOAT" else value
        return f'{value} AS "{self.name}"'


_NUMBERS = (*_INTEGERS, "FLOAT", "DOUBLE", "DECIMAL", _NOTHING)
_INTERACTIONS = (
    _Column("user_id", "BIGINT", "who", _INTEGERS),
    _Column("item_id", "BIGINT", "which title", _INTEGERS),
    _Column("rating", "FLOAT", "NULL: liked without a rating", _NUMBERS),
    _Column("at", "TIMESTAMP", "when", _TIMES, required=False),
)
_TITLES = (
    _Column("item_id", "BIGINT", "which title", _INTEGERS),
    _Column("genres", "VARCHAR[]", "a list of names", ("VARCHAR[]", _NOTHING)),
    _Column("kind", "VARCHAR", "such as TV or Movie", ("VARCHAR", _NOTHING), required=False),
    _Column("year", "INTEGER", "of release", (*_INTEGERS, _NOTHING), required=False),
    _Column("site_score", "FLOAT", "the mean on the publisher's site", _NUMBERS, required=False),
)


def load_split(
    train: Path,
    test: Path,
    fold_in: Path | None,
    titles: Path | None,
    *,
    scale: tuple[float, float],
    like_threshold: float,
    scratch: Path,
    memory_limit: str | None = None,
) -> Split:
    """Read Parquet files into index space; users and items are numbered in the order of their ids.

    Args:
        train, test, fold_in: files with the columns `user_id`, `item_id` (BIGINT), `rating` (FLOAT, NULL where
            something was liked without a rating) and, if known, `at` (TIMESTAMP).
        titles: file with `item_id` and `genres` and, if known, `kind`, `year`, `site_score`, as in `clean.items`.
        scale: lowest and highest rating.
        like_threshold: a rating at or above it counts as liked.
        scratch: folder, which exists, for what is needed only while reading.
        memory_limit: of DuckDB, such as '4GB', beyond which it spills.

    Raises:
        RecsysError: a file is missing, not Parquet or empty; lacks a column or has another type in it; has ids that
            are NULL, ratings off the scale or a pair twice; or the test has pairs that are known beforehand.
    """
    files = {"train": train, "test": test} | ({"fold_in": fold_in} if fold_in else {})
    with (
        tempfile.TemporaryDirectory(prefix=".tmp-", dir=scratch) as folder,
        Warehouse(Path(folder) / "files.duckdb", memory_limit).connect() as connection,
    ):
        connection.execute("CREATE SCHEMA source; CREATE SCHEMA clean; CREATE SCHEMA features;")
        for name, path in files.items():
            _open(connection, name, path, _INTERACTIONS)
            _check_values(connection, name, path, scale)
            _refuse_repeated(connection, name, path, ("user_id", "item_id"))
        _refuse_known(connection, "fold_in" if fold_in else "train", files)
        _open_titles(connection, titles)
        _number(connection, list(files))
        if fold_in:
            _say_who_is_not_new(connection)
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
            people=read_ids(connection, "people"),
            item_ids=read_ids(connection, "items"),
        )


def _open(connection: duckdb.DuckDBPyConnection, name: str, path: Path, columns: Sequence[_Column]) -> None:
    """Create the view `source.<name>` of the file, columns of the right types, and `file_row_number`."""
    if not path.is_file():
        raise RecsysError(f"{path}: there is no such file; name a Parquet file")
    rows = f"read_parquet({quoted(path)}, file_row_number = true, hive_partitioning = false)"
    try:
        found = {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {rows}").fetchall()}
    except duckdb.InvalidInputException as error:
        raise RecsysError(f"{path}: not a Parquet file; write it as one, such as with DataFrame.to_parquet") from error
    for column in columns:
        kind = found.get(column.name)
        if kind is None and column.required:
            there = ", ".join(other for other in found if other != "file_row_number")
            raise RecsysError(
                f"{path}: no column {column.name} ({column.kind}; {column.meaning}), only {there}; add it or rename one"
            )
        if kind is not None and kind.partition("(")[0] not in column.accepted:
            raise RecsysError(
                f"{path}: the column {column.name} is of type {kind}; make it {column.kind} ({column.meaning})"
            )
    selected = ", ".join(column.expression(found.get(column.name)) for column in columns)
    connection.execute(f"CREATE VIEW source.{name} AS SELECT {selected}, file_row_number FROM {rows}")


def _open_titles(connection: duckdb.DuckDBPyConnection, path: Path | None) -> None:
    """Create the view `source.titles`, without a row where there is no file."""
    if path is not None:
        _open(connection, "titles", path, _TITLES)
        _refuse_repeated(connection, "titles", path, ("item_id",))
        return
    selected = ", ".join(column.expression(None) for column in _TITLES)
    connection.execute(f"CREATE VIEW source.titles AS SELECT {selected} WHERE false")


def _check_values(connection: duckdb.DuckDBPyConnection, name: str, path: Path, scale: tuple[float, float]) -> None:
    low, high = scale
    off = f"rating NOT BETWEEN {low}::FLOAT AND {high}::FLOAT"
    rows, without_user, without_item, off_scale, example = connection.execute(
        "SELECT count(*), count(*) - count(user_id), count(*) - count(item_id),"
        f" count(*) FILTER (WHERE {off}), any_value(rating) FILTER (WHERE {off}) FROM source.{name}"
    ).fetchall()[0]
    if not rows:
        raise RecsysError(f"{path}: not a single row; fill it")
    for column, missing in (("user_id", without_user), ("item_id", without_item)):
        if missing:
            raise RecsysError(f"{path}: {column} is NULL in {missing:,} rows; leave them out or fill them in")
    if off_scale:
        raise RecsysError(
            f"{path}: rating is off the scale from {low:g} to {high:g} in {off_scale:,} rows, such as {example:g}; "
            "name the right scale, or make it NULL where something is liked without a rating"
        )


def _refuse_repeated(connection: duckdb.DuckDBPyConnection, name: str, path: Path, key: tuple[str, ...]) -> None:
    columns = ", ".join(key)
    found = connection.execute(
        f"SELECT count(*) OVER (), {columns} FROM source.{name} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
    ).fetchall()
    for repeated, *values in found:
        raise RecsysError(
            f"{path}: {columns} is not unique: {repeated:,} repeated, such as {', '.join(map(str, values))}; "
            "keep one row of each"
        )


def _refuse_known(connection: duckdb.DuckDBPyConnection, known: str, files: dict[str, Path]) -> None:
    """Raise RecsysError if the test holds pairs of the file from which its users are known."""
    found = connection.execute(
        "SELECT count(*) OVER (), user_id, item_id FROM source.test"
        f" SEMI JOIN source.{known} USING (user_id, item_id) LIMIT 1"
    ).fetchall()
    for pairs, user, item in found:
        raise RecsysError(
            f"{files['test']}: {pairs:,} of its pairs are in {files[known]} too, such as "
            f"user_id {user}, item_id {item}; "
            "take them out of one of the two"
        )


def _say_who_is_not_new(connection: duckdb.DuckDBPyConnection) -> None:
    shared = "SELECT user_id FROM features.people SEMI JOIN features.users USING (user_id)"
    for users, example in connection.execute(
        f"SELECT count(*), min(user_id) FROM ({shared}) HAVING count(*) > 0"
    ).fetchall():
        announce(
            f"{users:,} of the users to be judged are in the training part too, such as {example}: what is learnt of "
            "them there is not used, but it is not unseen either"
        )


def _number(connection: duckdb.DuckDBPyConnection, folds: Sequence[str]) -> None:
    """Create the features: every id of the files as an index, and the pairs of each fold by index.

    The people of the test are the users, unless there is a fold-in: then they are numbered apart.
    """
    new = "fold_in" in folds
    items = " UNION ".join(f"SELECT item_id FROM source.{fold}" for fold in folds)
    known = " UNION ALL ".join(f"SELECT user_id FROM source.{fold}" for fold in (["train"] if new else folds))
    connection.execute(
        "CREATE TABLE clean.items AS SELECT item_id, kind, year, genres, site_score"
        f" FROM ({items}) LEFT JOIN source.titles USING (item_id)"
    )
    connection.execute(f"CREATE VIEW clean.interactions AS {known}")
    for table in sql_tables("features"):
        if table.name in ("users", "items", "item_genres"):
            connection.execute(f"CREATE TABLE features.{table.name} AS {table.sql}")
    people = "SELECT user_id FROM source.test UNION SELECT user_id FROM source.fold_in"
    connection.execute(
        "CREATE TABLE features.people AS "
        + (
            f"SELECT cast(row_number() OVER (ORDER BY user_id) - 1 AS INTEGER) AS user_idx, user_id FROM ({people})"
            if new
            else "SELECT * FROM features.users"
        )
    )
    connection.execute(
        'CREATE TABLE features.interactions (user_idx INTEGER, item_idx INTEGER, rating FLOAT, "at" TIMESTAMP,'
        " fold VARCHAR)"
    )
    for fold in folds:
        # Predictions go in the order of the test's file; a model is to learn the same whatever the order of its pairs.
        order = "file_row_number" if fold == "test" else "user_idx, item_idx"
        connection.execute(
            f"INSERT INTO features.interactions SELECT user_idx, item_idx, rating, \"at\", '{fold}' FROM source.{fold}"
            f" INNER JOIN features.{'users' if fold == 'train' else 'people'} USING (user_id)"
            f" INNER JOIN features.items USING (item_id) ORDER BY {order}"
        )
