"""Jobs that tests run on Spark, in Spark's own environment."""

import logging
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def count_rows(session: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    from recsys_dagster.spark.session import read_parquet

    rows = read_parquet(session, arguments["path"])
    logging.getLogger(__name__).info("counting the rows of %s", arguments["path"])
    return {"rows": rows.count(), "columns": rows.columns, "master": session.sparkContext.master}


def sleep(session: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    Path(arguments["pid"]).write_text(str(os.getpid()))
    time.sleep(600)
    return {}


def read_ratings(session: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Read the raw files of a build, and return the ratings with their places."""
    from recsys_dagster.spark.engine import SparkEngine

    dataset, manifest = pickle.loads(Path(arguments["inputs"]).read_bytes())
    engine = SparkEngine(session, Path(arguments["folder"]))
    engine.read_raw(dataset, manifest, max_rejected=1.0)
    return {"rows": engine.query('SELECT "position", "userId", "movieId", rating FROM raw.ratings ORDER BY 1')}


def build_all(session: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """Make the tables of several datasets, and the folds of every protocol; return what could not be made, and why."""
    from recsys_dagster.spark.failures import cause_of

    def fault(build: dict[str, Any]) -> str | None:
        try:
            build_one(session.newSession(), build)
        except Exception as error:
            logging.getLogger(__name__).exception(build["folder"])
            return cause_of(error)
        return None

    # Spark plans small tables longer than it computes them, each on one core.
    with ThreadPoolExecutor(2) as threads:
        faults = dict(zip(arguments["builds"], threads.map(fault, arguments["builds"].values()), strict=True))
    return {"failures": {name: text for name, text in faults.items() if text is not None}}


def build_one(session: Any, build: dict[str, Any]) -> None:
    from protocol_tables import make_protocols

    from recsys_dagster.spark.engine import SparkEngine
    from recsys_dagster.spark.tables import clean, features

    session.conf.set("spark.sql.files.maxPartitionBytes", build["piece"])
    clean(session, build)
    features(session, build | {"clean": f"{build['folder']}/clean"})
    if build["protocols"]:
        make_protocols(SparkEngine(session, Path(build["folder"])), build["protocols"])
