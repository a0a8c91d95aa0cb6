"""Jobs that tests run on Spark, in Spark's own environment."""

import logging
import os
import time
from pathlib import Path
from typing import Any


def count_rows(session: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    rows = session.read.parquet(arguments["path"])
    logging.getLogger(__name__).info("counting the rows of %s", arguments["path"])
    return {"rows": rows.count(), "columns": rows.columns, "master": session.sparkContext.master}


def sleep(session: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    Path(arguments["pid"]).write_text(str(os.getpid()))
    time.sleep(600)
    return {}
