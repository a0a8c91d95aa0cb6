"""Factorise ratings by Spark's MLlib, in Spark's own process; Parquet files go there and come back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys_dagster.data.interactions import Interactions
from recsys_dagster.runtime.layout import Layout
from recsys_dagster.runtime.spark_process import run_spark, shared_folder
from recsys_dagster.settings import read_settings

JOB = "recsys_dagster.spark.als:fit"


def factorise_on_spark(
    rated: Interactions, n_users: int, n_items: int, parameters: Mapping[str, Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the (n_users, rank) and (n_items, rank) factors by MLlib's ALS, zeros for those without a rating.

    The files are under RECSYS_HOME, which the nodes of a cluster have to share.

    Args:
        rated: the pairs with a rating.
        n_users, n_items: sizes of the index spaces.
        parameters: of `pyspark.ml.recommendation.ALS`, by its names.

    Raises:
        RecsysError: Spark is not installed, or the job failed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with shared_folder(Layout(read_settings().home)) as folder:
        pairs = pa.table({"user": rated.users, "item": rated.items, "rating": rated.ratings})
        pq.write_table(pairs, folder / "ratings.parquet")
        del pairs
        run_spark(JOB, {"folder": str(folder), "parameters": dict(parameters)})
        rank = parameters["rank"]
        return _read(folder / "users", n_users, rank), _read(folder / "items", n_items, rank)


def _read(path: Path, n: int, rank: int) -> NDArray[np.float32]:
    """Return the (n, rank) factors; zeros where there is none."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    factors = np.zeros((n, rank), dtype=np.float32)
    for batch in table.to_batches():
        factors[batch.column("id").to_numpy()] = batch.column("features").flatten().to_numpy().reshape(-1, rank)
    return factors
