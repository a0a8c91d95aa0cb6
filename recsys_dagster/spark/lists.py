"""Make the lists of all users, in blocks of users on all tasks."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark import SparkFiles
from pyspark.sql import SparkSession

from recsys_dagster.spark.ranking import ITEM_FILES, ItemSide
from recsys_dagster.spark.session import read_parquet

_COLUMNS = "block int, place int, items array<int>, scores array<float>"


def recommend(session: SparkSession, arguments: dict[str, Any]) -> dict[str, Any]:
    """Rank for the users in `users`, and write their lists to `lists`, a folder for each block.

    Args:
        session: of Spark.
        arguments: `folder` of all files, and `k`, the length of the lists; `ItemSide.rank` says what is in them.

    Returns:
        Number of `tasks`.
    """
    folder, k = arguments["folder"], arguments["k"]
    for name in ITEM_FILES:
        session.sparkContext.addFile(f"{folder}/{name}.npy")

    def rank(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        side = ItemSide.read({name: Path(SparkFiles.get(f"{name}.npy")) for name in ITEM_FILES})
        step = side.rows_at_once()
        for batch in batches:
            for start in range(0, len(batch), step):
                yield side.rank(batch.slice(start, step), k)

    users = read_parquet(session, f"{folder}/users")
    tasks = users.rdd.getNumPartitions()
    logging.getLogger(__name__).info("lists in %s tasks", tasks)
    users.mapInArrow(rank, _COLUMNS).write.partitionBy("block").parquet(f"{folder}/lists")
    return {"tasks": tasks}
