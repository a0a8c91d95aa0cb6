"""The jobs that make the tables of a domain; `recsys_dagster.warehouse.spark_tables` starts them."""

import logging
import pickle
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from recsys_dagster.spark.engine import SparkEngine
from recsys_dagster.spark.session import read_parquet
from recsys_dagster.warehouse.engine import make_clean, make_features
from recsys_dagster.warehouse.sql_files import sql_tables

log = logging.getLogger(__name__)


def clean(session: SparkSession, arguments: dict[str, Any]) -> dict[str, Any]:
    """Make the clean tables of the raw files; return what the ids are."""
    started = time.perf_counter()
    dataset, manifest = pickle.loads(Path(arguments["inputs"]).read_bytes())  # noqa: S301 — of the same user
    engine = SparkEngine(session, Path(arguments["folder"]), bytes.fromhex(arguments["key"]))
    loaded = engine.read_raw(dataset, manifest, max_rejected=arguments["max_rejected"])
    log.info(
        "%s rows read in %.1f s", f"{sum(file.rows_read for file in loaded.files):,}", time.perf_counter() - started
    )
    make_clean(engine, dataset, loaded)
    _finish(engine, "clean", started)
    return {"user_ids": loaded.user_ids, "item_ids": loaded.item_ids}


def features(session: SparkSession, arguments: dict[str, Any]) -> dict[str, Any]:
    """Make the features of the clean tables."""
    started = time.perf_counter()
    engine = SparkEngine(session, Path(arguments["folder"]))
    for table in sql_tables("clean"):
        rows = read_parquet(session, str(Path(arguments["clean"]) / table.name))
        engine.register(f"clean.{table.name}", rows)
    make_features(engine, arguments["scale"], arguments["seed"])
    _finish(engine, "features", started)
    return {}


def _finish(engine: SparkEngine, schema: str, started: float) -> None:
    engine.remove_intermediate()
    log.info("tables of %s written as Parquet after %.1f s", schema, time.perf_counter() - started)
