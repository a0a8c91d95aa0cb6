"""Find the moment at which each user of a fold is recommended to, where the folds are cut by time."""

import duckdb
import numpy as np
from numpy.typing import NDArray

from recsys_dagster.warehouse.database import quoted
from recsys_dagster.warehouse.sql_files import sql_tables

FOLDS = ("validation", "test")
"""The folds that models are evaluated on."""


def read_moments(connection: duckdb.DuckDBPyConnection, n_users: int) -> dict[str, NDArray[np.int64]]:
    """Return, by fold, the (n_users,) moment of each user in seconds since 1970; empty if the folds are cut by hash.

    It is that of the protocol `time-fold-in`. A user without interactions in the fold has the smallest int64.
    """
    if connection.execute("SELECT method FROM features.fold_cuts").fetchall() != [("time",)]:
        return {}
    (query,) = (table.sql for table in sql_tables("protocol") if table.name == "moments")
    moments = {}
    for fold in FOLDS:
        connection.execute("ATTACH ':memory:' AS protocol")
        connection.execute(
            "CREATE TABLE protocol.cut AS SELECT user_idx AS user_id, \"at\", 'test' AS fold"
            f" FROM features.interactions WHERE fold = {quoted(fold)}"
        )
        columns = connection.execute(
            f"SELECT user_id, epoch_us(moment) // 1000000 AS seconds FROM ({query}) AS moments"
        ).fetchnumpy()
        connection.execute("DETACH protocol")
        moments[fold] = np.full(n_users, np.iinfo(np.int64).min)
        moments[fold][columns["user_id"]] = columns["seconds"]
    return moments
