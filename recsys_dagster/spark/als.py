"""Fit MLlib's ALS."""

import logging
from typing import Any

from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

from recsys_dagster.spark.session import read_parquet

RATINGS_PER_BLOCK = 2**21
"""Ratings that one task solves with at once: about 100 MB while they are sorted."""


def fit(session: SparkSession, arguments: dict[str, Any]) -> dict[str, Any]:
    """Factorise `ratings.parquet` (user, item, rating) into Parquet `users` and `items` (id, features).

    Args:
        session: of Spark.
        arguments: `folder` of all these files, and `parameters` of the ALS by MLlib's names.

    Returns:
        Number of `users` and `items` with factors.
    """
    folder, parameters = arguments["folder"], arguments["parameters"]
    session.sparkContext.setCheckpointDir(f"{folder}/checkpoints")
    ratings = read_parquet(session, f"{folder}/ratings.parquet")
    blocks = max(session.sparkContext.defaultParallelism, ratings.count() // RATINGS_PER_BLOCK)
    als = ALS(
        userCol="user", itemCol="item", ratingCol="rating", numUserBlocks=blocks, numItemBlocks=blocks, **parameters
    )
    model = als.fit(ratings)
    logging.getLogger(__name__).info("factorised by MLlib's ALS, %s", parameters)
    model.userFactors.write.parquet(f"{folder}/users")
    model.itemFactors.write.parquet(f"{folder}/items")
    return {"users": model.userFactors.count(), "items": model.itemFactors.count()}
