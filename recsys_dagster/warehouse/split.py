"""Load a user's own training and test files as arrays, without touching a warehouse.

The files take the places of `clean.items` and `clean.interactions` in a temporary database, so that the SQL of the
pipeline numbers the users and items and lists the genres.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.data.split import Split
from recsys_dagster.data.training_data import TrainingData
from recsys_dagster.errors import RecsysError
from recsys_dagster.runtime.progress import announce
from recsys_dagster.runtime.storage import temporary_folder
from recsys_dagster.warehouse.arrays import read_fold, read_ids, read_item_features, read_sizes
from recsys_dagster.warehouse.database import Warehouse
from recsys_dagster.warehouse.schemas import create_statements, tables_of
from recsys_dagster.warehouse.split_files import IMPLICIT, ITEMS, RATED, FileColumn, open_files
from recsys_dagster.warehouse.sql_files import sql_tables


def load_split(
    train: Path,
    test: Path,
    fold_in: Path | None,
    items: Path | None,
    *,
    scale: tuple[float, float] | None,
    like_threshold: float | None,
    scratch: Path,
    memory_limit: str | None = None,
) -> Split:
    """Read Parquet or CSV files into index space; users and items are numbered in the order of their ids.

    Args:
        train, test, fold_in: files with the columns `user_id`, `item_id` (BIGINT or VARCHAR), `rating` (FLOAT; NULL for
            a like without a rating) and optionally `weight` (FLOAT) and `at` (TIMESTAMP).
        items: file with `item_id` and `genres` and optionally `kind`, `year`, `tags` and `site_score`, as in
            `clean.items`.
        scale: lowest and highest rating; None for implicit feedback, whose files have no ratings.
        like_threshold: rating from which on an item counts as liked; None for implicit feedback.
        scratch: existing folder for temporary files.
        memory_limit: upper bound of DuckDB's memory, such as '4GB', beyond which it spills.

    Raises:
        RecsysError: a file is missing, empty or of another kind; lacks a column or has one of another type; has ids
            that are NULL, ratings off the scale or without a scale, weights not above 0, or a repeated pair (rows of
            implicit feedback add up); or the test file has pairs of the training file (with `fold_in`, of that file).
    """
    files = {"train": train, "test": test} | ({"fold_in": fold_in} if fold_in else {})
    with (
        temporary_folder(scratch) as folder,
        Warehouse(folder / "files.duckdb", memory_limit).connect() as connection,
    ):
        connection.execute("CREATE SCHEMA source; CREATE SCHEMA clean; CREATE SCHEMA features;")
        columns = IMPLICIT if scale is None else RATED
        opened: dict[str, tuple[Path, Sequence[FileColumn]]] = {name: (path, columns) for name, path in files.items()}
        id_types = open_files(connection, opened | ({"items": (items, ITEMS)} if items else {}))
        for name, path in files.items():
            _check_values(connection, name, path, scale)
            if scale is None:
                _add_up_weights(connection, name)
            else:
                _refuse_repeated(connection, name, path, ("user_id", "item_id"))
        _refuse_known(connection, "fold_in" if fold_in else "train", files)
        if items:
            _refuse_repeated(connection, "items", items, ("item_id",))
        else:
            _create_no_items(connection, id_types)
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


def _create_no_items(connection: duckdb.DuckDBPyConnection, id_types: Mapping[str, str]) -> None:
    """Create the view `source.items` without rows."""
    selected = ", ".join(column.expression(None, id_types.get(column.name, column.type)) for column in ITEMS)
    connection.execute(f"CREATE VIEW source.items AS SELECT {selected} WHERE false")


def _check_values(
    connection: duckdb.DuckDBPyConnection, name: str, path: Path, scale: tuple[float, float] | None
) -> None:
    off = "rating IS NOT NULL" if scale is None else "rating NOT BETWEEN {}::FLOAT AND {}::FLOAT".format(*scale)
    rows, without_user, without_item, off_scale, example, weightless, weight = connection.execute(
        "SELECT count(*), count(*) - count(user_id), count(*) - count(item_id),"
        f" count(*) FILTER (WHERE {off}), any_value(rating) FILTER (WHERE {off}),"
        " count(*) FILTER (WHERE NOT weight > 0), any_value(weight) FILTER (WHERE NOT weight > 0)"
        f" FROM source.{name}"
    ).fetchall()[0]
    if not rows:
        raise RecsysError(f"{path}: has no rows; write the interactions to it")
    for column, missing in (("user_id", without_user), ("item_id", without_item)):
        if missing:
            raise RecsysError(f"{path}: {column} is NULL in {missing:,} rows; remove these rows or fill it in")
    if weightless:
        raise RecsysError(
            f"{path}: weight is not above 0 in {weightless:,} rows, such as {weight:g}; remove these rows, or make it "
            "NULL for an interaction of unknown strength"
        )
    if off_scale and scale is None:
        raise RecsysError(
            f"{path}: has a rating in {off_scale:,} rows, such as {example:g}, and no scale is given; give the scale, "
            "such as --scale 1 5, or remove the column rating"
        )
    if off_scale and scale is not None:
        low, high = scale
        raise RecsysError(
            f"{path}: rating is off the scale from {low:g} to {high:g} in {off_scale:,} rows, such as {example:g}; "
            "give the right scale, or make it NULL for a like without a rating"
        )


def _add_up_weights(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Replace the rows of each pair by one with their weights added up; a row without a weight counts 1."""
    connection.execute(
        f"""
        CREATE TABLE source.pairs AS
        SELECT
            user_id, item_id, NULL::FLOAT AS rating, sum(coalesce(weight, 1))::FLOAT AS weight, max("at") AS "at",
            min(file_row_number) AS file_row_number
        FROM source.{name} GROUP BY user_id, item_id;
        DROP VIEW source.{name};
        ALTER TABLE source.pairs RENAME TO {name};
        """
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
        "CREATE TABLE clean.items AS SELECT item_id, NULL::VARCHAR AS source_id, kind, year, genres, tags, site_score"
        f" FROM ({items}) LEFT JOIN source.items USING (item_id)"
    )
    connection.execute(f"CREATE VIEW clean.interactions AS {known}")
    connection.execute(
        "CREATE TABLE clean.users AS SELECT user_id, NULL::VARCHAR AS source_id FROM clean.interactions LIMIT 0"
    )
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
